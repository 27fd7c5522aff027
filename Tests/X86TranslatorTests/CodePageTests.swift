import Engine
import GuestMemory
import Testing
import X86

@testable import X86Translator

@Suite struct CodePageTests {
    private func figure(_ name: String, _ bench: TranslatedBench) -> UInt64? {
        bench.cpu.counters.first { $0.name == name }?.value
    }

    @Test func `A write to a page with code that meets no code runs translated`() throws {
        // mov ecx, 100; loop: inc dword [0x10800]; dec ecx; jnz loop; hlt
        let code: [UInt8] = [0xB9, 100, 0, 0, 0, 0xFF, 0x04, 0x25, 0, 8, 1, 0, 0xFF, 0xC9, 0x75, 0xF5, 0xF4]
        let bench = try TranslatedBench(code)
        #expect(try bench.cpu.run() == .halted)
        #expect(try bench.memory.load(UInt32.self, at: GuestAddress(0x1_0800)) == 100)
        #expect(figure("writes beside code", bench) == 100)
        #expect(figure("interpreted: device or fault", bench) == 0)
        #expect(figure("pages of translated code changed", bench) == 0)
    }

    @Test func `A repeated move that begins beside code and ends in it changes the code`() throws {
        // call 0x10100; mov ebx, eax; mov esi, 0x20000; mov edi, 0x100C0; mov ecx, 70; rep movsb; call 0x10100; add ebx, eax; hlt
        let code: [UInt8] = [
            0xE8, 0xFB, 0, 0, 0, 0x89, 0xC3, 0xBE, 0, 0, 2, 0, 0xBF, 0xC0, 0, 1, 0, 0xB9, 70, 0, 0, 0, 0xF3, 0xA4,
            0xE8, 0xE3, 0, 0, 0, 0x01, 0xC3, 0xF4,
        ]
        // mov eax, 1; ret
        let function: [UInt8] = [0xB8, 1, 0, 0, 0, 0xC3]
        let bench = try TranslatedBench(code)
        try bench.memory.copyIn(function, at: GuestAddress(0x1_0100))
        try bench.memory.copyIn([0xB8, 2, 0, 0, 0, 0xC3] as [UInt8], at: GuestAddress(0x2_0040))
        #expect(try bench.cpu.run() == .halted)
        #expect(bench.state.rbx == 3)
    }

    @Test func `Jumps between pages that became position-independent at different addresses are linked`() throws {
        // hlt; at 0x10: jmp 0x1010; at 0x20: dec ecx; jnz 0x10; hlt
        var first = [UInt8](repeating: 0xF4, count: 0x40)
        first.replaceSubrange(0x10..<0x15, with: [0xE9, 0xFB, 0x0F, 0, 0])
        first.replaceSubrange(0x20..<0x24, with: [0xFF, 0xC9, 0x75, 0xEC])
        // hlt; at 0x10: jmp -0xFF0
        var second = [UInt8](repeating: 0xF4, count: 0x40)
        second.replaceSubrange(0x10..<0x15, with: [0xE9, 0x0B, 0xF0, 0xFF, 0xFF])
        let bench = try TranslatedBench(first)
        try bench.memory.copyIn(second, at: GuestAddress(0x1_1000))
        // User pages: both at 0x400000, 0x500000, 0x600000 and 0x700000.
        let entries: [(UInt64, UInt64)] = [(0x1000, 0x2007), (0x2000, 0x3007), (0x3010, 0x4007), (0x3018, 0x5007)]
        for (entry, value) in entries { try bench.memory.store(value, at: GuestAddress(entry)) }
        for table: UInt64 in [0x4000, 0x4800, 0x5000, 0x5800] {
            try bench.memory.store(0x1_0007 as UInt64, at: GuestAddress(table))
            try bench.memory.store(0x1_1007 as UInt64, at: GuestAddress(table + 8))
        }
        let s = bench.state
        s.cpl = 3
        s[.cs] = Segment(base: 0, limit: 0xFFFF_FFFF, attributes: 0xA0FB, selector: 0x33)
        s[.ss] = Segment(base: 0, limit: 0xFFFF_FFFF, attributes: 0xC0F3, selector: 0x2B)
        s.rcx = 1000
        for rip: UInt64 in [0x40_0000, 0x50_0000, 0x40_1000, 0x60_1000, 0x70_0010] {
            s.activity = .active
            s.rip = rip
            bench.cpu.stateChanged()
            // HLT is the supervisor's, and there is no table of handlers.
            #expect(try bench.cpu.run() == .shutdown)
        }
        #expect(s.rcx == 0)
        let links = try #require(figure("links made", bench))
        #expect(links > 2 && links < 50)
    }
}
