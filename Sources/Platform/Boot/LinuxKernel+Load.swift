internal import ByteCoding
public import GuestMemory

extension LinuxKernel {
    /// How the kernel is entered.
    public enum EntryChoice: Sendable {
        /// The 64-bit entry where the kernel has one, else the 32-bit one.
        case automatic
        case long64
        case protected32
    }

    /// Puts the kernel, its initrd, command line and boot_params into guest memory.
    ///
    /// - Returns: The state to start the first vCPU in.
    public func load(
        into memory: GuestMemory,
        _ request: BootRequest,
        entry choice: EntryChoice = .automatic
    ) throws(BootError) -> BootEntry {
        let isLong = choice == .long64 || choice == .automatic && has64BitEntry
        guard has64BitEntry || !isLong else {
            throw .unsupported(
                path: file.path,
                field: "xloadflags",
                value: "without a 64-bit entry",
                wanted: "the 32-bit entry"
            )
        }
        let base = try loadAddress(in: request.memoryMap)
        let kernel = file.bytes[setupByteCount..<(setupByteCount + kernelByteCount)]
        try memory.place(kernel, at: base, for: file.path)
        let initrd = try request.placeInitrd(
            in: memory,
            above: base + initByteCount,
            below: min(initrdAddressLimit + 1, MemoryMap.fourGiB)
        )
        try LowMemory.writeCommandLine(request.commandLine, limit: commandLineLimit, to: memory, for: file.path)
        let parameters = bootParameters(base: base, initrd: initrd, request)
        try memory.place(parameters, at: LowMemory.bootParameters, for: file.path)
        try LowMemory.writeDescriptors(isLong: isLong, to: memory, for: file.path)

        var entry = BootEntry(mode: isLong ? .long64 : .protected32, rip: isLong ? base + 0x200 : base)
        entry.rsi = LowMemory.bootParameters
        entry.gdtBase = LowMemory.gdt
        if isLong { entry.cr3 = try LowMemory.writePageTables(to: memory, for: file.path) }
        return entry
    }

    /// Where the kernel goes: where it prefers, else at the lowest aligned address with room, if it can be moved.
    private func loadAddress(in map: MemoryMap) throws(BootError) -> UInt64 {
        if preferredAddress < MemoryMap.fourGiB, map.isFree(base: preferredAddress, byteCount: initByteCount) {
            return preferredAddress
        }
        let lowest = (0x10_0000 + alignment - 1) & ~(alignment - 1)
        guard isRelocatable, map.isFree(base: lowest, byteCount: initByteCount) else {
            throw .doesNotFit(path: file.path, byteCount: initByteCount, memoryByteCount: map.memoryByteCount)
        }
        return lowest
    }

    /// The page of boot_params ("zero page"): the file's setup header with the loader's fields filled in.
    private func bootParameters(base: UInt64, initrd: Range<UInt64>?, _ request: BootRequest) -> [UInt8] {
        var page = [UInt8](repeating: 0, count: 4096)
        let end = min(Field.magic + Int(file.bytes[Field.headerLength]), 0x290, file.bytes.count)
        page.replaceSubrange(Field.setupSectors..<end, with: file.bytes[Field.setupSectors..<end])

        page.store(littleEndian: request.rsdp?.rawValue ?? 0, at: 0x070)
        page.store(littleEndian: UInt16(0xFFFF), at: 0x1FA)  // vid_mode: normal
        page[0x210] = 0xFF  // type_of_loader: none that is registered
        page.store(littleEndian: UInt32(truncatingIfNeeded: base), at: 0x214)
        page.store(littleEndian: UInt32(truncatingIfNeeded: initrd?.lowerBound ?? 0), at: 0x218)
        page.store(littleEndian: UInt32(truncatingIfNeeded: initrd?.count ?? 0), at: 0x21C)
        page.store(littleEndian: UInt32(LowMemory.commandLine), at: 0x228)

        // The sizes that kernels used before e820: KiB above 1 MiB.
        let kibibytes = (request.memoryMap.usableLowEnd - 0x10_0000) >> 10
        page.store(littleEndian: UInt16(clamping: kibibytes), at: 0x002)
        page.store(littleEndian: UInt32(kibibytes), at: 0x1E0)
        let entries = request.memoryMap.entries
        page[0x1E8] = UInt8(entries.count)
        for (index, entry) in entries.enumerated() {
            let offset = 0x2D0 + index * 20
            page.replaceSubrange(offset..<(offset + 20), with: entry.e820Bytes)
        }
        return page
    }
}
