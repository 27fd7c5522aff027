internal import CLinux
public import Engine
public import GuestMemory
import Synchronization
public import SystemCalls
public import X86
import X86Decoder

/// One vCPU that is interpreted: exact, and the oracle for the faster engines.
///
/// Owned by one thread at a time, but for ``interrupt()`` and ``signal(_:)``. vCPUs that share a ``InterpreterCodeCache`` take
/// turns on one thread.
public final class Interpreter: VirtualCPU, @unchecked Sendable {
    // SAFETY: everything but `mailbox` and the pending-events word is touched only by the thread that runs the vCPU.
    private let mapping: HostMapping
    let core: Core
    let services: Services
    private let codeChanges: CodeChangeQueue
    let mailbox = Mutex(Mailbox())

    /// Events that carry more than a bit.
    struct Mailbox {
        var startUpVector: UInt8 = 0
    }

    /// Bits of the pending-events word.
    package enum Pending {
        static let kick: UInt32 = 1
        package static let interrupt: UInt32 = 2
        static let nonMaskable: UInt32 = 4
        static let initialize: UInt32 = 8
        static let startUp: UInt32 = 16
        /// A device has written to a page with decoded code.
        static let codeChanges: UInt32 = 32
    }

    /// How many instructions one ``run()`` executes at most before it lets the next vCPU have its turn.
    public var sliceInstructionCount: UInt64 = 200_000

    /// Makes a vCPU in its reset state; `identifier` is its APIC id, and number 0 is the bootstrap processor.
    public init(
        memory: GuestMemory,
        controller: any InterruptController,
        clock: any MachineClock,
        model: CPUModel,
        codeCache: InterpreterCodeCache,
        identifier: Int,
        cpuCount: Int,
        trace: (any TraceSink)? = nil
    ) throws(SystemCallError) {
        mapping = try HostMapping(anonymous: Layout.byteCount)
        core = Core(raw: mapping.base)
        services = Services(
            memory: memory,
            controller: controller,
            clock: clock,
            model: model,
            codeCache: codeCache.cache,
            vectorStubs: codeCache.stubs,
            identifier: identifier,
            cpuCount: cpuCount,
            trace: trace
        )
        mapping.base.storeBytes(
            of: Unmanaged.passUnretained(services),
            toByteOffset: Layout.services,
            as: Unmanaged<Services>.self
        )
        codeCache.cache.cores.append(core)
        codeChanges = codeCache.changes
        core.initializeTLB()
        core.resetRegisters()
        core.state.activity = identifier == 0 ? .active : .waitForStartUp
        codeChanges.add(self)
    }

    /// The vCPU's state; to be touched only while ``run()`` is not running.
    public var state: CPUState { core.state }

    /// To be called after ``state`` was changed from outside.
    public func stateChanged() {
        core.state.updateMode()
        core.selectTLB()
        core.flushTLB()
    }

    var pending: UnsafeMutablePointer<UInt32> {
        // SAFETY: the word is only ever accessed as an atomic 32-bit integer.
        (mapping.base + CPUState.pendingEventsOffset).assumingMemoryBound(to: UInt32.self)
    }

    public func interrupt() { clinux_atomic_or(pending, Pending.kick) }

    public func signal(_ event: VirtualCPUEvent) {
        switch event {
        case .interruptPending: clinux_atomic_or(pending, Pending.interrupt)
        case .nonMaskableInterrupt: clinux_atomic_or(pending, Pending.nonMaskable)
        case .initialize: clinux_atomic_or(pending, Pending.initialize)
        case .startUp(let vector):
            mailbox.withLock { $0.startUpVector = vector }
            clinux_atomic_or(pending, Pending.startUp)
        }
    }

    public var isRunnable: Bool {
        let events = clinux_atomic_load(pending)
        switch core.state.activity {
        case .active: return true
        case .shutdown: return events & Pending.initialize != 0
        case .waitForStartUp: return events & (Pending.startUp | Pending.initialize) != 0
        case .halted:
            if events & ~(Pending.interrupt | Pending.startUp) != 0 { return true }
            return events & Pending.interrupt != 0 && services.controller.hasDeliverableInterrupt
                && core.state.systemFlags & RFlags.interruptEnable != 0
        }
    }

    public func completeRead(with value: UInt64) { services.addAnswer(value) }

    public var counters: [(name: String, value: UInt64)] {
        let c = services.counters
        return [
            ("instructions", core.state.instructionCount),
            ("blocks decoded", c.blocksDecoded),
            ("instructions decoded", c.instructionsDecoded),
            ("blocks entered", c.blocksEntered),
            ("page walks", c.pageWalks),
            ("tlb flushes", c.tlbFlushes),
            ("code invalidations", services.codeCache.invalidations),
            ("code cache resets", services.codeCache.resets),
            ("straddling instructions", c.straddlingInstructions),
            ("exceptions", c.exceptions),
            ("interrupts", c.interrupts),
        ]
    }

