import Boot
import GuestMemory
import Testing

struct ELFKernelTests {
    @Test(arguments: [true, false])
    func `A PVH kernel gets hvm_start_info`(wide: Bool) throws {
        let (map, memory) = try Samples.machine()
        try memory.copyIn([UInt8](repeating: 0xEE, count: 0x3000), at: GuestAddress(0x20_0000))
        let file = Samples.elf(wide: wide, notes: Samples.pvhNotes(entry: 0x20_0002))
        let request = BootRequest(
            memoryMap: map,
            rsdp: GuestAddress(0xE0000),
            commandLine: "a=b",
            initrd: Samples.file("initrd", [1, 2, 3])
        )
        let image = try KernelImage(Samples.file("k", file))
        #expect(image.formatName == "PVH ELF")
        let entry = try image.load(into: memory, request)
        #expect(entry.mode == .protected32 && entry.rip == 0x20_0002)
        #expect(try memory.bytes(0x20_0000, 4) == [0xF4, 0xEB, 0xFD, 0x90])
        #expect(try memory.bytes(0x20_0004, 0x1FFC).allSatisfy { $0 == 0 })
        #expect(try memory.value(UInt8.self, 0x20_2000) == 0xEE)

        let info = entry.rbx
        #expect(try memory.value(UInt32.self, info) == 0x336E_C578)
        #expect(try memory.value(UInt32.self, info + 4) == 1)
        #expect(try memory.value(UInt32.self, info + 12) == 1)
        let module = try memory.value(UInt64.self, info + 16)
        #expect(try memory.bytes(try memory.value(UInt64.self, module), 3) == [1, 2, 3])
        #expect(try memory.value(UInt64.self, module + 8) == 3)
        #expect(try memory.bytes(try memory.value(UInt64.self, info + 24), 4) == Array("a=b\0".utf8))
        #expect(try memory.value(UInt64.self, info + 32) == 0xE0000)
        let table = try memory.value(UInt64.self, info + 40)
        #expect(try memory.value(UInt32.self, info + 48) == UInt32(map.entries.count))
        for (index, item) in map.entries.enumerated() {
            #expect(try memory.value(UInt64.self, table + UInt64(index) * 24) == item.base)
            #expect(try memory.value(UInt64.self, table + UInt64(index) * 24 + 8) == item.byteCount)
            #expect(try memory.value(UInt32.self, table + UInt64(index) * 24 + 16) == item.kind.rawValue)
        }
    }

    @Test func `A multiboot ELF kernel gets its information`() throws {
        let (map, memory) = try Samples.machine()
        let file = Samples.elf(wide: false, content: Samples.multibootHeader())
        let request = BootRequest(memoryMap: map, rsdp: nil, commandLine: "x", initrd: Samples.file("mod", [7]))
        let image = try KernelImage(Samples.file("k", file))
        #expect(image.formatName == "multiboot")
        let entry = try image.load(into: memory, request)
        #expect(entry.rax == 0x2BAD_B002 && entry.rip == 0x20_0000)
        let info = entry.rbx
        #expect(try memory.value(UInt32.self, info) == 0b10_0100_1101)
        #expect(try memory.value(UInt32.self, info + 4) == 639)
        #expect(try memory.value(UInt32.self, info + 8) == UInt32((map.acpiTables.lowerBound - 0x10_0000) / 1024))
        #expect(try memory.bytes(UInt64(try memory.value(UInt32.self, info + 16)), 2) == Array("x\0".utf8))
        let module = UInt64(try memory.value(UInt32.self, info + 24))
        let start = try memory.value(UInt32.self, module)
        #expect(start % 4096 == 0)
        #expect(try memory.value(UInt32.self, module + 4) == start + 1)
        #expect(try memory.value(UInt32.self, info + 44) == UInt32(map.entries.count * 24))
        let table = UInt64(try memory.value(UInt32.self, info + 48))
        #expect(try memory.value(UInt32.self, table) == 20)
        #expect(try memory.value(UInt64.self, table + 12) == map.entries[0].byteCount)
        #expect(try memory.bytes(UInt64(try memory.value(UInt32.self, info + 64)), 4) == Array("viv\0".utf8))
    }

