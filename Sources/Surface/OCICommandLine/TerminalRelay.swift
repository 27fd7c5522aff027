internal import CContainer
internal import Glibc
internal import OCIRuntime
internal import SystemCalls

/// A terminal of a container's, connected with this program's own.
final class TerminalRelay {
    /// The socket to which the terminal is sent.
    let path: String
    private let folder: String
    private let listener: FileDescriptor

    init() throws(RuntimeError) {
        var template = Array("/tmp/viv-oci.XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw RuntimeError("cannot create a folder in /tmp") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        path = folder + "/tty"
        listener = FileDescriptor(owning: socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: Array(path.utf8)) }
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(listener.rawValue, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0, listen(listener.rawValue, 1) == 0 else { throw RuntimeError("cannot listen at \(path)") }
    }

    deinit {
        unsafe unlink(path)
        unsafe rmdir(folder)
    }

    /// Moves bytes both ways until the process has ended.
    func relay(_ process: Int32) throws(RuntimeError) -> Int32 {
        let client = accept(listener.rawValue, nil, nil)
        let terminal = client < 0 ? -1 : ccontainer_receive_descriptor(client)
        close(client)
        guard terminal >= 0 else { throw RuntimeError("the container sent no terminal") }
        defer { close(terminal) }
        Self.copySize(to: terminal)
        var old = termios()
        let isTerminal = unsafe tcgetattr(0, &old) == 0
        if isTerminal {
            var raw = old
            unsafe cfmakeraw(&raw)
            unsafe tcsetattr(0, TCSANOW, &raw)
        }
        defer { if isTerminal { unsafe tcsetattr(0, TCSANOW, &old) } }
        var set = Forwarding.set
        let signals = unsafe ccontainer_signal_descriptor(&set)
        defer { close(signals) }
        var watched = [
            pollfd(fd: 0, events: Int16(POLLIN), revents: 0), pollfd(fd: terminal, events: Int16(POLLIN), revents: 0),
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
        ]
        var status: Int32?
        while true {
            guard unsafe poll(&watched, 3, status == nil ? -1 : 100) >= 0 || errno == EINTR else { break }
            if watched[0].revents != 0, !Self.move(0, terminal) { watched[0].fd = -1 }
            let hasOutput = watched[1].revents != 0 && Self.move(terminal, 1)
            if status != nil, !hasOutput { break }
            if watched[2].revents != 0 {
                let number = ccontainer_read_signal(signals)
                if number == SIGWINCH {
                    Self.copySize(to: terminal)
                } else if number != SIGCHLD, number != SIGURG {
                    kill(process, number)
                }
            }
            if status == nil { status = Forwarding.status(process) }
        }
        return status ?? Forwarding.wait(process)
    }

    /// Rows and columns of this program's terminal.
    private static func copySize(to terminal: Int32) {
        var size = winsize()
        guard unsafe ioctl(0, UInt(TIOCGWINSZ), &size) == 0 else { return }
        _ = unsafe ioctl(terminal, UInt(TIOCSWINSZ), &size)
    }

    private static func move(_ source: Int32, _ target: Int32) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 4096)
        let count = unsafe chunk.withUnsafeMutableBytes { unsafe read(source, $0.baseAddress, $0.count) }
        guard count > 0 else { return count < 0 && errno == EINTR }
        var rest = chunk[..<count]
        while !rest.isEmpty {
            let written = unsafe rest.withUnsafeBytes { unsafe write(target, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return false }
            rest = rest.dropFirst(written)
        }
        return true
    }
}
