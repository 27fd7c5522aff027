import Engine
import GuestMemory
import Testing
import X86

@testable import X86Interpreter

@Suite struct CodeChangeTests {
    /// Runs the real-mode code at 0x1000 to its HLT and returns AL.
    private func run(_ cpu: Interpreter) throws -> UInt8 {
        let s = cpu.state
        s.activity = .active
        s[.cs] = Segment(base: 0, limit: 0xFFFF, attributes: 0x9B, selector: 0)
        s.rip = 0x1000
        for _ in 0..<10 where try cpu.run() == .halted { break }
        return UInt8(truncatingIfNeeded: s.rax)
    }

    @Test func `A device's write to code that has run is what runs next`() throws {
        let memory = try GuestMemory(byteCount: 1 << 20)
        let cpu = try Interpreter(
            memory: memory,
            controller: SilentController(),
            clock: StoppedClock(),
            model: try #require(CPUModel.named("vivarium-v3")),
            codeCache: InterpreterCodeCache(memory: memory),
            identifier: 0,
            cpuCount: 1
        )
        // mov al, 1; hlt
        try memory.copyIn([0xB0, 0x01, 0xF4], at: GuestAddress(0x1000))
        #expect(try run(cpu) == 1)
        try memory.store(2 as UInt8, at: GuestAddress(0x1001))
        #expect(try run(cpu) == 2)
    }
}
