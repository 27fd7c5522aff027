import CLinux
import Glibc
import GuestMemory
import SharedFolder
import Virtio
import VirtioVsock

/// Requests of a hostile guest's to the services: to a shared folder beside a secret, and to sockets.
enum ServiceInput {
    private static let secret = Array("THE-SECRET".utf8)

    /// Keeps data in arrays; as much as it says is there.
    private final class Transfer: FUSETransfer {
        var filled: [UInt8] = []
        var data: [UInt8] = []

        func fill(byteCount: Int, _ body: (UnsafeMutableRawBufferPointer, Int) -> Int) -> Int {
            filled = [UInt8](repeating: 0, count: byteCount)
            return filled.withUnsafeMutableBytes { body($0, 0) }
        }
        func drain(offset: Int, byteCount: Int, _ body: (UnsafeRawBufferPointer, Int) -> Int) -> Int {
            guard byteCount <= data.count else { return -Int(EINVAL) }
            return data.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[..<byteCount]), 0) }
        }
    }

    /// - Returns: How many requests were answered without an error; nil where the guest got out.
    static func run(seed: UInt64) throws -> Int? {
        var random = RandomSource(seed: seed)
        var name = Array("/tmp/vivfuzz.XXXXXX".utf8CString)
        guard mkdtemp(&name) != nil else { return 0 }
        let outside = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { removeAll(Array(outside.utf8CString)) }
        switch random.below(3) {
        case 0: return try sockets(outside, &random)
        case 1: return try rings(outside, random)
        default: return try folder(outside, &random)
        }
    }

    private static func rings(_ outside: String, _ random: RandomSource) throws -> Int? {
        let inside = outside + "/folder"
        mkdir(inside, 0o755)
        write([1, 2, 3], to: inside + "/file")
        write(secret, to: outside + "/secret")
        symlink("../secret", inside + "/link")
        let path = outside + "/v"
        var driver = try ServiceRings(
            random,
            folder: inside,
            listener: VsockListener(owning: listen(at: path), path: path)
        )
        let served = try driver.run()
        return read(outside + "/secret") == secret ? served : nil
    }

    // MARK: Shared folder

    private static func folder(_ outside: String, _ random: inout RandomSource) throws -> Int? {
        let inside = outside + "/folder"
        mkdir(inside, 0o755)
        mkdir(inside + "/a", 0o755)
        symlink("../secret", inside + "/b")
        symlink(outside, inside + "/a/b")
        write(secret, to: outside + "/secret")
        write([1, 2, 3], to: inside + "/file")
        let folder = try SharedFolder(path: inside, isReadOnly: random.oneIn(8), descriptorLimit: 64)
        let transfer = Transfer()
        var good = 0
        for _ in 0..<2000 {
            let request = request(&random)
            transfer.filled = []
            transfer.data = random.oneIn(3) ? random.bytes(random.below(300)) : []
            let room = random.oneIn(5) ? random.below(200) : 1 << 16
            switch folder.answer(request, replyByteLimit: room, transfer) {
            case .none: break
            case .bytes(let answer):
                guard answer.count <= room, !holdsSecret(answer) else { return nil }
                if answer.count >= 8, answer[4..<8].allSatisfy({ $0 == 0 }) { good += 1 }
            case .data(_, let count):
                guard count <= room, !holdsSecret(transfer.filled) else { return nil }
                good += 1
            }
        }
        guard read(outside + "/secret") == secret, names(outside) == [".", "..", "folder", "secret"] else { return nil }
        return good
    }

    private static func request(_ random: inout RandomSource) -> [UInt8] {
        func small(_ random: inout RandomSource) -> UInt64 {
            random.oneIn(6) ? random.number() : UInt64(random.below(24))
        }
        let opcode = random.oneIn(20) ? UInt32(truncatingIfNeeded: random.next()) : UInt32(random.below(53))
        var header = fuse_in_header()
        header.opcode = opcode
        header.nodeid = small(&random)
        header.unique = random.next()
        header.uid = getuid()
        header.gid = getgid()
        var bytes = withUnsafeBytes(of: header) { Array($0) }
        let isReserving = fuse_opcode(rawValue: opcode) == FUSE_FALLOCATE
        for _ in 0..<random.below(12) {
            let value = isReserving ? UInt64(random.below(4096)) : small(&random)
            if random.oneIn(3) {
                withUnsafeBytes(of: UInt32(truncatingIfNeeded: value)) { bytes += Array($0) }
            } else {
                withUnsafeBytes(of: value) { bytes += Array($0) }
            }
        }
        for _ in 0..<random.below(3) {
            let names = ["a", "b", "file", "secret", "c", "..", ".", "a/b", "", "../secret", "user.x"]
            bytes += Array(random.pick(names).utf8)
            if !random.oneIn(10) { bytes.append(0) }
        }
        if random.oneIn(10) { bytes += random.bytes(random.below(100)) }
        if random.oneIn(30) { bytes = Array(bytes.prefix(random.below(bytes.count))) }
        return bytes
    }

    private static func holdsSecret(_ bytes: [UInt8]) -> Bool {
        guard bytes.count >= secret.count else { return false }
        return (0...(bytes.count - secret.count)).contains { bytes[$0...].starts(with: secret) }
    }

    // MARK: Sockets

    private static func sockets(_ outside: String, _ random: inout RandomSource) throws -> Int {
        let path = outside + "/v"
        let listener = VsockListener(owning: listen(at: path), path: path)
        let services = (0..<2).map { listen(at: "\(path)_\($0)") }
        defer { for socket in services { close(socket) } }
        let memory = try GuestMemory(byteCount: 1 << 20)
        let device = VirtioVsock(guestCID: 3, listener: listener)
        let receive = try queue(memory, at: 0x1000)
        let transmit = try queue(memory, at: 0x4000)
        device.activate(Activation(memory: memory, features: .version1, queues: [receive, transmit, nil]))
        defer { device.reset() }
        var offered: (UInt16, UInt16) = (0, 0)
        for step in 0..<400 {
            if random.oneIn(40) { connect(to: path, &random) }
            if random.oneIn(2) {
                try offer(memory, at: 0x1000, index: &offered.0, address: 0x8_0000, 44 + random.below(2000), flags: 2)
            }
            var packet = DeviceConfigurationBytes()
            packet.append(random.oneIn(20) ? random.number() : 3)
            packet.append(random.oneIn(20) ? random.number() : 2)
            packet.append(UInt32(random.below(3)))
            packet.append(random.oneIn(4) ? 1 << 30 &+ UInt32(random.below(3)) : UInt32(random.below(3)))
            let count = random.below(500)
            packet.append(random.oneIn(10) ? UInt32(truncatingIfNeeded: random.number()) : UInt32(count))
            packet.append(UInt16(random.oneIn(20) ? random.below(9) : 1))
            packet.append(UInt16(random.below(9)))
            packet.append(UInt32(random.below(5)))
            packet.append(UInt32(truncatingIfNeeded: random.number()))
            packet.append(UInt32(truncatingIfNeeded: random.number()))
            let bytes = packet.bytes + random.bytes(count)
            try memory.copyIn(bytes, at: GuestAddress(0x9_0000))
            let length = random.oneIn(20) ? 1 + random.below(60) : bytes.count
            try offer(memory, at: 0x4000, index: &offered.1, address: 0x9_0000, length, flags: 0)
            do { try device.process(queue: step % 2) } catch { break }
        }
        return Int(offered.1)
    }

    private static func queue(_ memory: GuestMemory, at base: UInt64) throws -> VirtioQueue {
        try VirtioQueue(
            size: 16,
            descriptors: GuestAddress(base),
            available: GuestAddress(base + 0x1000),
            used: GuestAddress(base + 0x2000),
            memory: memory,
            features: .version1,
            interrupt: {}
        )
    }

    /// One descriptor, as long as the ring has room.
    private static func offer(
        _ memory: GuestMemory,
        at base: UInt64,
        index: inout UInt16,
        address: UInt64,
        _ byteCount: Int,
        flags: UInt16
    ) throws {
        let used = try memory.load(UInt16.self, at: GuestAddress(base + 0x2002))
        guard index &- used < 16 else { return }
        let slot = UInt64(index % 16)
        try memory.store(address, at: GuestAddress(base + slot * 16))
        try memory.store(UInt32(byteCount), at: GuestAddress(base + slot * 16 + 8))
        try memory.store(flags, at: GuestAddress(base + slot * 16 + 12))
        try memory.store(index % 16, at: GuestAddress(base + 0x1004 + slot * 2))
        index &+= 1
        try memory.store(index, at: GuestAddress(base + 0x1002))
    }

    private static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    private static func listen(at path: String) -> CInt {
        let socket = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        withAddress(path) { bind(socket, $0, $1) }
        _ = Glibc.listen(socket, 16)
        return socket
    }

    /// A client that says something, and goes away.
    private static func connect(to path: String, _ random: inout RandomSource) {
        let socket = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0)
        withAddress(path) { Glibc.connect(socket, $0, $1) }
        let line = Array((random.oneIn(3) ? "CONNECT 1\nhello" : "CONNECT \(random.next())\n").utf8)
        _ = send(socket, line, random.below(line.count + 1), CInt(MSG_NOSIGNAL))
        close(socket)
    }

    // MARK: Files

    private static func write(_ bytes: [UInt8], to path: String) {
        let file = open(path, O_WRONLY | O_CREAT, 0o644)
        _ = Glibc.write(file, bytes, bytes.count)
        close(file)
    }

    private static func read(_ path: String) -> [UInt8] {
        let file = open(path, O_RDONLY)
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 100)
        let count = Glibc.read(file, &bytes, bytes.count)
        return Array(bytes.prefix(max(0, count)))
    }

    private static func names(_ path: String) -> [String] {
        entries(Array(path.utf8CString)).map {
            String(decoding: $0.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
        .sorted()
    }

    /// The names in a folder, which may be any bytes, each with a zero byte behind it.
    private static func entries(_ path: [CChar]) -> [[CChar]] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [[CChar]] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            names.append(name.map { CChar(bitPattern: $0) } + [0])
        }
        return names
    }

    private static func removeAll(_ path: [CChar]) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFDIR {
            chmod(path, 0o700)
            let dot = CChar(bitPattern: UInt8(ascii: "."))
            for name in entries(path) where name != [dot, 0] && name != [dot, dot, 0] {
                removeAll(path.dropLast() + [CChar(bitPattern: UInt8(ascii: "/"))] + name)
            }
            rmdir(path)
        } else {
            unlink(path)
        }
    }
}
