import CLinux
import Glibc
import SharedFolder
import Synchronization
import Testing

/// No request of a guest's, however odd, reaches a file outside of the folder, or traps.
@Suite struct ConfinementTests {
    typealias Guest = FolderGuest
    typealias Failure = FolderGuest.Failure
    let guest: FolderGuest

    init() throws { guest = try FolderGuest() }

    @Test(arguments: ["..", ".", "", "../secret", "a/b", "/etc/passwd", "a/"])
    func `A name is one component`(name: String) throws {
        #expect(throws: Failure(errno: EINVAL)) { try guest.lookup(name) }
        #expect(throws: Failure(errno: EINVAL)) { try guest.create(name) }
        #expect(throws: Failure(errno: EINVAL)) { try guest.makeDirectory(name) }
        #expect(throws: Failure(errno: EINVAL)) { try guest.makeLink(name, to: "x") }
        #expect(throws: Failure(errno: EINVAL)) { try guest.call(FUSE_UNLINK, 1, Guest.name(name)) }
        Guest.write(guest.path + "/inside", "")
        #expect(throws: Failure(errno: EINVAL)) { try guest.rename("inside", name) }
        #expect(throws: Failure(errno: EINVAL)) { try guest.rename(name, "inside") }
        #expect(Guest.read(guest.outside + "/secret") == "SECRET")
    }

    @Test func `A name without an end, or too long, is refused`() throws {
        #expect(throws: Failure(errno: EINVAL)) { try guest.call(FUSE_LOOKUP, 1, Array("name".utf8)) }
        #expect(throws: Failure(errno: EINVAL)) { try guest.call(FUSE_LOOKUP, 1, []) }
        #expect(throws: Failure(errno: ENAMETOOLONG)) { try guest.lookup(String(repeating: "x", count: 256)) }
    }

    @Test(arguments: ["../secret", "SECRET-PATH", "/proc/self/root", ".."])
    func `A symbolic link is read and never followed`(target: String) throws {
        let target = target == "SECRET-PATH" ? guest.outside + "/secret" : target
        let link = try guest.makeLink("link", to: target)
        #expect(link.attr.mode & S_IFMT == S_IFLNK)
        for flags in [O_RDONLY, O_WRONLY, O_RDWR | O_TRUNC, O_RDONLY | O_DIRECTORY] {
            #expect(throws: Failure(errno: ENXIO)) { try guest.open(link.nodeid, flags: flags) }
        }
        #expect(throws: Failure(errno: ENOTDIR)) { try guest.lookup("secret", in: link.nodeid) }
        #expect(throws: Failure(errno: ENOTDIR)) { try guest.create("new", in: link.nodeid) }
        #expect(throws: Failure(errno: ENOTDIR)) { try guest.names(link.nodeid) }
        #expect(throws: Failure(errno: ENOTDIR)) { try guest.rename("link", "moved", to: link.nodeid) }
        #expect(throws: Failure.self) { try guest.create("link") }
        var change = fuse_setattr_in()
        change.valid = UInt32(FATTR_SIZE)
        #expect(throws: Failure(errno: EINVAL)) { try guest.call(FUSE_SETATTR, link.nodeid, Guest.bytes(change)) }
        change.valid = UInt32(FATTR_MODE)
        #expect(throws: Failure(errno: EOPNOTSUPP)) { try guest.call(FUSE_SETATTR, link.nodeid, Guest.bytes(change)) }
        var request = fuse_link_in()
        request.oldnodeid = link.nodeid
        let hard = try guest.take(
            fuse_entry_out.self,
            try guest.call(FUSE_LINK, 1, Guest.bytes(request) + Guest.name("hard"))
        )
        #expect(hard.nodeid == link.nodeid, "the link itself was linked")
        #expect(Guest.read(guest.outside + "/secret") == "SECRET")
        var status = stat()
        stat(guest.outside + "/secret", &status)
        #expect(status.st_nlink == 1 && status.st_mode & 0o777 == 0o644)
    }

    @Test func `Times and owners of a link are its own`() throws {
        let link = try guest.makeLink("link", to: "../secret")
        var before = stat()
        stat(guest.outside + "/secret", &before)
        var change = fuse_setattr_in()
        change.valid = UInt32(FATTR_MTIME | FATTR_ATIME | FATTR_UID | FATTR_GID)
        change.uid = getuid()
        change.gid = getgid()
        change.mtime = 99
        let answer = try guest.call(FUSE_SETATTR, link.nodeid, Guest.bytes(change))
        #expect(try guest.take(fuse_attr_out.self, answer).attr.mtime == 99)
        var after = stat()
        stat(guest.outside + "/secret", &after)
        #expect(before.st_mtim.tv_sec == after.st_mtim.tv_sec)
    }

    @Test func `Pipes and sockets are not opened, devices not made`() throws {
        let pipe = try guest.makeNode("pipe", mode: S_IFIFO | 0o644)
        #expect(throws: Failure(errno: ENXIO)) { try guest.open(pipe.nodeid) }
        #expect(throws: Failure(errno: ENXIO)) { try guest.create("pipe") }
        for type in [0o02_0000, 0o06_0000, 0, 0o04_0000] as [UInt32] {
            #expect(throws: Failure(errno: EPERM)) { try guest.makeNode("device", mode: type | 0o644) }
        }
    }

