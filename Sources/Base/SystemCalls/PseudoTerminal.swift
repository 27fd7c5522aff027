internal import CLinux
import Glibc

/// The controlling side of a pseudo-terminal (pty(7)) whose other side is raw.
///
/// Both sides stay open, so that programs may come and go on the other one.
public struct PseudoTerminal: ~Copyable, Sendable {
    /// Non-blocking.
    public var descriptor: CInt { controlling.rawValue }
    /// The other side's path.
    public let path: String
    private let controlling: FileDescriptor
    private let other: FileDescriptor

    public init() throws(SystemCallError) {
        var name = [CChar](repeating: 0, count: 128)
        let primary = unsafe clinux_openpt(&name, name.count)
        guard primary >= 0 else { throw SystemCallError("posix_openpt", errno: -primary) }
        let path = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let secondary = unsafe open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
        guard secondary >= 0 else {
            let cause = errno
            close(primary)
            throw SystemCallError("open", errno: cause)
        }
        var modes = termios()
        unsafe tcgetattr(secondary, &modes)
        unsafe cfmakeraw(&modes)
        unsafe tcsetattr(secondary, TCSANOW, &modes)
        _ = fcntl(primary, F_SETFL, fcntl(primary, F_GETFL) | O_NONBLOCK)
        controlling = FileDescriptor(owning: primary)
        other = FileDescriptor(owning: secondary)
        self.path = path
    }
}
