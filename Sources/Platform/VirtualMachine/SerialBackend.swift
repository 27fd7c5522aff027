internal import Glibc
public import LegacyDevices
internal import Synchronization
internal import SystemCalls

/// The host's end of a serial port. It outlives resets of the machine: ``connect(_:)`` names the port that gets the input.
public final class SerialBackend: SerialOutput {
    /// Looks at input on its way to the guest and gives what is left of it.
    public typealias InputFilter = @Sendable ([UInt8]) -> [UInt8]

    private static let backlogLimit = 1 << 16

    private let output: OutputQueue
    private let receiver = Mutex<UART16550A?>(nil)
    private let filter: InputFilter?
    /// The path of the pseudo-terminal, for the user.
    public let terminalPath: String?

    /// Opens what `port` names and starts reading from it.
    ///
    /// - Parameter filter: Called on the reading thread with everything typed on standard input.
    public init(_ port: SerialPort, filter: InputFilter? = nil) throws(MachineError) {
        self.filter = filter
        let input: CInt
        var path: String?
        switch port {
        case .standardIO:
            input = STDIN_FILENO
            output = OutputQueue(descriptor: STDOUT_FILENO)
        case .disconnected:
            input = -1
            output = OutputQueue(descriptor: -1)
        case .file(let path):
            let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0o644)
            guard file >= 0 else { throw .cannotOpen(path: path, cause: SystemCallError("open", errno: errno)) }
            input = -1
            output = OutputQueue(descriptor: file)
        case .pseudoTerminal:
            let terminal: PseudoTerminal
            do throws(SystemCallError) { terminal = try PseudoTerminal() } catch {
                throw .cannotMakePseudoTerminal(cause: error)
            }
            input = terminal.descriptor
            path = terminal.path
            output = OutputQueue(descriptor: terminal.descriptor, dropsWhenFull: true)
        case .unixSocket(let path):
            let socket: CInt
            do throws(SystemCallError) { socket = try UnixSocket.listen(at: path) } catch {
                throw .cannotOpen(path: path, cause: error)
            }
            input = -1
            output = OutputQueue(descriptor: -1)
            terminalPath = nil
            try startThread { [self] in serve(socket) }
            try startThread { [output] in output.run() }
            return
        }
        terminalPath = path
        try startThread { [output] in output.run() }
        if input >= 0 { try startThread { [self] in read(from: input) } }
    }

    /// Hands everything that comes in from now on to `port`.
    public func connect(_ port: UART16550A) { receiver.withLock { $0 = port } }

    public func write(_ bytes: [UInt8]) { output.append(bytes) }

    /// Waits until everything that was sent is written.
    public func drain() { output.drain() }

    private func startThread(_ body: @escaping @Sendable () -> Void) throws(MachineError) {
        do throws(SystemCallError) { try HostThread.start(body) } catch {
            throw .cannotOpen(path: "serial port", cause: error)
        }
    }

    /// Reads until the end of the input, or an error.
    private func read(from descriptor: CInt) {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe Glibc.read(descriptor, $0.baseAddress, $0.count)
            }
            if count > 0 {
                let bytes = Array(buffer[..<count])
                let rest = filter.map { $0(bytes) } ?? bytes
                deliver(rest)
            } else if count < 0, errno == EAGAIN {
                var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                unsafe poll(&ready, 1, -1)
            } else if count == 0 || errno != EINTR {
                return
            }
        }
    }

    private func deliver(_ bytes: [UInt8]) {
        // Reads no further while the guest has this much before it.
        while let port = receiver.withLock({ $0 }), port.unreadByteCount > Self.backlogLimit { usleep(1000) }
        if !bytes.isEmpty { receiver.withLock { $0 }?.receive(bytes) }
    }

    /// Serves one client of a socket after another; what the guest sends meanwhile is lost.
    private func serve(_ socket: CInt) {
        while true {
            let client = unsafe accept(socket, nil, nil)
            guard client >= 0 else {
                if errno == EINTR || errno == ECONNABORTED { continue }
                return
            }
            output.redirect(to: client)
            read(from: client)
            output.redirect(to: -1)
            close(client)
        }
    }
}
