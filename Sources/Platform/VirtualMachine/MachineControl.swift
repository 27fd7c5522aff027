public import DeviceModel
internal import Engine
internal import Synchronization

/// Where everybody who is not the engine's thread asks something of it: devices, timers, and the user.
///
/// It outlives resets of the machine. Any thread may call; the lock is never held while calling out.
public final class MachineControl: MachineRequestSink {
    private struct State {
        /// Why the engine is to leave its loop; the first one counts.
        var outcome: MachineOutcome?
        /// The vCPU that executes now.
        var running: (any VirtualCPU)?
        var requests: [PendingRequest] = []
        /// The machine has ended for good.
        var isClosed = false
        /// How many disks want the guest to stand still, and whether the engine's thread knows of any.
        var holdCount = 0
        var isHoldKnown = false

        var wantsAttention: Bool { outcome != nil || !requests.isEmpty || (holdCount > 0) != isHoldKnown }
    }

    private let state = Mutex(State())
    private let wakeUp = WakeSignal()

    public init() {}

    public func request(_ request: MachineRequest) {
        switch request {
        case .powerOff: end(.powerOff)
        case .reset: end(.reset)
        case .exit(let value): end(.exit(value: value))
        }
    }

    /// Makes the engine stop with `outcome`, unless it stops for an earlier reason.
    public func end(_ outcome: MachineOutcome) {
        let running = state.withLock { state -> (any VirtualCPU)? in
            if state.outcome == nil { state.outcome = outcome }
            return state.running
        }
        running?.interrupt()
        wakeUp.notify()
    }

    /// Whether the engine is to leave its loop.
    var outcome: MachineOutcome? { state.withLock { $0.outcome } }

    /// Makes room for the next outcome, after a reset was done.
    func forgetReset() { state.withLock { if $0.outcome == .reset || $0.outcome == .tripleFault { $0.outcome = nil } } }

    // MARK: Requests

    /// Has the machine's thread do something, between two turns of the vCPUs.
    ///
    /// On any other thread, which sleeps until it is done.
    public func perform(_ request: ControlRequest) -> ControlAnswer {
        let pending = PendingRequest(request)
        let (isClosed, running) = state.withLock { state -> (Bool, (any VirtualCPU)?) in
            if !state.isClosed { state.requests.append(pending) }
            return (state.isClosed, state.running)
        }
        if isClosed { return .refused("the machine has ended") }
        running?.interrupt()
        wakeUp.notify()
        return pending.wait()
    }

    /// Lets the guest stand still until every disk that called this has called ``release()``; returns at once.
    func hold() { changeHolds(by: 1) }
    func release() { changeHolds(by: -1) }

    private func changeHolds(by change: Int) {
        let running = state.withLock { state -> (any VirtualCPU)? in
            state.holdCount = max(0, state.holdCount + change)
            return state.running
        }
        running?.interrupt()
        wakeUp.notify()
    }

    /// Whether the guest is to stand still for a disk; on the engine's thread.
    func takeHold() -> Bool {
        state.withLock { state in
            state.isHoldKnown = state.holdCount > 0
            return state.isHoldKnown
        }
    }

    func takeRequests() -> [PendingRequest] {
        state.withLock { state in
            defer { state.requests = [] }
            return state.requests
        }
    }

    /// Whether the engine's thread is to leave its loop: the machine ends, or somebody asks for something.
    var wantsAttention: Bool { state.withLock { $0.wantsAttention } }

    /// Refuses every request from now on.
    func close() {
        let requests = state.withLock { state in
            state.isClosed = true
            defer { state.requests = [] }
            return state.requests
        }
        for pending in requests { pending.answer(.refused("the machine has ended")) }
    }

    /// Says that `processor` runs from now on, unless the loop is to be left.
    func begin(_ processor: any VirtualCPU) -> Bool {
        state.withLock { state in
            guard !state.wantsAttention else { return false }
            state.running = processor
            return true
        }
    }

    func setRunning(_ processor: (any VirtualCPU)?) { state.withLock { $0.running = processor } }

    /// Lets the next vCPU run.
    public func endTurn() { state.withLock { $0.running }?.interrupt() }

    /// To be called after an event was posted to `processor`: it gets its turn soon.
    func noteEvent(for processor: any VirtualCPU) {
        let running = state.withLock { $0.running }
        if running === processor { return }
        running?.interrupt()
        wakeUp.notify()
    }

    /// Sleeps until anything was noted since the last sleep.
    func sleep() { wakeUp.wait() }
}

/// A vCPU as its interrupt controller sees it: events go on to the vCPU, and the engine's thread learns of them.
final class ProcessorPort: VirtualCPU {
    private let processor: any VirtualCPU
    private let control: MachineControl

    init(_ processor: any VirtualCPU, control: MachineControl) {
        self.processor = processor
        self.control = control
    }

    func signal(_ event: VirtualCPUEvent) {
        processor.signal(event)
        control.noteEvent(for: processor)
    }

    func run() throws(VirtualCPUError) -> VMExit { try processor.run() }
    func completeRead(with value: UInt64) { processor.completeRead(with: value) }
    func interrupt() { processor.interrupt() }
    var isRunnable: Bool { processor.isRunnable }
    var counters: [(name: String, value: UInt64)] { processor.counters }
}
