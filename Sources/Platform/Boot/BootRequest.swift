public import GuestMemory

/// What a kernel is started with, whatever its format.
public struct BootRequest: Sendable {
    public var memoryMap: MemoryMap
    /// Where the ACPI tables' RSDP was placed, if the machine has tables.
    public var rsdp: GuestAddress?
    public var commandLine: String
    /// The initrd; multiboot and PVH kernels get it as their first module.
    public var initrd: HostFile?

    public init(memoryMap: MemoryMap, rsdp: GuestAddress?, commandLine: String = "", initrd: HostFile? = nil) {
        self.memoryMap = memoryMap
        self.rsdp = rsdp
        self.commandLine = commandLine
        self.initrd = initrd
    }

    /// Copies the initrd to the highest free pages that end at or below `limit`.
    ///
    /// `kernelEnd` is the end of what the kernel occupies above 1 MiB. The result is where the initrd lies, or nil where
    /// there is none.
    func placeInitrd(
        in memory: GuestMemory,
        above kernelEnd: UInt64,
        below limit: UInt64
    ) throws(BootError) -> Range<UInt64>? {
        guard let initrd else { return nil }
        let byteCount = UInt64(initrd.bytes.count)
        let top = min(limit, memoryMap.usableLowEnd)
        guard top >= byteCount, (top - byteCount) & ~4095 >= kernelEnd else {
            throw .doesNotFit(path: initrd.path, byteCount: byteCount, memoryByteCount: memoryMap.memoryByteCount)
        }
        let base = (top - byteCount) & ~4095
        try memory.place(initrd.bytes, at: base, for: initrd.path)
        return base..<(base + byteCount)
    }
}
