internal import Glibc
internal import Synchronization
internal import SystemCalls

/// Serves the control socket of a machine: any number of clients up to a limit, a thread each.
public final class ControlServer: Sendable {
    private static let clientLimit = 32
    /// The longest request, in bytes.
    private static let lineLimit = 8192

    private let path: String
    private let socket: CInt
    private let control: MachineControl
    private let state = Mutex(State())

    private struct State {
        var clientCount = 0
        /// Requests that were read and not answered yet.
        var openCount = 0
    }

    /// Makes the socket, to which only its owner may connect, and starts to serve it.
    public init(path: String, control: MachineControl) throws(MachineError) {
        self.path = path
        self.control = control
        do throws(SystemCallError) {
            socket = try UnixSocket.listen(at: path, backlog: 16, isPrivate: true)
            try HostThread.start { [self] in accept() }
        } catch {
            throw .cannotOpen(path: path, cause: error)
        }
    }

    /// Removes the socket, once the answers that are due were written; a client that does not read is not waited for.
    public func close() {
        for _ in 0..<200 where state.withLock({ $0.openCount > 0 }) { usleep(5000) }
        unsafe unlink(path)
    }

    private func accept() {
        while true {
            let client = Glibc.accept(socket, nil, nil)
            guard client >= 0 else {
                if errno == EINTR || errno == ECONNABORTED { continue }
                // Out of descriptors or memory: others may give some back.
                usleep(100_000)
                continue
            }
            let isWelcome = state.withLock { state in
                guard state.clientCount < Self.clientLimit else { return false }
                state.clientCount += 1
                return true
            }
            guard isWelcome else {
                Self.write(ControlAnswer.refused("there are \(Self.clientLimit) clients already").json, to: client)
                Glibc.close(client)
                continue
            }
            do throws(SystemCallError) {
                try HostThread.start { [self] in serve(client) }
            } catch {
                Self.write(ControlAnswer.refused("\(error)").json, to: client)
                leave(client)
            }
        }
    }

    private func leave(_ client: CInt) {
        Glibc.close(client)
        state.withLock { $0.clientCount -= 1 }
    }

    /// Answers one client's lines until it goes.
    private func serve(_ client: CInt) {
        defer { leave(client) }
        var buffer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe read(client, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            buffer += chunk[..<count]
            while let end = buffer.firstIndex(of: 0x0A) {
                let line = String(decoding: buffer[..<end].filter { $0 != 0x0D }, as: UTF8.self)
                buffer.removeFirst(end + 1)
                state.withLock { $0.openCount += 1 }
                Self.write(answer(to: line), to: client)
                state.withLock { $0.openCount -= 1 }
            }
            guard buffer.count <= Self.lineLimit else {
                Self.write(ControlAnswer.refused("a request is longer than \(Self.lineLimit) bytes").json, to: client)
                return
            }
        }
    }

    private func answer(to line: String) -> String {
        let word = line.split(separator: " ").first ?? ""
        if word == "help" { return ControlAnswer.helpJSON }
        guard let request = ControlRequest(line: line) else {
            return ControlAnswer.refused("there is no command '\(line)': try help").json
        }
        return control.perform(request).json
    }

    private static func write(_ line: String, to client: CInt) {
        var rest = Array((line + "\n").utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe send(client, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
