internal import Glibc
public import LegacyDevices
internal import Synchronization
internal import SystemCalls
internal import VirtioConsole

/// The host's end of a serial port.
///
/// It outlives resets of the machine: ``connect(_:)`` names the port that gets the input.
public final class SerialBackend: SerialOutput {
    /// Looks at input on its way to the guest and gives what is left of it.
    public typealias InputFilter = @Sendable ([UInt8]) -> [UInt8]

    private let output: OutputQueue
    /// Who gets the input; held while it takes some.
    private let receiver = Mutex(Receiver())

    private struct Receiver {
        var device: (any SerialInput)?
        /// Input waits.
        var isPaused = false
    }
    private let filter: InputFilter?
    /// The path of the pseudo-terminal, for the user.
    public let terminalPath: String?

    /// Opens what `port` names and starts reading from it.
    ///
    /// `filter`: Called on the reading thread with everything typed on standard input.
    public init(_ port: SerialPort, filter: InputFilter? = nil) throws(MachineError) {
        self.filter = filter
        let input: CInt
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
            output = OutputQueue(descriptor: terminal.descriptor, dropsWhenFull: true)
            terminalPath = terminal.path
            let kept = OpenTerminal(terminal)
            try startThread { [output] in output.run() }
            try startThread { [self] in read(from: kept.terminal.descriptor) }
            return
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
        terminalPath = nil
        try startThread { [output] in output.run() }
        if input >= 0 { try startThread { [self] in read(from: input) } }
    }

    /// Hands everything that comes in from now on to `device`.
    func connect(_ device: any SerialInput) { receiver.withLock { $0.device = device } }

    /// Keeps input back: no device is given any when this returns.
    func pause() { receiver.withLock { $0.isPaused = true } }
    func resume() { receiver.withLock { $0.isPaused = false } }

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
        var rest = bytes[...]
        while !rest.isEmpty {
            let taken = receiver.withLock { receiver -> Int? in
                guard !receiver.isPaused else { return 0 }
                return receiver.device?.take(Array(rest))
            }
            guard let taken else { return }
            rest = rest.dropFirst(taken)
            if !rest.isEmpty { usleep(1000) }
        }
    }

    /// Serves one client of a socket after another; what the guest sends meanwhile is lost.
    private func serve(_ socket: CInt) {
        while true {
            let client = accept(socket, nil, nil)
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

/// A device that input for a serial port goes to.
protocol SerialInput: AnyObject, Sendable {
    /// - Returns: How many of the bytes were taken; the rest is offered again.
    func take(_ bytes: [UInt8]) -> Int
}

extension UART16550A: SerialInput {
    private static var backlogLimit: Int { 1 << 16 }

    func take(_ bytes: [UInt8]) -> Int {
        guard unreadByteCount < Self.backlogLimit else { return 0 }
        receive(bytes)
        return bytes.count
    }
}

extension VirtioConsole: SerialInput {
    func take(_ bytes: [UInt8]) -> Int { receive(bytes) }
}

/// Keeps a pseudo-terminal open for the thread that reads from it.
private final class OpenTerminal: Sendable {
    let terminal: PseudoTerminal
    init(_ terminal: consuming PseudoTerminal) { self.terminal = terminal }
}

/// Output that nobody hears.
final class DroppedOutput: SerialOutput {
    func write(_ bytes: [UInt8]) {}
}
