import Boot
import GuestMemory
import Testing
import X86

struct LinuxKernelTests {
    @Test func `A kernel's header is read`() throws {
        let kernel = try LinuxKernel(Samples.file("k", Samples.linux()))
        #expect(kernel.protocolVersion == 0x020F)
        #expect(kernel.setupByteCount == 1536)
        #expect(kernel.kernelByteCount == 4096)
        #expect(kernel.preferredAddress == 0x100_0000)
        #expect(kernel.has64BitEntry)
        #expect(kernel.commandLineLimit == 0x7FF)
    }

    @Test func `A kernel cut anywhere is refused with its name`() {
        let whole = Samples.linux()
        for length in 1...(whole.count - 16) {
            do throws(BootError) {
                _ = try KernelImage(Samples.file("cut", Array(whole[..<length])))
                Issue.record("accepted with \(length) of \(whole.count) bytes")
            } catch {
                #expect(error.description.hasPrefix("cut: is truncated: "), "\(length): \(error)")
            }
        }
    }

    @Test func `A kernel may end inside the last paragraph of its size`() throws {
        let whole = Samples.linux()
        let kernel = try LinuxKernel(Samples.file("k", whole.dropLast(15)))
        #expect(kernel.kernelByteCount == 4081)
        #expect(throws: BootError.self) { try LinuxKernel(Samples.file("k", whole.dropLast(16))) }
    }