    public func run() throws(VirtualCPUError) -> VMExit {
        let s = core.state
        let end = s.instructionCount &+ sliceInstructionCount
        // Code that only faults executes nothing: each exception uses up the slice as an instruction does.
        let exceptions = services.counters.exceptions
        while true {
            if let exit = takeExit() { return exit }
            if s.instructionCount &+ (services.counters.exceptions &- exceptions) >= end { return .interrupted }
            interpret(atMost: end &- s.instructionCount)
            if let read = takeNeededRead() { return read }
        }
    }

    /// Called on a device's thread.
    func noteCodeChanges() { clinux_atomic_or(pending, Pending.codeChanges) }

    /// Throws away what was decoded from bytes that devices have written since.
    private func forgetChangedCode() {
        let page = UInt64(GuestMemory.pageByteCount)
        for change in codeChanges.takeAll() {
            var address = change.address.rawValue
            let end = address &+ UInt64(change.byteCount)
            while address < end {
                let step = min(page &- address % page, end &- address)
                let first = GuestAddress(address &- address % page)
                if let host = services.memory.hostPointer(at: first, byteCount: Int(page)) {
                    core.noteCodeWrite(host, Int(address % page), Int(step))
                }
                address &+= step
            }
        }
    }

    /// Acts on pending events in the order of SDM 3A §6.9.
    ///
    /// - Returns: an exit, if the events ask for one.
    func takeEvents() -> VMExit? {
        let s = core.state
        let events = clinux_atomic_load(pending)
        if events & Pending.kick != 0 {
            clinux_atomic_and(pending, ~Pending.kick)
            return .interrupted
        }
        if events & Pending.codeChanges != 0 {
            clinux_atomic_and(pending, ~Pending.codeChanges)
            forgetChangedCode()
        }
        if events & Pending.initialize != 0 {
            clinux_atomic_and(pending, ~(Pending.initialize | Pending.startUp))
            core.initializeRegisters()
            s.activity = services.identifier == 0 ? .active : .waitForStartUp
            return nil
        }
        if events & Pending.startUp != 0 {
            clinux_atomic_and(pending, ~Pending.startUp)
            guard s.activity == .waitForStartUp else { return nil }
            core.startUp(vector: mailbox.withLock { $0.startUpVector })
            return nil
        }
        // Nothing else reaches a vCPU that waits for INIT or a start-up.
        guard s.activity == .active || s.activity == .halted, s.interruptShadow == 0, !services.hasAnswers else {
            return nil
        }
        if events & Pending.nonMaskable != 0, !core.nonMaskableBlocked {
            clinux_atomic_and(pending, ~Pending.nonMaskable)
            s.activity = .active
            services.record(.exceptions) { .interrupt(vector: ExceptionVector.nmi, rip: s.rip) }
            core.deliverInterrupt(vector: ExceptionVector.nmi, kind: .nonMaskable)
            return nil
        }
        guard events & Pending.interrupt != 0, s.systemFlags & RFlags.interruptEnable != 0 else { return nil }
        clinux_atomic_and(pending, ~Pending.interrupt)
        if let vector = services.controller.acknowledge() {
            if services.controller.hasDeliverableInterrupt { clinux_atomic_or(pending, Pending.interrupt) }
            s.activity = .active
            services.counters.interrupts &+= 1
            services.record(.exceptions) { .interrupt(vector: vector, rip: s.rip) }
            core.deliverInterrupt(vector: vector, kind: .external)
        }
        return nil
    }
}

/// Decoded code and host stubs that the vCPUs of one machine share.
public final class InterpreterCodeCache: @unchecked Sendable {
    // SAFETY: used only by the one thread that runs the machine's vCPUs in turn.
    let cache: CodeCache
    let stubs: VectorStubs
    let changes = CodeChangeQueue()

    public init(memory: GuestMemory) throws(SystemCallError) {
        cache = try CodeCache(memory: memory)
        stubs = try VectorStubs()
        memory.observeCode(changes)
    }

    /// Throws away what was decoded from `byteCount` bytes at `host`, which lie in one page of guest memory, after they
    /// were changed from outside.
    ///
    /// Only between runs.
    package func codeChanged(at host: UnsafeRawPointer, byteCount: Int) {
        _ = cache.invalidate(host, offset: Int(UInt(bitPattern: host) & 0xFFF), byteCount: byteCount)
    }

    /// Called on the vCPUs' thread with the host address of a page of guest memory after the code in it was thrown away, also where
    /// only ``Interpreter/markCode(hostPage:offset:byteCount:)`` had told of code.
    package var onInvalidation: ((UnsafeRawPointer) -> Void)? {
        get { cache.onInvalidation }
        set { cache.onInvalidation = newValue }
    }

    /// Whether instructions decoded from now on go through the complete functions alone, so that the quick handlers can be
    /// compared with them.
    package var avoidsQuickHandlers: Bool {
        get { cache.avoidsQuickHandlers }
        set { cache.avoidsQuickHandlers = newValue }
    }
}
