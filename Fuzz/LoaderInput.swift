import Boot
import GuestMemory
import X86

/// Kernel files made from valid headers, and then damaged.
enum LoaderInput {
    private static func put(_ value: UInt64, _ byteCount: Int, at offset: Int, _ bytes: inout [UInt8]) {
        for index in 0..<byteCount where offset + index < bytes.count {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(index * 8))
        }
    }

    /// The setup header of a bzImage (Linux `Documentation/arch/x86/boot.rst`).
    private static func linux(_ random: inout RandomSource) -> [UInt8] {
        var bytes = [UInt8](repeating: 0x90, count: 512 * 5 + random.below(0x8000))
        for (offset, value, count) in [
            (0x1F1, 4, 1), (0x1F4, UInt64(bytes.count - 512 * 5) / 16, 4), (0x1FE, 0xAA55, 2), (0x200, 0x66EB, 2),
            (0x202, 0x5372_6448, 4), (0x206, 0x20F, 2), (0x211, 1, 1), (0x214, 0x10_0000, 4), (0x22C, 0x7FFF_FFFF, 4),
            (0x230, 0x20_0000, 4), (0x234, 1, 1), (0x236, 0x3F, 2), (0x238, 0x7FF, 4), (0x258, 0x10_0000, 8),
            (0x260, 0x10_0000, 4),
        ] as [(Int, UInt64, Int)] { put(value, count, at: offset, &bytes) }
        return bytes
    }

    /// An ELF file with one segment and a PVH note.
    private static func elf(_ random: inout RandomSource) -> [UInt8] {
        let isWide = random.oneIn(2)
        var bytes = [UInt8](repeating: 0, count: 0x200 + random.below(0x2000))
        put(0x464C_457F, 4, at: 0, &bytes)
        put(isWide ? 0x0101_02 : 0x0101_01, 3, at: 4, &bytes)
        put(2, 2, at: 16, &bytes)
        put(isWide ? 62 : 3, 2, at: 18, &bytes)
        put(1, 4, at: 20, &bytes)
        let word = isWide ? 8 : 4
        put(0x10_0000, word, at: 24, &bytes)
        let header = isWide ? 64 : 52
        put(UInt64(header), word, at: 24 + word, &bytes)
        put(UInt64(header), 2, at: isWide ? 52 : 40, &bytes)
        put(isWide ? 56 : 32, 2, at: isWide ? 54 : 42, &bytes)
        put(2, 2, at: isWide ? 56 : 44, &bytes)
        let content = UInt64(bytes.count - 0x180)
        func program(_ index: Int, _ type: UInt64, _ offset: UInt64, _ size: UInt64) {
            let at = header + index * (isWide ? 56 : 32)
            put(type, 4, at: at, &bytes)
            let places = isWide ? [8, 16, 24, 32, 40] : [4, 8, 12, 16, 20]
            for (place, value) in zip(places, [offset, 0x10_0000, 0x10_0000, size, size]) {
                put(value, word, at: at + place, &bytes)
            }
        }
        program(0, 1, 0x180, content)
        program(1, 4, 0x140, 20)
        for (index, value) in [4, 4, 18, 0x006E_6558, 0x10_0000].enumerated() {
            put(UInt64(value), 4, at: 0x140 + index * 4, &bytes)
        }
        return bytes
    }

    private static func multiboot(_ random: inout RandomSource) -> [UInt8] {
        var bytes = [UInt8](repeating: 0x90, count: 64 + random.below(0x2000))
        let flags: UInt64 = 0x1_0003
        let header = [
            0x1BAD_B002, flags, (0 &- 0x1BAD_B002 &- flags) & 0xFFFF_FFFF, 0x10_0000, 0x10_0000, 0, 0, 0x10_0020,
        ]
        for (index, value) in header.enumerated() { put(value, 4, at: index * 4, &bytes) }
        return bytes
    }

    /// The multiboot kernel that the machines of the other tests are started with.
    static var plainKernel: [UInt8] {
        var random = RandomSource(seed: 0)
        return multiboot(&random)
    }

    /// Loads one damaged file; true where it was accepted.
    static func run(seed: UInt64) -> Bool {
        var random = RandomSource(seed: seed)
        var bytes = [linux, elf, multiboot][random.below(3)](&random)
        for _ in 0..<random.below(6) {
            let limit = random.oneIn(4) ? bytes.count : min(bytes.count, 0x280)
            put(random.number(), random.pick([1, 1, 2, 4, 8]), at: random.below(limit), &bytes)
        }
        if random.oneIn(8) { bytes = Array(bytes.prefix(random.below(bytes.count))) }
        let file = HostFile(name: "kernel", bytes: bytes)
        let byteCount = random.pick([2 << 20, 4 << 20, 64 << 20])
        do {
            let map = try MemoryMap(memoryByteCount: byteCount)
            let memory = try GuestMemory(layout: map.regions)
            let line = String(repeating: "word ", count: random.oneIn(8) ? random.below(2000) : 4)
            let initrd =
                random.oneIn(2)
                ? HostFile(name: "initrd", bytes: random.bytes(random.oneIn(4) ? 5 << 18 : random.below(4096))) : nil
            let rsdp = try ACPITables(ACPIDescription(cpuCount: 1 + random.below(64))).place(in: memory, map)
            let request = BootRequest(memoryMap: map, rsdp: rsdp, commandLine: line, initrd: initrd)
            let entry = try KernelImage(file).load(into: memory, request)
            let block = UnsafeMutableRawPointer.allocate(byteCount: CPUState.byteCount, alignment: 64)
            defer { block.deallocate() }
            block.initializeMemory(as: UInt8.self, repeating: 0, count: CPUState.byteCount)
            entry.apply(to: CPUState(raw: block))
            return true
        } catch {
            return "\(error)".isEmpty
        }
    }
}
