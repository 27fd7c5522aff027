import Engine
import GuestMemory
import Testing
import X86
import X86Interpreter

@testable import X86Translator

/// A translator that is compared with its interpreter, in supervisor mode, all of 2 MiB mapped to itself, with `code` at 0x8000.
private final class CheckBench {
    let memory: GuestMemory
    let translator: Translator

    init(_ code: [UInt8], isRepeatable: Bool = true) throws {
        memory = try GuestMemory(byteCount: 2 << 20)
        let cache = try InterpreterCodeCache(memory: memory)
        let interpreter = try Interpreter(
            memory: memory,
            controller: NoInterrupts(),
            clock: NoTime(),
            model: .vivariumV3,
            codeCache: cache,
            identifier: 0,
            cpuCount: 1
        )
        translator = try Translator(
            interpreter: interpreter,
            cache: try TranslationCache(cache, byteCount: 4 << 20),
            cpuCount: 1,
            checks: true
        )
        translator.environment.isRepeatable = isRepeatable
        try memory.store(0x2003 as UInt64, at: GuestAddress(0x1000))
        try memory.store(0x3003 as UInt64, at: GuestAddress(0x2000))
        try memory.store(0x83 as UInt64, at: GuestAddress(0x3000))
        try memory.copyIn(code, at: GuestAddress(0x8000))
        let s = translator.state
        s.cr0 = CR0.protectionEnable | CR0.extensionType | CR0.numericError | CR0.writeProtect | CR0.paging
        s.cr4 = CR4.pae | CR4.osfxsr
        s.efer = EFER.longModeEnable | EFER.longModeActive
        s.cr3 = 0x1000
        s.cpl = 0
        s[.cs] = Segment(base: 0, limit: 0xFFFF_FFFF, attributes: 0xA09B, selector: 8)
        s[.ss] = Segment(base: 0, limit: 0xFFFF_FFFF, attributes: 0xC093, selector: 16)
        s.rflags = 2
        s.rsp = 0x7000
        s.rip = 0x8000
        translator.stateChanged()
    }

    func figure(_ name: String) -> UInt64 { translator.counters.first { $0.name == name }?.value ?? 0 }
}

private final class NoInterrupts: InterruptController, @unchecked Sendable {
    // SAFETY: holds nothing that changes but for a value that nobody reads.
    var hasDeliverableInterrupt: Bool { false }
    func acknowledge() -> UInt8? { nil }
    var taskPriority: UInt8 = 0
    func readRegister(_ msr: UInt32) -> UInt64? { nil }
    func writeRegister(_ msr: UInt32, _ value: UInt64) -> Bool { false }
}

private final class NoTime: MachineClock {
    var nanoseconds: UInt64 { 0 }
    var timestamp: UInt64 { 0 }
    var timestampFrequency: UInt64 { 1_000_000_000 }
}

@Suite(.serialized) struct CheckTests {
    @Test func `Every instruction of a loop is compared`() throws {
        // MOV ECX, 1000; L: ADD [0x6000], RCX; PUSH RCX; POP RDX; LOOP L; HLT
        let code: [UInt8] = [
            0xB9, 0xE8, 0x03, 0, 0, 0x48, 0x01, 0x0C, 0x25, 0, 0x60, 0, 0, 0x51, 0x5A, 0xE2, 0xF4, 0xF4,
        ]
        let bench = try CheckBench(code)
        #expect(try bench.translator.run() == .halted)
        #expect(try bench.memory.load(UInt64.self, at: GuestAddress(0x6000)) == 500_500)
        #expect(bench.figure("checked instructions") == 4001)
        #expect(bench.translator.state.instructionCount == 4002)
    }

    @Test func `A difference in a register is reported with its instruction`() throws {
        // MOV ESI, 5; RDRAND RAX; MOV [0x6000], RAX; HLT, where RDRAND is left to the host's CPU
        let code: [UInt8] = [
            0xBE, 5, 0, 0, 0, 0x48, 0x0F, 0xC7, 0xF0, 0x48, 0x89, 0x04, 0x25, 0, 0x60, 0, 0, 0xF4,
        ]
        let bench = try CheckBench(code, isRepeatable: false)
        var text = ""
        do throws(VirtualCPUError) { _ = try bench.translator.run() } catch {
            if case .unsupported(let reason, _) = error { text = reason }
        }
        #expect(text.contains("differ after 1 instructions from 0x8005"))
        #expect(text.contains("rdrand rax"))
        #expect(text.contains("\n  rax "))
    }

    @Test func `What both engines do with RDRAND is the same where it has to be repeatable`() throws {
        let bench = try CheckBench([0x48, 0x0F, 0xC7, 0xF0, 0x48, 0x89, 0x04, 0x25, 0, 0x60, 0, 0, 0xF4])
        #expect(try bench.translator.run() == .halted)
        #expect(try bench.memory.load(UInt64.self, at: GuestAddress(0x6000)) == bench.translator.state.rax)
    }

    @Test func `Code that changes itself is compared`() throws {
        // MOV ECX, 20; L: INC BYTE [imm of MOV]; MOV EAX, 0; ADD EBX, EAX; LOOP L; HLT
        let code: [UInt8] = [
            0xB9, 20, 0, 0, 0, 0xFE, 0x04, 0x25, 0x0D, 0x80, 0, 0, 0xB8, 0, 0, 0, 0, 0x01, 0xC3, 0xE2, 0xF0, 0xF4,
        ]
        let bench = try CheckBench(code)
        #expect(try bench.translator.run() == .halted)
        #expect(bench.translator.state.rbx == 210)
    }
}
