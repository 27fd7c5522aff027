import Engine
import Testing

@testable import VirtualMachine

@Suite struct SymbolTableTests {
    private static let text = """
        0000000000000000 A fixed_percpu_data
        ffffffff81000000 T _text
        ffffffff81000100 T do_work
        ffffffff81200080 T entry_SYSCALL_64
        ffffffff81300000 B _end
        ffffffffc0000010 t module_work\t[virtio]
        not a line
        """

    @Test func `An address is that of the symbol at or before it`() throws {
        let table = try #require(SymbolTable(Self.text.utf8))
        #expect(table.symbol(at: 0xFFFF_FFFF_8100_0123).map { "\($0.name)+\($0.offset)" } == "do_work+35")
        #expect(table.symbol(at: 0xFFFF_FFFF_8100_0100)?.offset == 0)
        #expect(table.symbol(at: 0xFFFF_FFFF_C000_0020)?.name == "module_work [virtio]")
        #expect(table.symbol(at: 0x1000) == nil)
        #expect(table.symbol(at: 0xFFFF_FFFF_9000_0000) == nil)
    }

    @Test func `A kernel that was moved is followed by where SYSCALL enters it`() throws {
        var table = try #require(SymbolTable(Self.text.utf8))
        table.relocate(systemCallEntry: 0xFFFF_FFFF_8F20_0080)
        #expect(table.slide == 0xE00_0000)
        #expect(table.symbol(at: 0xFFFF_FFFF_8F00_0101)?.name == "do_work")
        // Modules are moved apart from it.
        #expect(table.symbol(at: 0xFFFF_FFFF_C000_0020) == nil)
    }

    @Test func `A kernel that was not moved keeps its modules`() throws {
        for entry in [0xFFFF_FFFF_8120_0080, 0] as [UInt64] {
            var table = try #require(SymbolTable(Self.text.utf8))
            table.relocate(systemCallEntry: entry)
            #expect(table.slide == 0)
            #expect(table.symbol(at: 0xFFFF_FFFF_C000_0020)?.name == "module_work [virtio]")
        }
    }

    @Test func `What holds no symbols is no table`() {
        #expect(SymbolTable("".utf8) == nil)
        // What an ordinary user reads from /proc/kallsyms.
        #expect(SymbolTable("0000000000000000 T _text\n".utf8) == nil)
    }
}

@Suite struct MachineProfileTests {
    private let kernel: UInt64 = 0xFFFF_FFFF_8100_0120
    private let caller: UInt64 = 0xFFFF_FFFF_8100_0010

    private func profile() -> MachineProfile {
        let profile = MachineProfile()
        for _ in 0..<3 { profile.record(ProfileSample(stack: [kernel, caller], activity: "translated code")) }
        profile.record(ProfileSample(stack: [kernel + 8], activity: "interpreter"))
        for _ in 0..<4 { profile.record(ProfileSample(stack: [], activity: "idle")) }
        profile.record(ProfileSample(stack: [0x40_1234], activity: "translated code"))
        return profile
    }

    @Test func `Folded stacks go from the mode to the innermost function`() {
        let symbols = SymbolTable("ffffffff81000000 T start\nffffffff81000100 T work\n".utf8)
        #expect(
            profile().report(symbols: symbols).foldedStacks == """
                [idle] 4
                kernel;start;work 3
                kernel;work;[interpreter] 1
                user;0x401000 1

                """
        )
    }

    @Test func `The table has shares, samples, symbols and modes, the hottest first`() {
        let symbols = SymbolTable("ffffffff81000000 T start\nffffffff81000100 T work\n".utf8)
        let lines = profile().report(symbols: symbols).table().split(separator: "\n").map(String.init)
        #expect(lines[0] == "profile: 9 samples")
        #expect(lines.contains("   44.4 %  4  translated code") && lines.contains("   44.4 %  4  idle"))
        #expect(lines.contains("   44.4 %  4  kernel  work"))
        #expect(lines.contains("   33.3 %  3  kernel  work+0x20  0xffffffff81000120"))
        #expect(lines.contains("   11.1 %  1  user  0x401234"))
        let functions = lines.firstIndex(of: "profile: hot guest code by function")
        #expect(functions.map { lines[$0 + 1].hasSuffix("kernel  work") } == true)
    }

    @Test func `Samples that were lost are told`() {
        let profile = profile()
        profile.noteLost(7)
        #expect(profile.report().table().hasPrefix("profile: 9 samples, 7 lost\n"))
    }
}
