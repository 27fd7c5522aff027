import CLinux
import Glibc
import SharedFolder
import Testing

@Suite struct SharedFolderTests {
    typealias Guest = FolderGuest
    typealias Failure = FolderGuest.Failure
    let guest: FolderGuest

    init() throws { guest = try FolderGuest() }

    @Test func `The version and the sizes are agreed on`() throws {
        var request: [UInt32] = [7, 31, 0x20000, 0xFFFF_FFFF]
        let answer = try guest.take(
            fuse_init_out.self,
            try guest.call(FUSE_INIT, 0, request.withUnsafeBytes { Array($0) })
        )
        #expect(answer.major == 7 && answer.minor == 31)
        #expect(answer.max_write == 1 << 20 && answer.max_pages == 256)
        #expect(answer.flags & UInt32(FUSE_MAX_PAGES) != 0)
        #expect(answer.flags & UInt32(bitPattern: FUSE_WRITEBACK_CACHE) == 0)
        request[1] = 30
        #expect(throws: Failure(errno: EPROTO)) {
            try guest.call(FUSE_INIT, 0, request.withUnsafeBytes { Array($0) })
        }
        request[0] = 8
        let newer = try guest.call(FUSE_INIT, 0, request.withUnsafeBytes { Array($0) })
        #expect(try guest.take(UInt32.self, newer) == 7)
    }

    @Test func `A file is made, written, read, cut and removed`() throws {
        let (node, handle) = try guest.create("file")
        #expect(try guest.write(handle, Array("hello, world".utf8)) == 12)
        #expect(try guest.write(handle, at: 5, Array("!".utf8)) == 1)
        #expect(Guest.read(guest.path + "/file") == "hello! world")
        #expect(try guest.read(handle, at: 7) == Array("world".utf8))
        var change = fuse_setattr_in()
        change.valid = UInt32(FATTR_SIZE | FATTR_MODE | FATTR_MTIME)
        change.size = 5
        change.mode = 0o600
        change.mtime = 1_000_000
        change.mtimensec = 5
        let attributes = try guest.take(
            fuse_attr_out.self,
            try guest.call(FUSE_SETATTR, node, Guest.bytes(change))
        ).attr
        #expect(attributes.size == 5 && attributes.mode == S_IFREG | 0o600)
        #expect(attributes.mtime == 1_000_000 && attributes.mtimensec == 5)
        #expect(Guest.read(guest.path + "/file") == "hello")
        try guest.call(FUSE_UNLINK, 1, Guest.name("file"))
        #expect(access(guest.path + "/file", F_OK) != 0)
        #expect(try guest.read(handle) == Array("hello".utf8), "an open file outlives its name")
        try guest.release(handle)
        #expect(throws: Failure(errno: EBADF)) { try guest.read(handle) }
    }

    @Test func `New files have the mode that the guest says, whatever the process's umask`() throws {
        let before = umask(0o077)
        defer { umask(before) }
        let (node, _) = try guest.create("wide", mode: 0o666)
        let answer = try guest.call(FUSE_GETATTR, node, Guest.bytes(fuse_getattr_in()))
        #expect(try guest.take(fuse_attr_out.self, answer).attr.mode == S_IFREG | 0o666)
        #expect(try guest.makeDirectory("folder").attr.mode == S_IFDIR | 0o755)
    }

    @Test func `A file that is there is opened by a creation that does not insist`() throws {
        Guest.write(guest.path + "/there", "old")
        let (_, handle) = try guest.create("there")
        #expect(try guest.read(handle) == Array("old".utf8))
        #expect(throws: Failure(errno: EEXIST)) { try guest.create("there", flags: O_RDWR | O_EXCL) }
    }

    @Test func `Folders, links and renames work`() throws {
        let folder = try guest.makeDirectory("a")
        let (node, handle) = try guest.create("f", in: folder.nodeid)
        _ = try guest.write(handle, [1, 2, 3])
        var link = fuse_link_in()
        link.oldnodeid = node
        let linked = try guest.take(
            fuse_entry_out.self,
            try guest.call(FUSE_LINK, 1, Guest.bytes(link) + Guest.name("hard"))
        )
        #expect(linked.nodeid == node && linked.attr.nlink == 2)
        try guest.rename("f", "g", from: folder.nodeid)
        #expect(try guest.lookup("g").nodeid == node)
        #expect(throws: Failure(errno: EEXIST)) { try guest.rename("g", "hard", flags: 1) }
        try guest.rename("g", "a", flags: 2)
        #expect(try guest.lookup("g").nodeid == folder.nodeid, "exchanged")
        #expect(throws: Failure(errno: EINVAL)) { try guest.rename("g", "w", flags: 4) }
        let soft = try guest.makeLink("soft", to: "../secret")
        #expect(try guest.call(FUSE_READLINK, soft.nodeid) == Array("../secret".utf8))
        try guest.call(FUSE_RMDIR, 1, Guest.name("g"))
        #expect(Set(try guest.names()) == [".", "..", "a", "hard", "soft"])
    }

    @Test(arguments: [false, true]) func `A large folder is listed whole, each name once`(plus: Bool) throws {
        let expected = (0..<500).map { "file-\($0)" }
        for name in expected { Guest.write(guest.path + "/" + name, name) }
        let names = try guest.names(plus: plus)
        #expect(names.sorted() == (expected + [".", ".."]).sorted())
    }

    @Test func `Extended attributes of users are kept, others refused`() throws {
        let (node, _) = try guest.create("file")
        let value = Array("value".utf8)
        let sizes = Guest.bytes(UInt32(value.count)) + Guest.bytes(UInt32(0))
        do {
            try guest.call(FUSE_SETXATTR, node, sizes + Guest.name("user.test") + value)
        } catch let failure as Failure where failure.errno == EOPNOTSUPP {
            return  // The file system of /tmp has none.
        }
        var request = fuse_getxattr_in()
        request.size = 100
        #expect(try guest.call(FUSE_GETXATTR, node, Guest.bytes(request) + Guest.name("user.test")) == value)
        #expect(try guest.call(FUSE_LISTXATTR, node, Guest.bytes(request)) == Guest.name("user.test"))
        request.size = 2
        #expect(throws: Failure(errno: ERANGE)) {
            try guest.call(FUSE_GETXATTR, node, Guest.bytes(request) + Guest.name("user.test"))
        }
        request.size = 0
        let size = try guest.call(FUSE_GETXATTR, node, Guest.bytes(request) + Guest.name("user.test"))
        #expect(try guest.take(fuse_getxattr_out.self, size).size == 5)
        try guest.call(FUSE_REMOVEXATTR, node, Guest.name("user.test"))
        for name in ["security.capability", "trusted.x", "system.posix_acl_access", "user."] {
            #expect(throws: Failure(errno: EOPNOTSUPP)) {
                try guest.call(FUSE_SETXATTR, node, sizes + Guest.name(name) + value)
            }
        }
    }

    @Test func `Space is reserved, holes are found, ranges are copied`() throws {
        let (_, handle) = try guest.create("sparse")
        var allocate = fuse_fallocate_in()
        allocate.fh = handle
        allocate.length = 1 << 20
        try guest.call(FUSE_FALLOCATE, 1, Guest.bytes(allocate))
        _ = try guest.write(handle, at: 1 << 19, [5])
        allocate.mode = 3
        allocate.length = 1 << 18
        try guest.call(FUSE_FALLOCATE, 1, Guest.bytes(allocate))
        allocate.mode = 0x20
        #expect(throws: Failure(errno: EOPNOTSUPP)) { try guest.call(FUSE_FALLOCATE, 1, Guest.bytes(allocate)) }
        var seek = fuse_lseek_in()
        seek.fh = handle
        seek.whence = 4
        #expect(try guest.take(fuse_lseek_out.self, try guest.call(FUSE_LSEEK, 1, Guest.bytes(seek))).offset == 0)
        seek.whence = 0
        #expect(throws: Failure(errno: EINVAL)) { try guest.call(FUSE_LSEEK, 1, Guest.bytes(seek)) }
        let (_, target) = try guest.create("copy")
        var copy = fuse_copy_file_range_in()
        copy.fh_in = handle
        copy.off_in = 1 << 19
        copy.fh_out = target
        copy.len = 1
        let size = try guest.take(fuse_write_out.self, try guest.call(FUSE_COPY_FILE_RANGE, 1, Guest.bytes(copy))).size
        #expect(size == 1)
        #expect(try guest.read(target) == [5])
    }

    @Test func `A read-only folder is read and never changed`() throws {
        let guest = try FolderGuest(isReadOnly: true)
        Guest.write(guest.path + "/file", "text")
        let node = try guest.lookup("file").nodeid
        #expect(try guest.read(try guest.open(node)) == Array("text".utf8))
        let refused = Failure(errno: EROFS)
        #expect(throws: refused) { try guest.open(node, flags: O_WRONLY) }
        #expect(throws: refused) { try guest.open(node, flags: O_RDONLY | O_TRUNC) }
        #expect(throws: refused) { try guest.create("new") }
        #expect(throws: refused) { try guest.makeDirectory("new") }
        #expect(throws: refused) { try guest.makeLink("new", to: "file") }
        #expect(throws: refused) { try guest.rename("file", "new") }
        #expect(throws: refused) { try guest.call(FUSE_UNLINK, 1, Guest.name("file")) }
        #expect(throws: refused) { try guest.call(FUSE_SETATTR, node, Guest.bytes(fuse_setattr_in())) }
        #expect(Guest.read(guest.path + "/file") == "text")
    }

    @Test func `What the guest forgets is closed`() throws {
        Guest.write(guest.path + "/file", "")
        let node = try guest.lookup("file").nodeid
        #expect(try guest.lookup("file").nodeid == node)
        try guest.forget(node)
        #expect(guest.folder.counts.nodes == 1)
        try guest.forget(node, 100)
        #expect(guest.folder.counts.nodes == 0)
        #expect(throws: Failure(errno: ESTALE)) { try guest.open(node) }
        _ = try guest.lookup("file")
        try guest.call(FUSE_DESTROY)
        #expect(guest.folder.counts.nodes == 0)
    }

    @Test func `The guest makes the process hold so many descriptors and no more`() throws {
        let guest = try FolderGuest(descriptorLimit: 64)
        for index in 0..<100 { Guest.write(guest.path + "/\(index)", "") }
        var refused = 0
        for index in 0..<100 {
            do { _ = try guest.lookup("\(index)") } catch let failure as Failure where failure.errno == ENFILE {
                refused += 1
            }
        }
        #expect(refused == 52)
        var opened: [UInt64] = []
        let node = try guest.lookup("0").nodeid
        #expect(throws: Failure(errno: EMFILE)) { for _ in 0..<100 { opened.append(try guest.open(node)) } }
        #expect(opened.count == 16)
        try guest.release(opened[0])
        #expect(try guest.names(plus: true, size: 4096).count == 102, "unknown entries are listed without an inode")
    }
}
