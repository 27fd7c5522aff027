internal import DeviceModel
internal import Engine
internal import Synchronization
internal import SystemCalls
internal import X86

/// Where a machine's time comes from, and what its devices' timers run on.
enum MachineTime: Sendable {
    case host(HostClock, HostTimerService)
    case counted(InstructionClock)

    init(_ kind: ClockKind) {
        switch kind {
        case .host:
            let timers = HostTimerService()
            self = .host(HostClock(now: timers.now), timers)
        case .instructions: self = .counted(InstructionClock())
        }
    }

    var clock: any MachineClock {
        switch self {
        case .host(let clock, _): clock
        case .counted(let clock): clock
        }
    }

    var timers: any TimerService {
        switch self {
        case .host(_, let timers): timers
        case .counted(let clock): clock
        }
    }

    /// No timer fires after this.
    func stop() {
        if case .host(_, let timers) = self { timers.stop() }
    }
}

/// The host's monotonic time, read without a lock; its time-stamp counter counts nanoseconds.
final class HostClock: MachineClock {
    private let origin: UInt64

    /// - Parameter now: What the clock is to say at this moment.
    init(now: UInt64) { origin = HostTime.nanoseconds &- now }

    var nanoseconds: UInt64 { HostTime.nanoseconds &- origin }
    var timestamp: UInt64 { nanoseconds }
    var timestampFrequency: UInt64 { 1_000_000_000 }
    var hostCounter: HostCounter? {
        HostTime.counter.map { HostCounter(multiplier: $0.multiplier, offset: $0.offset &- origin) }
    }
}

/// Time that goes on by a nanosecond with each instruction that any vCPU executes, and jumps to the next timer when all are idle.
///
/// Timers fire on the engine's thread when a vCPU returns, so a run without outside input is the same each time.
final class InstructionClock: MachineClock, TimerService {
    private struct State {
        /// The time when ``running`` began to run, or now.
        var base: UInt64 = 0
        var running: CPUState?
        /// The instructions that ``running`` had executed at ``base``.
        var startCount: UInt64 = 0

        var now: UInt64 { base &+ (running.map { $0.instructionCount &- startCount } ?? 0) }
    }

    private let state = Mutex(State())
    private let queue = ManualTimerService()

    var nanoseconds: UInt64 { state.withLock { $0.now } }
    var timestamp: UInt64 { nanoseconds }
    var timestampFrequency: UInt64 { 1_000_000_000 }

    var now: UInt64 { nanoseconds }
    func makeTimer(_ handler: @escaping @Sendable () -> Void) -> any DeviceTimer { queue.makeTimer(handler) }

    /// Counts the instructions of this vCPU from now on.
    func begin(_ processor: CPUState) {
        state.withLock { $0 = State(base: $0.now, running: processor, startCount: processor.instructionCount) }
    }

    /// Stops counting, and fires the timers that are due.
    func end() {
        let now = state.withLock { state -> UInt64 in
            state = State(base: state.now)
            return state.base
        }
        queue.advance(to: now)
    }

    /// Jumps to the next timer and fires it; false where none is armed.
    func skipToNextTimer() -> Bool {
        guard let deadline = queue.nextDeadline else { return false }
        state.withLock { $0.base = max($0.base, deadline) }
        queue.advance(to: nanoseconds)
        return true
    }
}
