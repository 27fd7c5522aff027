internal import Glibc
internal import SystemCalls

/// Writes the file of a saved machine: beside its final place first, so that a file of that name is always whole.
public final class StateWriter {
    private let path: String
    private let temporaryPath: String
    private let descriptor: CInt
    private var sectionCount: UInt64 = 0

    /// Makes the temporary file, which only its owner may read: it holds the guest's memory.
    public init(path: String) throws(StateError) {
        self.path = path
        var template = Array((path + ".XXXXXX").utf8CString)
        descriptor = unsafe mkstemp(&template)
        guard descriptor >= 0 else { throw .host(file: path, SystemCallError("open", errno: errno)) }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        temporaryPath = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        var start = StateEncoder()
        start.encodeFixed(StateFormat.magic)
        start.encode(StateFormat.version)
        try Self.write(start.bytes, to: descriptor, path)
    }

    public func append(_ section: StateSection) throws(StateError) {
        guard section.contents.count <= StateFormat.sectionLimit else {
            throw .section(file: path, name: section.name, .badLength(UInt64(section.contents.count)))
        }
        let header = section.header
        var sum = Checksum()
        sum.update(header)
        sum.update(section.contents)
        var tail = StateEncoder()
        tail.encode(sum.value)
        try Self.write(header, to: descriptor, path)
        try Self.write(section.contents, to: descriptor, path)
        try Self.write(tail.bytes, to: descriptor, path)
        sectionCount += 1
    }

    /// Ends the file, brings it to stable storage and gives it its name; the last call.
    public func finish() throws(StateError) {
        var count = StateEncoder()
        count.encode(sectionCount)
        try append(StateSection(name: StateFormat.end, version: 1, contents: count.bytes))
        guard fsync(descriptor) == 0 else { throw .host(file: path, SystemCallError("fsync", errno: errno)) }
        guard unsafe rename(temporaryPath, path) == 0 else {
            throw .host(file: path, SystemCallError("rename", errno: errno))
        }
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let directory = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw .host(file: path, SystemCallError("open", errno: errno)) }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw .host(file: path, SystemCallError("fsync", errno: errno)) }
    }

    /// What was not finished leaves nothing behind.
    deinit {
        close(descriptor)
        unsafe unlink(temporaryPath)
    }

    private static func write(_ bytes: [UInt8], to descriptor: CInt, _ path: String) throws(StateError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw .host(file: path, SystemCallError("write", errno: count < 0 ? errno : ENOSPC))
            }
            rest = rest.dropFirst(count)
        }
    }
}