    @Test func `A multiboot header with addresses is obeyed`() throws {
        let (map, memory) = try Samples.machine()
        var file = [UInt8](repeating: 0x11, count: 64)
        file += Samples.multibootHeader(flags: 0x1_0003, 0x10_0020, 0x10_0000, 0x10_0080, 0x10_1000, 0x10_0010)
        file += [UInt8](repeating: 0x22, count: 1000)
        let entry = try KernelImage(Samples.file("k", file)).load(into: memory, BootRequest(memoryMap: map, rsdp: nil))
        #expect(entry.rip == 0x10_0010)
        #expect(try memory.bytes(0x10_0000, 0x80) == Array(file[32..<160]))
        #expect(try memory.bytes(0x10_0080, 0xF80).allSatisfy { $0 == 0 })
        for length in 97..<160 {
            #expect(throws: BootError.self) { try KernelImage(Samples.file("k", Array(file[..<length]))) }
        }
    }

    @Test(arguments: [
        [UInt32(0), 0, 0, 0, 0], [.max, 0, 0, 0, 0], [0x10_0040, 0x10_0000, 1, 0, 0],
        [0x10_0040, 0x10_0000, .max, 0, 0],
        [0x40, 0, 0, 0, 0], [0x10_0040, 0x10_0000, 0, 1, 0], [0x10_0040, 0x10_0000, 0, 0xFFFF_FFFF, 0],
    ])
    func `Absurd multiboot addresses are errors and not traps`(words: [UInt32]) throws {
        let (map, memory) = try Samples.machine()
        var file = [UInt8](repeating: 0, count: 64)
        file += Samples.multibootHeader(flags: 0x1_0000, words[0], words[1], words[2], words[3], words[4])
        file += [UInt8](repeating: 0, count: 2000)
        #expect(throws: BootError.self) {
            try KernelImage(Samples.file("k", file)).load(into: memory, BootRequest(memoryMap: map, rsdp: nil))
        }
    }

    @Test func `An ELF program is told from a kernel`() {
        let error = #expect(throws: BootError.self) { try KernelImage(Samples.file("/bin/true", Samples.elf())) }
        #expect(
            error?.description
                == "/bin/true: is an ELF program, not a kernel: it has neither a PVH note nor a multiboot header"
        )
    }

    @Test func `Something else is no kernel`() {
        let error = #expect(throws: BootError.self) {
            try KernelImage(Samples.file("x", [UInt8](repeating: 0x41, count: 5000)))
        }
        #expect(error == .notAKernel(path: "x"))
    }

    @Test(arguments: [true, false])
    func `An ELF kernel cut anywhere is refused`(wide: Bool) {
        let whole = Samples.elf(wide: wide, notes: Samples.pvhNotes(entry: 0x20_0000))
        for length in 1..<whole.count {
            do throws(BootError) {
                _ = try KernelImage(Samples.file("cut", Array(whole[..<length])))
                Issue.record("accepted with \(length) of \(whole.count) bytes")
            } catch {
                #expect(error.description.hasPrefix("cut: is truncated: "), "\(length): \(error)")
            }
        }
    }

    @Test func `Huge program header tables and segments are errors and not traps`() throws {
        let whole = Samples.elf(notes: Samples.pvhNotes(entry: 0x20_0000))
        let (map, memory) = try Samples.machine()
        let first = 64
        let note = 64 + 56
        let changes: [(Int, UInt64, Int)] = [
            (56, 0xFFFF, 2), (32, .max, 8), (32, .max - 8, 8), (54, 1, 2),
            (first + 8, .max, 8), (first + 32, .max, 8), (first + 40, 1, 8), (first + 40, .max, 8),
            (first + 40, 1 << 40, 8),
            (first + 24, 0, 8), (first + 24, .max, 8), (first + 24, 0xA0000, 8), (first + 24, 0x2000, 8),
            (note + 8, .max, 8), (note + 32, .max, 8),
        ]
        for (offset, value, byteCount) in changes {
            var file = whole
            for index in 0..<byteCount { file[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
            #expect(throws: BootError.self, "offset \(offset), value \(value)") {
                try KernelImage(Samples.file("k", file)).load(into: memory, BootRequest(memoryMap: map, rsdp: nil))
            }
        }
    }

    @Test func `Random bytes in headers and notes never trap`() throws {
        var seed: UInt64 = 7
        let (map, memory) = try Samples.machine()
        for round in 0..<1000 {
            let content = Samples.multibootHeader(flags: 0x1_0003, 0x20_0000, 0x20_0000, 0, 0, 0x20_0000)
            let notes = round % 2 == 0 ? Samples.pvhNotes(entry: 0x20_0000) : []
            var file = Samples.elf(wide: round % 3 == 0, content: content, notes: notes)
            for _ in 0..<3 {
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                file[4 + Int(seed >> 33) % (file.count - 4)] = UInt8(truncatingIfNeeded: seed >> 50)
            }
            _ = try? KernelImage(Samples.file("k", file)).load(into: memory, BootRequest(memoryMap: map, rsdp: nil))
        }
    }
}
