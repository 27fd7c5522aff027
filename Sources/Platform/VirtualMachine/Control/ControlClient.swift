internal import Glibc
public import SystemCalls

/// One request to the control socket of a machine.
public enum ControlClient {
    /// Sends `line` and returns the answer, a line of JSON.
    public static func send(_ line: String, to path: String) throws(SystemCallError) -> String {
        let socket = FileDescriptor(owning: try UnixSocket.connect(to: path))
        var rest = Array((line + "\n").utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(socket.rawValue, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw SystemCallError("send", errno: errno) }
            rest = rest.dropFirst(count)
        }
        var answer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while !answer.contains(0x0A) {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe read(socket.rawValue, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw SystemCallError("read", errno: count < 0 ? errno : ECONNRESET) }
            answer += chunk[..<count]
        }
        return String(decoding: answer.prefix { $0 != 0x0A }, as: UTF8.self)
    }
}
