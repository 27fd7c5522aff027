import Boot
import GuestMemory
import Testing
import X86

struct MachineStateTests {
    private func withState(_ body: (CPUState) throws -> Void) rethrows {
        let block = UnsafeMutableRawPointer.allocate(byteCount: CPUState.byteCount, alignment: 64)
        defer { unsafe block.deallocate() }
        unsafe block.initializeMemory(as: UInt8.self, repeating: 0, count: CPUState.byteCount)
        try body(unsafe CPUState(raw: block))
    }

    @Test func `The reset vector is in real mode`() {
        withState { state in
            state.rdx = 0x663
            BootEntry.resetVector.apply(to: state)
            #expect(state.mode == .real && state.rip == 0xFFF0 && state[.cs].base == 0xFFFF_0000)
            #expect(state.rflags == 2 && state.rdx == 0x663 && state.cr0 == 0x6000_0010)
            #expect(state[.ds] == Segment(base: 0, limit: 0xFFFF, attributes: 0x93, selector: 0))
        }
    }

    @Test func `A 64-bit entry has paging and the segments of its GDT`() throws {
        let (map, memory) = try Samples.machine()
        let kernel = try LinuxKernel(Samples.file("k", Samples.linux()))
        let entry = try kernel.load(into: memory, BootRequest(memoryMap: map, rsdp: nil))
        try withState { state in
            entry.apply(to: state)
            #expect(state.mode == .long64 && state.cpl == 0 && state.rflags == 2)
            #expect(state.cr0 & (CR0.paging | CR0.protectionEnable) == CR0.paging | CR0.protectionEnable)
            #expect(state.efer == EFER.longModeEnable | EFER.longModeActive && state.cr4 == CR4.pae)
            #expect(state.rsi == entry.rsi && state.rip == entry.rip && state.cr3 == entry.cr3)
            try expectSegments(of: state, in: memory)
        }
    }

    @Test func `A 32-bit entry is flat and without paging`() throws {
        let (map, memory) = try Samples.machine()
        let kernel = try LinuxKernel(Samples.file("k", Samples.linux()))
        let entry = try kernel.load(into: memory, BootRequest(memoryMap: map, rsdp: nil), entry: .protected32)
        try withState { state in
            entry.apply(to: state)
            #expect(state.mode == .protected32 && state.cr0 & CR0.paging == 0 && state.efer == 0 && state.cr3 == 0)
            try expectSegments(of: state, in: memory)
        }
    }

    /// The hidden parts of CS and DS are what the descriptors in memory say.
    private func expectSegments(of state: CPUState, in memory: GuestMemory) throws {
        for register in [SegmentRegister.cs, .ds, .ss, .tr] {
            let segment = state[register]
            let descriptor = try memory.value(UInt64.self, state.gdtBase + UInt64(segment.selector))
            #expect(UInt32(segment.selector) + 7 <= state.gdtLimit)
            #expect(descriptor >> 40 & 0xF0FF == UInt64(segment.attributes), "\(register)")
            let limit = descriptor & 0xFFFF | descriptor >> 32 & 0xF0000
            #expect(segment.isPageGranular ? limit << 12 | 0xFFF == segment.limit : limit == segment.limit)
        }
    }

    @Test(arguments: [2, 64, 2816, 2817, 6144])
    func `The memory map is ordered, gapless in sum and matches the regions`(mebibytes: Int) throws {
        let map = try MemoryMap(memoryByteCount: mebibytes << 20, firmwareByteCount: 0x40000)
        var last: UInt64 = 0
        for entry in map.entries {
            #expect(entry.base >= last && entry.byteCount > 0)
            last = entry.end
        }
        let ram = map.regions.filter { !$0.isReadOnly }.map(\.byteCount).reduce(0, +)
        #expect(ram == mebibytes << 20)
        for entry in map.entries where entry.kind == .usable {
            #expect(
                map.regions.contains {
                    $0.base.rawValue <= entry.base && entry.end <= $0.base.rawValue + UInt64($0.byteCount)
                }
            )
        }
        #expect(map.firmwareFile.count.isMultiple(of: 20))
    }

    @Test(arguments: [0, -4096, 1 << 20, (64 << 20) + 1, .max])
    func `RAM of an impossible size is refused`(byteCount: Int) {
        #expect(throws: BootError.self) { try MemoryMap(memoryByteCount: byteCount) }
    }
}
