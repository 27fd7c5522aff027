import Engine
import GuestMemory
import X86
import X86Interpreter

@testable import X86Translator

final class NoController: InterruptController, @unchecked Sendable {
    // SAFETY: only the test's thread touches it.
    var hasDeliverableInterrupt: Bool { false }
    func acknowledge() -> UInt8? { nil }
    var taskPriority: UInt8 = 0
    func readRegister(_ msr: UInt32) -> UInt64? { nil }
    func writeRegister(_ msr: UInt32, _ value: UInt64) -> Bool { false }
}

final class NoClock: MachineClock {
    var nanoseconds: UInt64 { 0 }
    var timestamp: UInt64 { 0 }
    var timestampFrequency: UInt64 { 1_000_000_000 }
}

/// A translated vCPU in 64-bit mode at CPL 0, with the first 2 MiB mapped to themselves.
struct TranslatedBench {
    static let code: UInt64 = 0x1_0000

    let memory: GuestMemory
    let cache: TranslationCache
    let cpu: Translator
    let observation: TranslatorObservation
    var state: CPUState { cpu.state }

    init(_ code: [UInt8], _ observation: TranslatorObservation = TranslatorObservation()) throws {
        self.observation = observation
        memory = try GuestMemory(byteCount: 4 << 20)
        let interpreted = try InterpreterCodeCache(memory: memory)
        let interpreter = try Interpreter(
            memory: memory,
            controller: NoController(),
            clock: NoClock(),
            model: .vivariumV3,
            codeCache: interpreted,
            identifier: 0,
            cpuCount: 1
        )
        cache = try TranslationCache(interpreted, byteCount: 4 << 20)
        cpu = try Translator(interpreter: interpreter, cache: cache, cpuCount: 1, observation: observation)
        for (entry, value) in [(0x1000, 0x2003), (0x2000, 0x3003), (0x3000, 0x83)] as [(UInt64, UInt64)] {
            try memory.store(value, at: GuestAddress(entry))
        }
        try memory.copyIn(code, at: GuestAddress(Self.code))
        let s = cpu.state
        s.cr0 = CR0.protectionEnable | CR0.paging | CR0.writeProtect | CR0.extensionType
        s.cr3 = 0x1000
        s.cr4 = CR4.pae | CR4.pge
        s.efer = EFER.longModeEnable | EFER.longModeActive
        s[.cs] = Segment(base: 0, limit: 0xFFFF_FFFF, attributes: 0xA09B, selector: 8)
        s.activity = .active
        s.rip = Self.code
        s.rsp = 0x8_0000
        cpu.stateChanged()
    }
}
