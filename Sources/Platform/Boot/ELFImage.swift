/// The parts of an ELF file of 32 or 64 bits that a loader needs, checked against the file's length (System V gABI chapters 4, 5).
struct ELFImage: Sendable {
    /// A program header.
    struct Segment: Sendable {
        let type: UInt32
        let fileOffset: UInt64
        let fileByteCount: UInt64
        let physicalAddress: UInt64
        let memoryByteCount: UInt64
        let alignment: UInt64
    }

    static let magic: UInt32 = 0x464C_457F
    static let loadType: UInt32 = 1
    static let noteType: UInt32 = 4

    let is64Bit: Bool
    let entry: UInt64
    let segments: [Segment]

    /// - Throws: A ``BootError`` that names the field which is wrong or lies beyond the file's end.
    init(_ file: HostFile) throws(BootError) {
        let header = HeaderReader(file)
        let path = file.path
        let magic = try header.load(UInt32.self, at: 0, "the ELF magic")
        guard magic == Self.magic else {
            throw .wrongMagic(path: path, field: "the ELF magic", found: UInt64(magic), expected: UInt64(Self.magic))
        }
        let fileClass = try header.load(UInt8.self, at: 4, "the ELF class")
        guard fileClass == 1 || fileClass == 2 else {
            throw .badField(path: path, field: "the ELF class", value: UInt64(fileClass))
        }
        let encoding = try header.load(UInt8.self, at: 5, "the ELF data encoding")
        guard encoding == 1 else {
            throw .unsupported(
                path: path,
                field: "the ELF data encoding",
                value: "\(encoding)",
                wanted: "little-endian (1)"
            )
        }
        let machine = try header.load(UInt16.self, at: 18, "the ELF machine")
        guard machine == 3 || machine == 62 else {
            throw .unsupported(path: path, field: "the ELF machine", value: "\(machine)", wanted: "x86 (3 or 62)")
        }
        let wide = fileClass == 2
        is64Bit = wide
        func word(_ offset: Int, _ field: String) throws(BootError) -> UInt64 {
            wide
                ? try header.load(UInt64.self, at: offset, field)
                : UInt64(try header.load(UInt32.self, at: offset, field))
        }
        entry = try word(24, "e_entry")
        let tableOffset = try word(wide ? 32 : 28, "e_phoff")
        let entryByteCount = try header.load(UInt16.self, at: wide ? 54 : 42, "e_phentsize")
        let count = try header.load(UInt16.self, at: wide ? 56 : 44, "e_phnum")
        let expected: UInt16 = wide ? 56 : 32
        guard count == 0 || entryByteCount == expected else {
            throw .badField(path: path, field: "e_phentsize", value: UInt64(entryByteCount))
        }
        let (tableEnd, overflow) = tableOffset.addingReportingOverflow(UInt64(count) * UInt64(expected))
        guard !overflow else { throw .badField(path: path, field: "e_phoff", value: tableOffset) }
        guard tableEnd <= UInt64(header.byteCount) else {
            throw header.truncated("the program header table", needed: tableEnd)
        }

        var segments: [Segment] = []
        for index in 0..<Int(count) {
            let base = Int(tableOffset) + index * Int(expected)
            let name = "program header \(index)"
            let segment = Segment(
                type: try header.load(UInt32.self, at: base, name),
                fileOffset: try word(base + (wide ? 8 : 4), name),
                fileByteCount: try word(base + (wide ? 32 : 16), name),
                physicalAddress: try word(base + (wide ? 24 : 12), name),
                memoryByteCount: try word(base + (wide ? 40 : 20), name),
                alignment: try word(base + (wide ? 48 : 28), name)
            )
            let (end, overflow) = segment.fileOffset.addingReportingOverflow(segment.fileByteCount)
            if segment.type == Self.loadType || segment.type == Self.noteType {
                guard !overflow else {
                    throw .badField(path: path, field: "p_offset of \(name)", value: segment.fileOffset)
                }
                guard end <= UInt64(header.byteCount) else { throw header.truncated("segment \(index)", needed: end) }
            }
            if segment.type == Self.loadType, segment.memoryByteCount < segment.fileByteCount {
                throw .badField(path: path, field: "p_memsz of \(name)", value: segment.memoryByteCount)
            }
            segments.append(segment)
        }
        self.segments = segments
    }

    /// Copies the loadable segments to their physical addresses, which must be free RAM, and zeroes what the file lacks.
    ///
    /// - Returns: The end of the highest segment.
    func load(_ file: HostFile, into memory: LoadTarget) throws(BootError) -> UInt64 {
        var end: UInt64 = 0x10_0000
        for segment in segments where segment.type == Self.loadType && segment.memoryByteCount > 0 {
            let range = Int(segment.fileOffset)..<Int(segment.fileOffset + segment.fileByteCount)
            end = max(
                end,
                try memory.load(
                    file.bytes[range],
                    of: file.path,
                    at: segment.physicalAddress,
                    memoryByteCount: segment.memoryByteCount
                )
            )
        }
        return end
    }
}
