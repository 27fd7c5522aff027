internal import Glibc
internal import SystemCalls

/// A stream socket of the host's, never blocking; closed when the last reference is gone.
final class VsockSocket: Sendable {
    enum Transfer: Hashable {
        case moved(Int)
        case wouldBlock
        /// The other side sends no more.
        case ended
        case failed
    }

    private let file: FileDescriptor
    var descriptor: CInt { file.rawValue }

    /// Takes over `descriptor`.
    init(owning descriptor: CInt) {
        file = FileDescriptor(owning: descriptor)
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }

    /// Connects to the Unix socket at `path`, or gives nil where nobody listens, or too many wait.
    convenience init?(path: String) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let flags = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        let socket = Glibc.socket(AF_UNIX, flags, 0)
        guard socket >= 0 else { return nil }
        self.init(owning: socket)
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { return nil }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        while true {
            let count = unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 { return .moved(count) }
            if count == 0 { return .ended }
            if errno != EINTR { return errno == EAGAIN ? .wouldBlock : .failed }
        }
    }

    func write(_ buffer: UnsafeRawBufferPointer) -> Transfer {
        while true {
            let count = unsafe send(descriptor, buffer.baseAddress, buffer.count, CInt(MSG_NOSIGNAL))
            if count >= 0 { return .moved(count) }
            if errno != EINTR { return errno == EAGAIN ? .wouldBlock : .failed }
        }
    }

    /// Looks at waiting bytes without taking them.
    func peek(byteCount: Int) -> (bytes: [UInt8], transfer: Transfer) {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        let count = unsafe recv(descriptor, &bytes, byteCount, CInt(MSG_PEEK))
        if count > 0 { return (Array(bytes[..<count]), .moved(count)) }
        if count == 0 { return ([], .ended) }
        return ([], errno == EAGAIN || errno == EINTR ? .wouldBlock : .failed)
    }

    /// Whether the other side neither sends nor takes anything more.
    var isGone: Bool {
        var entry = pollfd(fd: descriptor, events: 0, revents: 0)
        return unsafe poll(&entry, 1, 0) > 0 && entry.revents & Int16(POLLHUP | POLLERR) != 0
    }

    func stopSending() { shutdown(descriptor, CInt(SHUT_WR)) }
    func stopReceiving() { shutdown(descriptor, CInt(SHUT_RD)) }
}
