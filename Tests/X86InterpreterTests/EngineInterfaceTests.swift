import Engine
import GuestMemory
import Testing
import X86

@testable import X86Interpreter

struct EngineInterfaceTests {
    private let bench: PagedBench
    private var cpu: Interpreter { bench.cpu }
    private var state: CPUState { bench.state }

    init() throws { bench = try PagedBench() }

    @Test func `stepOne runs one instruction, wherever a block begins`() throws {
        // mov eax, 1; mov ebx, 2; mov ecx, 3; hlt
        try bench.place([0xB8, 1, 0, 0, 0, 0xBB, 2, 0, 0, 0, 0xB9, 3, 0, 0, 0, 0xF4])
        cpu.stepOne()
        #expect((state.rax, state.rbx, state.rip, state.instructionCount) == (1, 0, 0x10005, 1))
        // The rest, as one block.
        cpu.interpret(atMost: 1)
        #expect((state.rbx, state.rcx, state.instructionCount) == (2, 3, 4))
        #expect(cpu.takeExit() == .halted)
        state.activity = .active
        (state.rbx, state.rcx) = (0, 0)
        state.rip = 0x10005
        cpu.stepOne()
        #expect((state.rbx, state.rcx, state.rip, state.instructionCount) == (2, 0, 0x1000A, 5))
        cpu.stepOne()
        #expect((state.rcx, state.rip, state.instructionCount) == (3, 0x1000F, 6))
        #expect(cpu.takeExit() == nil)
        cpu.stepOne()
        #expect(cpu.takeExit() == .halted)
    }

    @Test func `stepOne leaves a device read, and finishes it with the answer`() throws {
        // in al, 0x10; inc eax
        try bench.place([0xE4, 0x10, 0xFF, 0xC0])
        cpu.stepOne()
        #expect(cpu.takeNeededRead() == .portRead(port: 0x10, width: .byte))
        #expect((state.rip, state.instructionCount) == (0x10000, 0))
        cpu.completeRead(with: 0x41)
        #expect(!cpu.canTranslate)
        cpu.stepOne()
        #expect(cpu.takeNeededRead() == nil)
        #expect((state.rax, state.rip) == (0x41, 0x10002))
        #expect(cpu.canTranslate)
    }

    @Test func `A write to a device comes out before more code runs`() throws {
        // out 0x10, al
        try bench.place([0xE6, 0x10])
        cpu.stepOne()
        #expect(cpu.takeExit() == .portWrite(port: 0x10, value: 0, width: .byte))
        #expect(cpu.takeExit() == nil)
    }

    @Test func `stepOne ends an interrupt shadow`() throws {
        // sti; nop; nop
        try bench.place([0xFB, 0x90, 0x90])
        cpu.stepOne()
        #expect(state.interruptShadow != 0)
        #expect(!cpu.canTranslate)
        cpu.stepOne()
        #expect(state.interruptShadow == 0)
        #expect(cpu.canTranslate)
    }

    @Test func `stepOne delivers a fault of the instruction it was to run`() throws {
        // mov eax, [0x6000], which is not mapped; without an IDT the delivery ends in a shutdown.
        try bench.place([0x8B, 0x04, 0x25, 0x00, 0x60, 0x00, 0x00])
        state.idtLimit = 0
        cpu.stepOne()
        #expect(state.cr2 == 0x6000)
        #expect(cpu.takeExit() == .shutdown)
    }

    @Test func `fill says no to what needs the slow way, without a fault`() throws {
        #expect(!cpu.fill(0x6000, write: false))
        #expect(state.cr2 == 0)
        try bench.map(0x6000, 0x10_0000)
        #expect(cpu.fill(0x6000, write: false))
        #expect(!bench.holds(0x6000, TLB.writeTag))
        #expect(cpu.fill(0x6FFF, write: true))
        #expect(bench.holds(0x6000, TLB.writeTag))
        // Beyond memory.
        try bench.map(0x7000, 0x4000_0000)
        #expect(!cpu.fill(0x7000, write: false))
        #expect(cpu.fetchPage(0x7000) == nil)
        #expect(cpu.fetchPage(0x8000) == nil)
        #expect(cpu.fetchPage(0x6010) == bench.memory.hostPointer(at: GuestAddress(0x10_0000), byteCount: 1))
    }

    @Test func `What has to be looked at instruction by instruction is not translated`() throws {
        #expect(cpu.canTranslate)
        state.setDebugRegister(7, 0x401)
        bench.core.selectTLB()
        #expect(!cpu.canTranslate)
        state.setDebugRegister(7, 0x400)
        bench.core.selectTLB()
        state.systemFlags |= RFlags.tf
        #expect(!cpu.canTranslate)
        state.systemFlags &= ~RFlags.tf
        #expect(cpu.canTranslate)
        #expect(cpu.currentTable == TLB.supervisor)
    }
}
