import Glibc
import MachineState
import Testing

/// A part with a number and some bytes.
private final class Part: Saveable, @unchecked Sendable {
    // SAFETY: each test uses its own on one thread.
    var number: UInt32 = 0
    var bytes: [UInt8] = []
    let stateName = "part"
    let stateVersion: UInt16 = 3

    func save(into encoder: inout StateEncoder) throws(StateFault) {
        encoder.encode(number)
        encoder.encode(bytes)
    }

    func load(from decoder: inout StateDecoder) throws(StateFault) {
        number = try decoder.decode(in: UInt32(0)...99, "number")
        bytes = try decoder.decodeBytes(limit: 16, "bytes")
    }
}

@Suite struct FieldTests {
    @Test func `Fields come back in their order`() throws {
        var encoder = StateEncoder()
        encoder.encode(UInt16(0x1234))
        encoder.encode(Int64(-5))
        encoder.encode(true)
        encoder.encode(UInt8?.none)
        encoder.encode(UInt64?(7))
        encoder.encode([1, 2, 3] as [UInt8])
        encoder.encode("näme")
        encoder.encodeFixed([9] as [UInt8])
        #expect(encoder.bytes.prefix(2) == [0x34, 0x12])
        var decoder = StateDecoder(encoder.bytes)
        #expect(try decoder.decode(UInt16.self, "a") == 0x1234)
        #expect(try decoder.decode(Int64.self, "b") == -5)
        #expect(try decoder.decode(Bool.self, "c"))
        #expect(try decoder.decodeOptional(UInt8.self, "d") == nil)
        #expect(try decoder.decodeOptional(UInt64.self, "e") == 7)
        #expect(try decoder.decodeBytes(limit: 3, "f") == [1, 2, 3])
        #expect(try decoder.decodeString("g") == "näme")
        #expect(try decoder.decodeFixed(1, "h") == [9])
        try decoder.finish()
        #expect(throws: StateFault.truncated(field: "i")) { try decoder.decode(UInt8.self, "i") }
    }

    @Test func `Values that a field cannot have are named`() {
        var decoder = StateDecoder([2, 200, 0xF0, 0xFF, 0xFF, 0xFF, 0x7F])
        #expect(throws: StateFault.badValue(field: "flag", value: "2")) { try decoder.decode(Bool.self, "flag") }
        #expect(throws: StateFault.badValue(field: "small", value: "200")) {
            try decoder.decode(in: UInt8(0)...3, "small")
        }
        #expect(throws: StateFault.badValue(field: "bits", value: "0xf0")) {
            try decoder.decode(mask: UInt8(1), "bits")
        }
        #expect(throws: StateFault.badValue(field: "bytes", value: "\(0x7FFF_FFFF) bytes long")) {
            try decoder.decodeBytes(limit: 10, "bytes")
        }
        #expect(throws: StateFault.truncated(field: "rest")) { try decoder.decodeFixed(.max, "rest") }
    }

    @Test func `A section of another version, or with bytes to spare, is refused`() throws {
        let part = Part()
        part.number = 7
        var section = try StateSection("part", saving: part)
        try section.load(into: Part())
        section.version = 2
        #expect(throws: StateFault.badVersion(found: 2, expected: 3)) { try section.load(into: Part()) }
        section.version = 3
        section.contents.append(0)
        #expect(throws: StateFault.leftover(byteCount: 1)) { try section.load(into: Part()) }
    }
}

@Suite struct FileTests {
    private let folder: String

    init() throws {
        var template = Array("/tmp/viv-state.XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private var path: String { folder + "/machine.state" }

    private func remove() {
        unlink(path)
        rmdir(folder)
    }

    private func bytes() throws -> [UInt8] {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes.prefix(count))
    }

    private func write(_ bytes: [UInt8]) throws {
        let file = try #require(fopen(path, "w"))
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }

    private func sections() throws -> [StateSection] {
        let reader = try StateReader(path: path)
        var sections: [StateSection] = []
        while let section = try reader.next() { sections.append(section) }
        return sections
    }

    private func writeSample() throws {
        let writer = try StateWriter(path: path)
        try writer.append(StateSection(name: "first", version: 1, contents: Array(0..<37)))
        try writer.append(StateSection(name: "empty", version: 9, contents: []))
        try writer.append(StateSection(name: "third", version: 2, contents: [1]))
        try writer.finish()
    }

    @Test func `Sections come back, and only the owner may read the file`() throws {
        defer { remove() }
        try writeSample()
        let sections = try sections()
        #expect(sections.map(\.name) == ["first", "empty", "third"])
        #expect(sections.map(\.version) == [1, 9, 2])
        #expect(sections.map(\.contents) == [Array(0..<37), [], [1]])
        var status = stat()
        stat(path, &status)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test func `What is not finished leaves the old file and nothing else`() throws {
        defer { remove() }
        try writeSample()
        let before = try bytes()
        do {
            let writer = try StateWriter(path: path)
            try writer.append(StateSection(name: "other", version: 1, contents: []))
        }
        #expect(try bytes() == before)
        unlink(path)
        #expect(rmdir(folder) == 0, "a temporary file is left")
    }

    @Test func `A file cut anywhere, or with any bit flipped, is refused with its name`() throws {
        defer { remove() }
        try writeSample()
        let whole = try bytes()
        for count in 0..<whole.count {
            try write(Array(whole.prefix(count)))
            let error = #expect(throws: StateError.self) { try sections() }
            #expect("\(error.map { "\($0)" } ?? "")".hasPrefix(path + ": "), "\(count) bytes")
        }
        for index in whole.indices {
            for bit in 0..<8 {
                var damaged = whole
                damaged[index] ^= 1 << UInt8(bit)
                try write(damaged)
                #expect(throws: StateError.self, "bit \(bit) of byte \(index)") { try sections() }
            }
        }
        try write(whole + [0])
        #expect(throws: StateError.section(file: path, name: "end", .leftover(byteCount: 1))) { try sections() }
    }

    @Test func `An absurd length is refused before it is believed`() throws {
        defer { remove() }
        try writeSample()
        var bytes = try bytes()
        for index in 20..<28 { bytes[index] = 0xFF }
        try write(bytes)
        #expect(throws: StateError.section(file: path, name: "first", .badLength(.max))) { try sections() }
    }

    @Test func `What is no saved machine, or is not there, is told`() throws {
        defer { remove() }
        #expect(throws: StateError.self) { try sections() }
        try write(Array("not a machine at all".utf8))
        #expect(throws: StateError.notSavedMachine(file: path)) { try sections() }
        try writeSample()
        var bytes = try bytes()
        bytes[8] = 77
        try write(bytes)
        #expect(throws: StateError.badFormat(file: path, version: 77)) { try sections() }
        #expect(throws: StateError.notSavedMachine(file: folder)) { try StateReader(path: folder) }
    }
}