    @Test func `A folder that is moved outside does not lead there`() throws {
        mkdir(guest.path + "/a", 0o755)
        mkdir(guest.path + "/a/b", 0o755)
        let outer = try guest.lookup("a").nodeid
        let inner = try guest.lookup("b", in: outer).nodeid
        #expect(rename(guest.path + "/a/b", guest.outside + "/b") == 0)
        #expect(throws: Failure(errno: EINVAL)) { try guest.lookup("..", in: inner) }
        #expect(throws: Failure(errno: ENOENT)) { try guest.lookup("secret", in: inner) }
    }

    @Test func `Races of links and folders lead nowhere`() throws {
        mkdir(guest.path + "/d", 0o755)
        Guest.write(guest.path + "/d/secret", "INSIDE")
        let outside = guest.outside
        let racer = Racer(path: guest.path, target: outside)
        racer.start()
        defer { racer.stop() }
        var inside = 0
        for _ in 0..<4000 {
            guard let folder = try? guest.lookup("d") else { continue }
            defer { try? guest.forget(folder.nodeid) }
            guard let file = try? guest.lookup("secret", in: folder.nodeid) else { continue }
            defer { try? guest.forget(file.nodeid) }
            guard let handle = try? guest.open(file.nodeid, flags: O_RDWR) else { continue }
            defer { try? guest.release(handle) }
            let text = try guest.read(handle)
            #expect(text == Array("INSIDE".utf8))
            if text == Array("INSIDE".utf8) { inside += 1 }
            _ = try? guest.create("made", in: folder.nodeid)
        }
        racer.stop()
        #expect(inside > 0)
        #expect(Guest.read(outside + "/secret") == "SECRET")
        #expect(access(outside + "/made", F_OK) != 0)
        #expect(guest.folder.counts.nodes <= 2)
    }

    @Test func `Odd requests are answered by errors`() throws {
        let transfer = ArrayTransfer()
        #expect(guest.folder.answer([], replyByteLimit: 100, transfer) == .none)
        #expect(guest.folder.answer([UInt8](repeating: 0, count: 39), replyByteLimit: 100, transfer) == .none)
        let (node, handle) = try guest.create("file")
        // No room for the header of an answer.
        var header = fuse_in_header()
        header.opcode = FUSE_GETATTR.rawValue
        header.nodeid = 1
        #expect(guest.folder.answer(Guest.bytes(header), replyByteLimit: 15, transfer) == .none)
        #expect(throws: Failure(errno: EINVAL)) { try guest.call(FUSE_GETATTR, 1, [], room: 50) }
        // Nodes and handles that there are not.
        for odd in [0, 2 + node, 1 << 63, .max] as [UInt64] {
            #expect(throws: Failure(errno: ESTALE)) { try guest.lookup("file", in: odd) }
            #expect(throws: Failure(errno: ESTALE)) { try guest.open(odd) }
            #expect(throws: Failure(errno: EBADF)) { try guest.read(odd) }
        }
        #expect(throws: Failure(errno: EBADF)) { try guest.call(FUSE_READDIR, 1, try readRequest(handle)) }
        // Places and lengths at the end of the number range.
        for odd in [1 << 63, .max, .max - 4096] as [UInt64] {
            #expect(throws: Failure(errno: EINVAL)) { try guest.read(handle, at: odd) }
            #expect(throws: Failure(errno: EINVAL)) { try guest.write(handle, at: odd, [1]) }
            var change = fuse_setattr_in()
            change.valid = UInt32(FATTR_SIZE)
            change.size = odd
            #expect(throws: Failure(errno: EINVAL)) { try guest.call(FUSE_SETATTR, node, Guest.bytes(change)) }
        }
        // Requests that end early, of every kind.
        for opcode in 1...60 as ClosedRange<UInt32> {
            for count in [0, 1, 7, 8, 15, 16, 39] {
                let arguments = [UInt8](repeating: 0xFF, count: count)
                _ = try? guest.call(fuse_opcode(rawValue: opcode), UInt64(opcode % 3), arguments)
            }
        }
        #expect(throws: Failure(errno: ENOSYS)) { try guest.call(fuse_opcode(rawValue: 4000)) }
    }

    private func readRequest(_ handle: UInt64) throws -> [UInt8] {
        var request = fuse_read_in()
        request.fh = handle
        request.size = 1000
        return Guest.bytes(request)
    }

    /// Puts a link to the outside, then the folder itself, in the place of `d`, all the time.
    final class Racer: @unchecked Sendable {
        private let path: String
        private let target: String
        private let isDone = Atomic<Bool>(false)
        private var thread = pthread_t()
        private var runs = false

        init(path: String, target: String) {
            self.path = path
            self.target = target
            symlink(target, path + "/other")
        }

        func start() {
            runs = true
            pthread_create(
                &thread,
                nil,
                { argument in
                    guard let argument else { return nil }
                    Unmanaged<Racer>.fromOpaque(argument).takeUnretainedValue().race()
                    return nil
                },
                Unmanaged.passUnretained(self).toOpaque()
            )
        }

        private func race() {
            while !isDone.load(ordering: .relaxed) {
                _ = clinux_renameat2(AT_FDCWD, path + "/d", AT_FDCWD, path + "/other", 2)
            }
        }

        func stop() {
            guard runs else { return }
            runs = false
            isDone.store(true, ordering: .relaxed)
            pthread_join(thread, nil)
        }
    }
}
