import Engine
import GuestMemory
import Synchronization
import SystemCalls
import VirtualMachine
import X86
import X86Interpreter
import X86Translator

/// A vCPU, interpreted or checked, whose state and code are made anew at random whenever it stops, and now and then.
final class FuzzedProcessor: VirtualCPU, @unchecked Sendable {
    // SAFETY: `random` and the counts are touched only by the one thread that runs the machine.
    let inner: Interpreter
    /// What runs: the interpreter, or a translator around it.
    private let engine: any VirtualCPU
    private let changesPages: Bool
    private var state: GuestState
    private let control: MachineControl
    private let limit: UInt64
    private var random: RandomSource
    private var roundEnd: UInt64 = 0
    private var isFirst = true
    private var turns = 0
    private(set) var rounds: UInt64 = 0
    private var lastCount: UInt64 = 0

    /// `translator`: What runs `inner`'s 64-bit code; pages and code then also change between turns, as if by devices.
    init(
        _ inner: Interpreter,
        translator: (any VirtualCPU)? = nil,
        memory: GuestMemory,
        control: MachineControl,
        limit: UInt64,
        random: RandomSource
    ) {
        self.inner = inner
        engine = translator ?? inner
        changesPages = translator != nil
        state = GuestState(memory: memory)
        if translator != nil { state.modes = [.long, .longUser, .long, .longUser, .long, .compatibility] }
        self.control = control
        self.limit = limit
        self.random = random
        self.inner.sliceInstructionCount = 1000
    }

    func run() throws(VirtualCPUError) -> VMExit {
        let count = inner.state.instructionCount
        turns += 1
        if count >= limit || turns > 5_000 {
            control.end(.quit)
            return .interrupted
        }
        // A state that only faults is left soon.
        let isStuck = random.oneIn(4) && count &- lastCount < 4
        lastCount = count
        if !inner.isRunnable || count >= roundEnd || isStuck { newRound() }
        switch random.below(256) {
        case 0: inner.signal(.nonMaskableInterrupt)
        case 1: inner.signal(.interruptPending)
        case 2 where random.oneIn(8):
            inner.signal(.initialize)
            inner.signal(.startUp(vector: UInt8(Layout.code >> 12)))
        default: break
        }
        if changesPages { changeMemory() }
        let exit = try engine.run()
        if exit == .halted, !random.oneIn(4) {
            // The handler of an NMI goes on behind HLT.
            inner.signal(.nonMaskableInterrupt)
            return .interrupted
        }
        if exit == .shutdown || exit == .halted {
            newRound()
            return .interrupted
        }
        return exit
    }

    /// Now and then, a page-table entry, which is flushed, or bytes of the code become others.
    private func changeMemory() {
        if random.oneIn(4) { state.changeCode(&random) }
        if random.oneIn(8) {
            state.changePage(&random)
            inner.stateChanged()
        }
    }

    private func newRound() {
        rounds += 1
        state.fill(&random, everything: isFirst || random.oneIn(8))
        isFirst = false
        let mode = state.scramble(inner.state, &random)
        let hasHandlers = !random.oneIn(4)
        if hasHandlers { ExceptionHandlers(state: state).install(for: mode, inner.state) }
        inner.stateChanged()
        let length = hasHandlers ? 40_000 : random.oneIn(4) ? 20_000 : 500
        roundEnd = inner.state.instructionCount &+ UInt64(1 + random.below(length))
    }

    func completeRead(with value: UInt64) { engine.completeRead(with: value) }
    func interrupt() { engine.interrupt() }
    func signal(_ event: VirtualCPUEvent) { engine.signal(event) }
    var isRunnable: Bool { true }
    var counters: [(name: String, value: UInt64)] { engine.counters }
}

/// Makes fuzzed vCPUs that share one code cache.
final class FuzzedProcessors: ProcessorFactory {
    private let control: MachineControl
    private let seed: UInt64
    private let limit: UInt64
    private let checks: Bool
    let made = Mutex<(cache: InterpreterCodeCache?, all: [FuzzedProcessor])>((nil, []))

    /// `checks`: 64-bit code is translated, and compared with the interpreter.
    init(control: MachineControl, seed: UInt64, limit: UInt64, checks: Bool = false) {
        self.checks = checks
        self.control = control
        self.seed = seed
        self.limit = limit
    }

    var exceptionCount: UInt64 {
        made.withLock { $0.all.flatMap(\.counters).reduce(0) { $1.name == "exceptions" ? $0 &+ $1.value : $0 } }
    }

    var roundCount: UInt64 { made.withLock { $0.all.reduce(0) { $0 &+ $1.rounds } } }

    var instructionCount: UInt64 { made.withLock { $0.all.reduce(0) { $0 &+ $1.inner.state.instructionCount } } }

    func makeProcessor(_ setup: ProcessorSetup) throws(MachineError) -> Processor {
        do {
            let known = made.withLock { $0.cache }
            let cache = if let known { known } else { try InterpreterCodeCache(memory: setup.memory) }
            let inner = try Interpreter(
                memory: setup.memory,
                controller: setup.controller,
                clock: setup.clock,
                model: setup.model,
                codeCache: cache,
                identifier: setup.index,
                cpuCount: setup.count
            )
            let random = RandomSource(seed: seed &* 64 &+ UInt64(setup.index))
            let translator = checks ? try makeTranslator(inner, cache) : nil
            let cpu = FuzzedProcessor(
                inner,
                translator: translator,
                memory: setup.memory,
                control: control,
                limit: limit,
                random: random
            )
            made.withLock {
                $0.cache = cache
                $0.all.append(cpu)
            }
            return Processor(cpu: cpu, state: inner.state) { inner.stateChanged() }
        } catch let error as SystemCallError {
            throw .memory(.mappingFailed(byteCount: 0, cause: error))
        } catch {
            throw .engine(reason: "\(error)")
        }
    }

    private func makeTranslator(
        _ inner: Interpreter,
        _ cache: InterpreterCodeCache
    ) throws(TranslatorError) -> Translator {
        let translations = try TranslationCache(cache, byteCount: 8 << 20)
        return try Translator(interpreter: inner, cache: translations, cpuCount: 1, checks: true)
    }
}
