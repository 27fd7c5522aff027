internal import Glibc
internal import SystemCalls

/// Stream sockets in the file system (unix(7)).
enum UnixSocket {
    /// A listening socket that replaces one that is left at `path`; any other file there is an error.
    ///
    /// `isPrivate`: Only its owner may connect, and a socket that somebody listens on stays.
    static func listen(at path: String, backlog: CInt = 1, isPrivate: Bool = false) throws(SystemCallError) -> CInt {
        if isPrivate, let served = try? connect(to: path) {
            close(served)
            throw SystemCallError("bind", errno: EADDRINUSE)
        }
        let socket = try make(path, "bind")
        var status = stat()
        if unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK { unsafe unlink(path) }
        // The mode of a socket that is not bound yet becomes that of its file.
        if isPrivate { fchmod(socket.descriptor, 0o600) }
        let bound = unsafe call(socket) { unsafe bind($0, $1, $2) }
        guard bound == 0, Glibc.listen(socket.descriptor, backlog) == 0 else {
            let cause = errno
            close(socket.descriptor)
            throw SystemCallError("bind", errno: cause)
        }
        return socket.descriptor
    }

    /// A socket connected to the one that somebody listens on at `path`.
    static func connect(to path: String) throws(SystemCallError) -> CInt {
        let socket = try make(path, "connect")
        guard unsafe call(socket, { unsafe Glibc.connect($0, $1, $2) }) == 0 else {
            let cause = errno
            close(socket.descriptor)
            throw SystemCallError("connect", errno: cause)
        }
        return socket.descriptor
    }

    private static func make(
        _ path: String,
        _ purpose: String
    ) throws(SystemCallError) -> (descriptor: CInt, address: sockaddr_un) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        let bytes = Array(path.utf8)
        guard bytes.count < room else { throw SystemCallError(purpose, errno: ENAMETOOLONG) }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let socket = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { throw SystemCallError("socket", errno: errno) }
        return (socket, address)
    }

    private static func call(
        _ socket: (descriptor: CInt, address: sockaddr_un),
        _ body: (CInt, UnsafePointer<sockaddr>, socklen_t) -> CInt
    ) -> CInt {
        unsafe withUnsafePointer(to: socket.address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body(socket.descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
