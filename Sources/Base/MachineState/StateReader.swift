internal import Glibc
internal import SystemCalls

/// Reads the sections of a saved machine one after another, each whole and checked.
public final class StateReader {
    public let path: String
    private let file: FileDescriptor
    private var left: UInt64
    private var sectionCount: UInt64 = 0
    private var isOver = false

    /// Opens the file and reads how it starts.
    public init(path: String) throws(StateError) {
        self.path = path
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .host(file: path, SystemCallError("open", errno: errno)) }
        file = FileDescriptor(owning: descriptor)
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else {
            throw .host(file: path, SystemCallError("fstat", errno: errno))
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .notSavedMachine(file: path) }
        left = UInt64(clamping: status.st_size)
        let startByteCount = StateFormat.magic.count + 4
        guard left >= startByteCount else { throw .notSavedMachine(file: path) }
        let start = try read(startByteCount, "the start")
        guard Array(start.prefix(StateFormat.magic.count)) == StateFormat.magic else {
            throw .notSavedMachine(file: path)
        }
        var decoder = StateDecoder(start[StateFormat.magic.count...])
        let version = (try? decoder.decode(UInt32.self, "format version")) ?? 0
        guard version == StateFormat.version else { throw .badFormat(file: path, version: version) }
    }

    /// The next section, or nil after the last.
    public func next() throws(StateError) -> StateSection? {
        if isOver { return nil }
        let place = "section \(sectionCount + 1)"
        let header = try read(StateFormat.sectionHeaderByteCount, place)
        guard Array(header.prefix(4)) == StateFormat.sectionMagic, sectionCount < StateFormat.sectionCountLimit else {
            throw .section(
                file: path,
                name: "\(sectionCount + 1)",
                .badValue(field: "start", value: "\(header.prefix(4))")
            )
        }
        var decoder = StateDecoder(header[4...])
        let nameByteCount: Int
        let version: UInt16
        let length: UInt64
        do throws(StateFault) {
            nameByteCount = Int(try decoder.decode(in: UInt16(1)...UInt16(StateFormat.nameLimit), "name length"))
            version = try decoder.decode(UInt16.self, "version")
            length = try decoder.decode(UInt64.self, "length")
        } catch {
            throw .section(file: path, name: "\(sectionCount + 1)", error)
        }
        let nameBytes = try read(nameByteCount, place)
        let name = Self.printable(nameBytes)
        guard length <= StateFormat.sectionLimit else {
            throw .section(file: path, name: name, .badLength(length))
        }
        let contents = try read(Int(length), "section '\(name)'")
        let tail = try read(4, "section '\(name)'")
        var sum = Checksum()
        sum.update(header)
        sum.update(nameBytes)
        sum.update(contents)
        var tailDecoder = StateDecoder(tail)
        let found = (try? tailDecoder.decode(UInt32.self, "checksum")) ?? 0
        guard found == sum.value else {
            throw .section(file: path, name: name, .badChecksum(found: found, expected: sum.value))
        }
        if name == StateFormat.end {
            try checkEnd(contents)
            return nil
        }
        sectionCount += 1
        return StateSection(name: name, version: version, contents: contents)
    }

    private func checkEnd(_ contents: [UInt8]) throws(StateError) {
        var decoder = StateDecoder(contents)
        do throws(StateFault) {
            try decoder.expect(sectionCount, "number of sections")
            try decoder.finish()
            guard left == 0 else { throw .leftover(byteCount: Int(clamping: left)) }
        } catch {
            throw .section(file: path, name: StateFormat.end, error)
        }
        isOver = true
    }

    /// A name as a message may show it.
    private static func printable(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.map { (0x20..<0x7F).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }

    private func read(_ byteCount: Int, _ place: String) throws(StateError) -> [UInt8] {
        guard byteCount <= left else { throw .endsEarly(file: path, section: place) }
        var cause: CInt?
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, filled in
            while filled < byteCount, let base = buffer.baseAddress {
                let count = unsafe Glibc.read(file.rawValue, base + filled, byteCount - filled)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else {
                    cause = count < 0 ? errno : 0
                    return
                }
                filled += count
            }
        }
        if let cause {
            // The file was cut since it was opened.
            if cause == 0 { throw .endsEarly(file: path, section: place) }
            throw .host(file: path, SystemCallError("read", errno: cause))
        }
        left -= UInt64(byteCount)
        return bytes
    }
}
