internal import Glibc
internal import SystemCalls

/// Where the sockets of guest LANs lie: a folder of the user's own.
struct LANPlace: Sendable {
    let folder: String

    /// 1 to 32 letters, digits, '-', '_' and '.', the first no '.'.
    static func isName(_ name: String) -> Bool {
        (1...32).contains(name.utf8.count) && name.utf8.first != UInt8(ascii: ".")
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
    }

    /// `$XDG_RUNTIME_DIR/vivarium`, or `/tmp/vivarium-UID`; made where it is missing.
    ///
    /// - Throws: ``NetworkError/badFile(path:reason:)`` where others could reach into the folder.
    init() throws(NetworkError) {
        var folder = "/tmp/vivarium-\(geteuid())"
        if let runtime = unsafe getenv("XDG_RUNTIME_DIR") {
            let path = unsafe String(cString: runtime)
            if path.hasPrefix("/"), unsafe access(path, W_OK | X_OK) == 0 { folder = path + "/vivarium" }
        }
        try self.init(folder: folder)
    }

    init(folder: String) throws(NetworkError) {
        self.folder = folder
        if unsafe mkdir(folder, 0o700) != 0, errno != EEXIST {
            throw .cannotOpen(path: folder, cause: SystemCallError("mkdir", errno: errno))
        }
        var status = stat()
        guard unsafe lstat(folder, &status) == 0 else {
            throw .cannotOpen(path: folder, cause: SystemCallError("lstat", errno: errno))
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw .badFile(path: folder, reason: "not a folder") }
        guard status.st_uid == geteuid() else { throw .badFile(path: folder, reason: "belongs to another user") }
        guard status.st_mode & 0o077 == 0 else { throw .badFile(path: folder, reason: "open to other users") }
    }

    func socketPath(_ name: String) -> String { "\(folder)/lan-\(name).socket" }
    func lockPath(_ name: String) -> String { "\(folder)/lan-\(name).lock" }
}

/// Sequenced-packet sockets in the file system (unix(7)).
enum PacketSocket {
    /// The most that the host is asked to keep for a reader.
    private static let bufferByteCount: CInt = 4 << 20

    static func make() throws(SystemCallError) -> FileDescriptor {
        let kind = CInt(SOCK_SEQPACKET.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, kind, 0)
        guard descriptor >= 0 else { throw SystemCallError("socket", errno: errno) }
        return FileDescriptor(owning: descriptor)
    }

    static func enlarge(_ descriptor: CInt) {
        var size = bufferByteCount
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<CInt>.size))
    }

    static func connect(to path: String) throws(SystemCallError) -> FileDescriptor {
        let socket = try make()
        try unsafe withAddress(path, call: "connect") { unsafe Glibc.connect(socket.rawValue, $0, $1) }
        enlarge(socket.rawValue)
        return socket
    }

    static func listen(at path: String) throws(SystemCallError) -> FileDescriptor {
        let socket = try make()
        try unsafe withAddress(path, call: "bind") { unsafe bind(socket.rawValue, $0, $1) }
        guard Glibc.listen(socket.rawValue, 64) == 0 else { throw SystemCallError("listen", errno: errno) }
        return socket
    }

    private static func withAddress(
        _ path: String,
        call: String,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
    ) throws(SystemCallError) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw SystemCallError(call, errno: ENAMETOOLONG)
        }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw SystemCallError(call, errno: errno) }
    }

    /// What became of an attempt to send or receive without waiting.
    enum Outcome {
        case done(Int)
        case wouldWait
        case closed
    }

    static func send(_ bytes: [UInt8], to descriptor: CInt) -> Outcome {
        while true {
            let flags = CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL)
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, flags)
            }
            if count >= 0 { return .done(count) }
            switch errno {
            case EINTR: continue
            case EAGAIN, ENOBUFS: return .wouldWait
            default: return .closed
            }
        }
    }

    /// Receives one message; its end is lost where `buffer` is too small.
    static func receive(_ buffer: inout [UInt8], from descriptor: CInt) -> Outcome {
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe recv(descriptor, $0.baseAddress, $0.count, CInt(MSG_DONTWAIT))
            }
            if count > 0 { return .done(count) }
            if count == 0 { return .closed }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldWait
            default: return .closed
            }
        }
    }
}
