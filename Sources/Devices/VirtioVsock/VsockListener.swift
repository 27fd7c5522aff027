internal import Glibc
internal import SystemCalls

/// The listening Unix socket that the host's clients connect to; its file goes away with the last reference.
///
/// It outlives resets of the machine: clients that come meanwhile wait.
public final class VsockListener: Sendable {
    public let path: String
    private let socket: VsockSocket

    /// Takes over `descriptor`, which listens at `path`.
    public init(owning descriptor: CInt, path: String) {
        self.path = path
        socket = VsockSocket(owning: descriptor)
    }

    var descriptor: CInt { socket.descriptor }

    deinit { unsafe unlink(path) }
}
