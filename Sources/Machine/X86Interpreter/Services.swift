import Engine
import GuestMemory
import X86
import X86Decoder

/// What the interpreter needs beside its hot state.
///
/// Touched only by the vCPU's thread, but for what says otherwise.
final class Services {
    let memory: GuestMemory
    let controller: any InterruptController
    let clock: any MachineClock
    let model: CPUModel
    let codeCache: CodeCache
    /// This vCPU's number, which is its APIC id, and how many there are.
    let identifier: Int
    let cpuCount: Int
    private let trace: (any TraceSink)?
    /// What the trace wants to hear of.
    let traced: TraceEvents
    var msrs = MSRFile()
    var counters = InterpreterCounters()
    /// The vCPU gives up the rest of its turn.
    var yields = false
    /// The large pages that were entered into the TLB: INVLPG then has to forget more than one entry.
    var largePages = LargePages()
    /// Hears of writes, while they are compared with another engine's.
    var journal: WriteJournal?
    /// Host code for vector and x87 instructions.
    let vectorStubs: VectorStubs

    /// Device reads already answered for the running instruction, which is run again from its start after each.
    private var answers: [UInt64] = []
    private var nextAnswer = 0
    /// The read that the instruction waits for.
    private(set) var neededRead: VMExit?
    /// Device writes of finished instructions, still to be handed out.
    private var posted: [VMExit] = []
    private var nextPosted = 0

    init(
        memory: GuestMemory,
        controller: any InterruptController,
        clock: any MachineClock,
        model: CPUModel,
        codeCache: CodeCache,
        vectorStubs: VectorStubs,
        identifier: Int,
        cpuCount: Int,
        trace: (any TraceSink)?
    ) {
        self.memory = memory
        self.controller = controller
        self.clock = clock
        self.model = model
        self.codeCache = codeCache
        self.vectorStubs = vectorStubs
        self.identifier = identifier
        self.cpuCount = cpuCount
        self.trace = trace
        traced = trace?.events ?? []
    }

    /// Tells the trace of `record`, if it asked for such `events`.
    func record(_ events: TraceEvents, _ record: () -> TraceRecord) {
        guard traced.contains(events) else { return }
        trace?.record(record(), processor: identifier)
    }

    /// Reads `byteCount` bytes of a device at physical address `physical`, bytewise where no device access is that wide.
    func deviceRead(_ physical: UInt64, _ byteCount: Int) throws(Fault) -> UInt64 {
        if let width = AccessWidth(rawValue: byteCount) {
            return try answer(.memoryRead(GuestAddress(physical), width: width))
        }
        var value: UInt64 = 0
        for index in 0..<byteCount {
            value |=
                try answer(.memoryRead(GuestAddress(physical &+ UInt64(index)), width: .byte)) << UInt64(index &* 8)
        }
        return value
    }

    func deviceWrite(_ physical: UInt64, _ value: UInt64, _ byteCount: Int) {
        if let width = AccessWidth(rawValue: byteCount) {
            posted.append(.memoryWrite(GuestAddress(physical), value: value & width.mask, width: width))
            return
        }
        for index in 0..<byteCount {
            let byte = value >> UInt64(index &* 8) & 0xFF
            posted.append(.memoryWrite(GuestAddress(physical &+ UInt64(index)), value: byte, width: .byte))
        }
    }

    /// The value that a device gave for `read`, if it was asked already.
    func answer(_ read: VMExit) throws(Fault) -> UInt64 {
        if nextAnswer < answers.count {
            nextAnswer += 1
            return answers[nextAnswer - 1]
        }
        neededRead = read
        throw .exit
    }

    func post(_ write: VMExit) { posted.append(write) }

    /// The read that stopped the instruction; it then starts again, and first finds the answers it had.
    func takeNeededRead() -> VMExit? {
        defer { neededRead = nil }
        nextAnswer = 0
        return neededRead
    }

    func addAnswer(_ value: UInt64) { answers.append(value) }
    var hasAnswers: Bool { !answers.isEmpty }

    /// The instruction that the answers were for is over.
    func forgetAnswers() {
        answers.removeAll(keepingCapacity: true)
        nextAnswer = 0
    }

    var hasPosted: Bool { nextPosted < posted.count }

    func takePosted() -> VMExit? {
        guard nextPosted < posted.count else { return nil }
        defer {
            nextPosted += 1
            if nextPosted == posted.count {
                posted.removeAll(keepingCapacity: true)
                nextPosted = 0
            }
        }
        return posted[nextPosted]
    }
}

/// What `--stats` tells of an interpreter.
struct InterpreterCounters {
    var blocksDecoded: UInt64 = 0
    var blocksEntered: UInt64 = 0
    var instructionsDecoded: UInt64 = 0
    var pageWalks: UInt64 = 0
    var tlbFlushes: UInt64 = 0
    var exceptions: UInt64 = 0
    var interrupts: UInt64 = 0
    var straddlingInstructions: UInt64 = 0
}
