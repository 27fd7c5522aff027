internal import ByteCoding
public import GuestMemory

/// A kernel that is started by the Multiboot protocol, version 1 (Multiboot Specification 0.6.96).
public struct MultibootKernel: Sendable {
    /// Where the header says that the file's bytes go (the "a.out kludge", §3.1.3).
    struct Addresses: Sendable {
        let fileOffset: Int
        let load: UInt64
        let loadByteCount: Int
        let memoryByteCount: UInt64
        let entry: UInt64
    }

    private enum Content: Sendable {
        case elf(ELFImage)
        case addresses(Addresses)
    }

    public let file: HostFile
    private let content: Content

    static let headerMagic: UInt32 = 0x1BAD_B002
    static let loaderMagic: UInt64 = 0x2BAD_B002
    /// How far into the file the whole header must lie.
    static let searchLimit = 8192
    /// Requirements that we know: aligned modules 0, memory information 1, video mode 2 (there is none to give).
    private static let knownRequirements: UInt32 = 0b111
    private static let hasAddresses: UInt32 = 1 << 16

    /// Takes a file with a multiboot header.
    ///
    /// - Returns: nil where the first 8 KiB hold none.
    public init?(_ file: HostFile) throws(BootError) {
        let header = HeaderReader(file)
        guard let offset = Self.findHeader(header) else { return nil }
        let flags = try header.load(UInt32.self, at: offset + 4, "the multiboot flags")
        let unknown = flags & 0xFFFF & ~Self.knownRequirements
        guard unknown == 0 else {
            throw .unsupported(
                path: file.path,
                field: "the multiboot flags",
                value: hex(flags),
                wanted: "a header without requirement bits above 2"
            )
        }
        self.file = file
        if flags & Self.hasAddresses != 0 {
            content = .addresses(try Self.addresses(header, offset))
        } else {
            let image = try ELFImage(file)
            guard image.entry < MemoryMap.fourGiB else {
                throw .badField(path: file.path, field: "e_entry", value: image.entry)
            }
            content = .elf(image)
        }
    }

    private static func findHeader(_ header: HeaderReader) -> Int? {
        for offset in stride(from: 0, to: min(searchLimit, header.byteCount) - 11, by: 4) {
            guard header.peek(UInt32.self, at: offset) == headerMagic,
                let flags = header.peek(UInt32.self, at: offset + 4),
                let checksum = header.peek(UInt32.self, at: offset + 8), headerMagic &+ flags &+ checksum == 0
            else { continue }
            return offset
        }
        return nil
    }

    private static func addresses(_ header: HeaderReader, _ offset: Int) throws(BootError) -> Addresses {
        let path = header.path
        let headerAddress = try header.load(UInt32.self, at: offset + 12, "header_addr")
        let load = try header.load(UInt32.self, at: offset + 16, "load_addr")
        let loadEnd = try header.load(UInt32.self, at: offset + 20, "load_end_addr")
        let bssEnd = try header.load(UInt32.self, at: offset + 24, "bss_end_addr")
        let entry = try header.load(UInt32.self, at: offset + 28, "entry_addr")
        guard load <= headerAddress, Int(headerAddress - load) <= offset else {
            throw .badField(path: path, field: "load_addr", value: UInt64(load))
        }
        let fileOffset = offset - Int(headerAddress - load)
        guard loadEnd == 0 || loadEnd > load else {
            throw .badField(path: path, field: "load_end_addr", value: UInt64(loadEnd))
        }
        let byteCount = loadEnd == 0 ? header.byteCount - fileOffset : Int(loadEnd - load)
        guard fileOffset + byteCount <= header.byteCount else {
            throw header.truncated("load_end_addr", needed: UInt64(fileOffset + byteCount))
        }
        let end = UInt64(load) + UInt64(byteCount)
        guard bssEnd == 0 || UInt64(bssEnd) >= end else {
            throw .badField(path: path, field: "bss_end_addr", value: UInt64(bssEnd))
        }
        return Addresses(
            fileOffset: fileOffset,
            load: UInt64(load),
            loadByteCount: byteCount,
            memoryByteCount: max(end, UInt64(bssEnd)) - UInt64(load),
            entry: UInt64(entry)
        )
    }

    /// Puts the kernel, the initrd as first module, and the multiboot information into guest memory.
    public func load(into memory: GuestMemory, _ request: BootRequest) throws(BootError) -> BootEntry {
        let target = LoadTarget(memory: memory, map: request.memoryMap)
        let end: UInt64
        var state: BootEntry
        switch content {
        case .elf(let image):
            end = try image.load(file, into: target)
            state = BootEntry(mode: .protected32, rip: image.entry)
        case .addresses(let addresses):
            let range = addresses.fileOffset..<(addresses.fileOffset + addresses.loadByteCount)
            end = try target.load(
                file.bytes[range],
                of: file.path,
                at: addresses.load,
                memoryByteCount: addresses.memoryByteCount
            )
            state = BootEntry(mode: .protected32, rip: addresses.entry)
        }
        let initrd = try request.placeInitrd(in: memory, above: max(end, 0x10_0000), below: MemoryMap.fourGiB)
        try LowMemory.writeCommandLine(request.commandLine, limit: .max, to: memory, for: file.path)
        try information(initrd: initrd, request).write(to: memory, for: file.path)
        try LowMemory.writeDescriptors(isLong: false, to: memory, for: file.path)
        state.rax = Self.loaderMagic
        state.rbx = LowMemory.information
        state.gdtBase = LowMemory.gdt
        return state
    }

    /// The information structure (§3.3) with memory sizes 0, command line 2, modules 3, memory map 6 and loader name 9.
    private func information(initrd: Range<UInt64>?, _ request: BootRequest) -> InformationArea {
        var area = InformationArea(headByteCount: 120)
        var flags: UInt32 = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9
        area.store(UInt32(MemoryMap.extendedBIOSData >> 10), at: 4)
        area.store(UInt32((request.memoryMap.usableLowEnd - 0x10_0000) >> 10), at: 8)
        area.store(UInt32(LowMemory.commandLine), at: 16)
        if let initrd {
            let name = area.append(Array((request.initrd?.path ?? "").utf8) + [0])
            var module: [UInt8] = []
            for word in [initrd.lowerBound, initrd.upperBound, name, 0] {
                module.append(littleEndian: UInt32(truncatingIfNeeded: word))
            }
            area.store(UInt32(1), at: 20)
            area.store(UInt32(truncatingIfNeeded: area.append(module)), at: 24)
        } else {
            flags &= ~(1 << 3)
        }
        var map: [UInt8] = []
        for entry in request.memoryMap.entries {
            map.append(littleEndian: UInt32(20))
            map += entry.e820Bytes
        }
        area.store(UInt32(map.count), at: 44)
        area.store(UInt32(truncatingIfNeeded: area.append(map)), at: 48)
        area.store(UInt32(truncatingIfNeeded: area.append(Array("viv\0".utf8))), at: 64)
        area.store(flags, at: 0)
        return area
    }
}