    @Test func `A signed kernel cut inside its signature is refused`() throws {
        var file = Samples.linux()
        file.put(Array("MZ".utf8), 0)
        file.put(UInt32(0x40), 0x3C)
        file.put(Array("PE\0\0".utf8), 0x40)
        file.put(UInt16(0x20B), 0x58)
        file.put(UInt32(6), 0x58 + 108)
        file.put(UInt32(file.count), 0x58 + 112 + 32)
        file.put(UInt32(1000), 0x58 + 112 + 36)
        file += [UInt8](repeating: 7, count: 1000)
        _ = try LinuxKernel(Samples.file("k", file))
        let error = #expect(throws: BootError.self) { try LinuxKernel(Samples.file("k", file.dropLast())) }
        #expect(
            error == .truncated(path: "k", field: "the signature", needed: UInt64(file.count), found: file.count - 1)
        )
    }

    @Test func `A wrong magic is named with both values`() {
        var file = Samples.linux()
        file[0x202] = 0
        let error = #expect(throws: BootError.self) { try LinuxKernel(Samples.file("k", file)) }
        #expect(error?.description == "k: the setup header's magic is 0x53726400, not 0x53726448")
    }

    @Test func `A boot protocol before 2.6 is refused`() {
        let error = #expect(throws: BootError.self) {
            try LinuxKernel(Samples.file("k", Samples.linux(version: 0x0205)))
        }
        #expect(error?.description == "k: the boot protocol version is 2.5, 2.6 or later is needed")
    }

    @Test(arguments: [
        (0x230, UInt32(0x12345)), (0x1F4, 0), (0x1F4, .max), (0x210, 0), (0x258, 0), (0x260, .max),
    ])
    func `Absurd header fields are errors and not traps`(offset: Int, value: UInt32) throws {
        var file = Samples.linux()
        file.put(value, offset)
        let (map, memory) = try Samples.machine()
        #expect(throws: BootError.self) {
            try KernelImage(Samples.file("k", file)).load(into: memory, BootRequest(memoryMap: map, rsdp: nil))
        }
    }

    @Test func `Random bytes over the header never trap`() throws {
        var seed: UInt64 = 1
        let (map, memory) = try Samples.machine(mebibytes: 32)
        for _ in 0..<200 {
            var file = Samples.linux()
            for _ in 0..<4 {
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                file[0x1F1 + Int(seed >> 33) % 0x80] = UInt8(truncatingIfNeeded: seed >> 50)
            }
            _ = try? KernelImage(Samples.file("k", file)).load(into: memory, BootRequest(memoryMap: map, rsdp: nil))
        }
    }

    @Test func `boot_params hold what the machine has`() throws {
        let (map, memory) = try Samples.machine()
        let initrd = Samples.file("initrd", [UInt8](repeating: 9, count: 5000))
        let request = BootRequest(
            memoryMap: map,
            rsdp: GuestAddress(0xE0000),
            commandLine: "console=ttyS0",
            initrd: initrd
        )
        let entry = try LinuxKernel(Samples.file("k", Samples.linux())).load(into: memory, request)
        let page = entry.rsi
        #expect(try memory.bytes(page + 0x202, 4) == Array("HdrS".utf8))
        #expect(try memory.value(UInt64.self, page + 0x070) == 0xE0000)
        #expect(try memory.value(UInt8.self, page + 0x210) == 0xFF)
        #expect(try memory.value(UInt32.self, page + 0x214) == 0x100_0000)
        let base = UInt64(try memory.value(UInt32.self, page + 0x218))
        #expect(base == map.acpiTables.lowerBound - 8192)
        #expect(try memory.value(UInt32.self, page + 0x21C) == 5000)
        #expect(try memory.bytes(base, 5000) == initrd.bytes)
        let commandLine = UInt64(try memory.value(UInt32.self, page + 0x228))
        #expect(try memory.bytes(commandLine, 14) == Array("console=ttyS0\0".utf8))
        #expect(try memory.value(UInt8.self, page + 0x1E8) == UInt8(map.entries.count))
        for (index, item) in map.entries.enumerated() {
            #expect(try memory.value(UInt64.self, page + 0x2D0 + UInt64(index) * 20) == item.base)
            #expect(try memory.value(UInt64.self, page + 0x2D8 + UInt64(index) * 20) == item.byteCount)
            #expect(try memory.value(UInt32.self, page + 0x2E0 + UInt64(index) * 20) == item.kind.rawValue)
        }
        #expect(try memory.bytes(0x100_0000, 4096) == Array(Samples.linux().suffix(4096)))
        #expect(entry.mode == .long64 && entry.rip == 0x100_0200)
    }

    @Test func `The page tables map the low 4 GiB to themselves`() throws {
        let (map, memory) = try Samples.machine()
        let kernel = try LinuxKernel(Samples.file("k", Samples.linux()))
        let entry = try kernel.load(into: memory, BootRequest(memoryMap: map, rsdp: nil))
        for address: UInt64 in [0, 0x1F_FFFF, 0x20_0000, 0x100_0200, 0x7FFF_FFFF, 0xFFFF_F000] {
            let root = try memory.value(UInt64.self, entry.cr3 + (address >> 39) * 8)
            let pointer = try memory.value(UInt64.self, (root & ~0xFFF) + (address >> 30 & 511) * 8)
            let page = try memory.value(UInt64.self, (pointer & ~0xFFF) + (address >> 21 & 511) * 8)
            #expect(root & 3 == 3 && pointer & 3 == 3 && page & 0x83 == 0x83)
            #expect(page & ~0x1F_FFFF | address & 0x1F_FFFF == address)
        }
    }

    @Test func `A kernel that does not fit where it prefers is moved`() throws {
        let (map, memory) = try Samples.machine(mebibytes: 8)
        let kernel = try LinuxKernel(Samples.file("k", Samples.linux()))
        let entry = try kernel.load(into: memory, BootRequest(memoryMap: map, rsdp: nil), entry: .protected32)
        #expect(entry.mode == .protected32 && entry.rip == 0x20_0000 && entry.cr3 == 0)
        #expect(try memory.value(UInt32.self, entry.rsi + 0x214) == 0x20_0000)
    }

    @Test func `What does not fit is named with its size`() throws {
        let (map, memory) = try Samples.machine(mebibytes: 2)
        let kernel = try LinuxKernel(Samples.file("k", Samples.linux()))
        var error = #expect(throws: BootError.self) {
            try kernel.load(into: memory, BootRequest(memoryMap: map, rsdp: nil))
        }
        #expect(error?.description == "k: needs 2097152 bytes of RAM in one piece, which a guest of 2 MiB has not")

        let (larger, otherMemory) = try Samples.machine(mebibytes: 32)
        let initrd = Samples.file("initrd.gz", [UInt8](repeating: 0, count: 20 << 20))
        error = #expect(throws: BootError.self) {
            try kernel.load(into: otherMemory, BootRequest(memoryMap: larger, rsdp: nil, initrd: initrd))
        }
        #expect(error == .doesNotFit(path: "initrd.gz", byteCount: 20 << 20, memoryByteCount: 32 << 20))
    }

    @Test func `A command line beyond the kernel's limit is refused`() throws {
        let (map, memory) = try Samples.machine()
        let kernel = try LinuxKernel(Samples.file("k", Samples.linux()))
        for (length, fits) in [(0x7FF, true), (0x800, false)] {
            let text = String(repeating: "a", count: length)
            let request = BootRequest(memoryMap: map, rsdp: nil, commandLine: text)
            let entry = try? kernel.load(into: memory, request)
            #expect((entry != nil) == fits)
        }
    }

    @Test(.enabled(if: Samples.debianKernel != nil, "no Debian kernel in /boot or VIV_TEST_KERNEL"))
    func `Debian's kernel is loaded and refused when cut`() throws {
        let file = try HostFile.read(try #require(Samples.debianKernel))
        let kernel = try LinuxKernel(file)
        #expect(kernel.has64BitEntry && kernel.isRelocatable)
        let (map, memory) = try Samples.machine(mebibytes: 256)
        let entry = try kernel.load(into: memory, BootRequest(memoryMap: map, rsdp: nil))
        #expect(entry.rip == kernel.preferredAddress + 0x200)
        for length in stride(from: 1, to: file.bytes.count, by: file.bytes.count / 60) + [file.bytes.count - 1] {
            #expect(throws: BootError.self) { try KernelImage(Samples.file("cut", Array(file.bytes[..<length]))) }
        }
    }
}
