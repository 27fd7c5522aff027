internal import ByteCoding
public import GuestMemory

/// A kernel in ELF format that is started by the PVH protocol (Xen docs/misc/pvh.pandoc, public/arch-x86/hvm/start_info.h).
public struct PVHKernel: Sendable {
    public let file: HostFile
    /// The physical address of the 32-bit entry, from the note XEN_ELFNOTE_PHYS32_ENTRY.
    public let entry: UInt64
    private let image: ELFImage

    static let entryNote: UInt32 = 18
    static let startInfoMagic: UInt32 = 0x336E_C578

    /// Takes an ELF file with a PVH note.
    ///
    /// - Returns: nil for a well-formed ELF file without the note.
    public init?(_ file: HostFile) throws(BootError) {
        let image = try ELFImage(file)
        guard let entry = try Self.findEntry(in: image, file) else { return nil }
        guard entry < MemoryMap.fourGiB else { throw .badField(path: file.path, field: "the PVH entry", value: entry) }
        self.file = file
        self.image = image
        self.entry = entry
    }

    /// Walks the notes: name and descriptor each padded to 4 bytes, or to 8 where the segment says so.
    private static func findEntry(in image: ELFImage, _ file: HostFile) throws(BootError) -> UInt64? {
        let header = HeaderReader(file)
        for segment in image.segments where segment.type == ELFImage.noteType {
            let padding: UInt64 = segment.alignment == 8 ? 8 : 4
            func padded(_ count: UInt64) -> UInt64 { (count + padding - 1) & ~(padding - 1) }
            var offset = segment.fileOffset
            let end = segment.fileOffset + segment.fileByteCount
            while end - offset >= 12 {
                let base = Int(offset)
                let nameByteCount = UInt64(try header.load(UInt32.self, at: base, "a note"))
                let byteCount = UInt64(try header.load(UInt32.self, at: base + 4, "a note"))
                let type = try header.load(UInt32.self, at: base + 8, "a note")
                let content = offset + 12 + padded(nameByteCount)
                let next = content + padded(byteCount)
                guard content + byteCount <= end else {
                    throw .badField(path: file.path, field: "the size of a note", value: nameByteCount + byteCount)
                }
                if type == entryNote, nameByteCount == 4,
                    Array(file.bytes[(base + 12)..<(base + 16)]) == Array("Xen\0".utf8)
                {
                    if byteCount == 8 { return try header.load(UInt64.self, at: Int(content), "the PVH entry") }
                    return UInt64(try header.load(UInt32.self, at: Int(content), "the PVH entry"))
                }
                guard next < end else { break }
                offset = next
            }
        }
        return nil
    }

    /// Puts the segments, the initrd as first module, and `hvm_start_info` into guest memory.
    public func load(into memory: GuestMemory, _ request: BootRequest) throws(BootError) -> BootEntry {
        let end = try image.load(file, into: LoadTarget(memory: memory, map: request.memoryMap))
        let initrd = try request.placeInitrd(in: memory, above: end, below: MemoryMap.fourGiB)
        try LowMemory.writeCommandLine(request.commandLine, limit: .max, to: memory, for: file.path)
        try startInfo(initrd: initrd, request).write(to: memory, for: file.path)
        try LowMemory.writeDescriptors(isLong: false, to: memory, for: file.path)
        var state = BootEntry(mode: .protected32, rip: entry)
        state.rbx = LowMemory.information
        state.gdtBase = LowMemory.gdt
        return state
    }

    /// `hvm_start_info`, version 1, with its module list and memory map.
    private func startInfo(initrd: Range<UInt64>?, _ request: BootRequest) -> InformationArea {
        var area = InformationArea(headByteCount: 56)
        area.store(Self.startInfoMagic, at: 0)
        area.store(UInt32(1), at: 4)
        if let initrd {
            var module: [UInt8] = []
            for word in [initrd.lowerBound, UInt64(initrd.count), 0, 0] { module.append(littleEndian: word) }
            area.store(UInt32(1), at: 12)
            area.store(area.append(module), at: 16)
        }
        area.store(LowMemory.commandLine, at: 24)
        area.store(request.rsdp?.rawValue ?? 0, at: 32)
        let entries = request.memoryMap.entries
        var table: [UInt8] = []
        for entry in entries { table += entry.e820Bytes + [0, 0, 0, 0] }
        area.store(area.append(table), at: 40)
        area.store(UInt32(entries.count), at: 48)
        return area
    }
}
