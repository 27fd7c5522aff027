internal import Glibc

/// A process of the host's as /proc tells of it.
enum HostProcess {
    /// The state letter and the start time in clock ticks; nil where there is no such process.
    static func facts(of process: Int32) -> (state: Character, startTime: UInt64)? {
        guard process > 0, let text = HostText.read("/proc/\(process)/stat"), let end = text.lastIndex(of: ")") else {
            return nil
        }
        let fields = text[end...].dropFirst(2).split(separator: " ")
        guard fields.count > 19, let state = fields[0].first, let time = UInt64(fields[19]) else { return nil }
        return (state, time)
    }

    /// Whether it is the process that started then, and has not ended.
    static func isAlive(_ process: Int32, since startTime: UInt64) -> Bool {
        guard let facts = facts(of: process) else { return false }
        return facts.startTime == startTime && facts.state != "Z" && facts.state != "X"
    }
}

/// Small files of text.
enum HostText {
    static func read(_ path: String) -> String? { bytes(path).map { String(decoding: $0, as: UTF8.self) } }

    /// Nil where the file cannot be read; `limit` bytes at most.
    static func bytes(_ path: String, limit: Int = 16 << 20) -> [UInt8]? {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while bytes.count < limit {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return count == 0 ? bytes : nil }
            bytes += chunk[..<count]
        }
        return bytes
    }

    /// Writes a file whole: beside its place, to stable storage, and into its place.
    static func replace(_ path: String, _ text: String, mode: UInt32 = 0o600) throws(ContainerError) {
        let temporary = path + ".new"
        let file = unsafe open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard file >= 0 else { throw .failed(action: "create \(temporary)", errno: errno) }
        defer { close(file) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .failed(action: "write \(temporary)", errno: errno) }
            rest = rest.dropFirst(count)
        }
        guard fdatasync(file) == 0, unsafe rename(temporary, path) == 0 else {
            throw .failed(action: "write \(path)", errno: errno)
        }
    }
}
