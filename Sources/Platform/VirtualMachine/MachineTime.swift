internal import DeviceModel
internal import Engine
internal import Synchronization
internal import SystemCalls
internal import X86

/// Where a machine's time comes from, and what its devices' timers run on.
enum MachineTime: Sendable {
    case host(HostClock, HostTimerService)
    case counted(InstructionClock)

    /// Makes a clock and its timers.
    ///
    /// `now`: What the time is at the start. `isPaused`: Whether it stands still until ``resume()``.
    init(_ kind: ClockKind, now: UInt64 = 0, isPaused: Bool = false) {
        switch kind {
        case .host:
            let timers = HostTimerService(now: now, isPaused: isPaused)
            let clock = HostClock(origin: timers.origin)
            if isPaused { clock.pause(at: now) }
            self = .host(clock, timers)
        case .instructions: self = .counted(InstructionClock(now: now))
        }
    }

    /// Lets time stand still; no timer fires.
    ///
    /// Time that is counted in instructions stands still with the vCPUs.
    func pause() {
        if case .host(let clock, let timers) = self { clock.pause(at: timers.pause()) }
    }

    /// Goes on from where the time stood still.
    func resume() {
        guard case .host(let clock, let timers) = self else { return }
        timers.resume()
        clock.resume(origin: timers.origin)
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
    /// The host's time at which this was 0, if it had never paused.
    private let origin: Atomic<UInt64>
    /// What the clock says while it stands still; all ones while it runs.
    private let pausedAt = Atomic<UInt64>(.max)

    init(origin: UInt64) { self.origin = Atomic(origin) }

    /// - Parameter now: What the clock is to say at this moment.
    convenience init(now: UInt64) { self.init(origin: HostTime.nanoseconds &- now) }

    func pause(at now: UInt64) { pausedAt.store(now, ordering: .releasing) }

    func resume(origin newOrigin: UInt64) {
        origin.store(newOrigin, ordering: .relaxed)
        pausedAt.store(.max, ordering: .releasing)
    }

    var nanoseconds: UInt64 {
        let paused = pausedAt.load(ordering: .acquiring)
        return paused == .max ? HostTime.nanoseconds &- origin.load(ordering: .relaxed) : paused
    }
    var timestamp: UInt64 { nanoseconds }
    var timestampFrequency: UInt64 { 1_000_000_000 }
    var hostCounter: HostCounter? {
        let origin = origin.load(ordering: .relaxed)
        return HostTime.counter.map { HostCounter(multiplier: $0.multiplier, offset: $0.offset &- origin) }
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

    private let state: Mutex<State>
    private let queue: ManualTimerService

    /// - Parameter now: What the time is at the start.
    init(now: UInt64 = 0) {
        state = Mutex(State(base: now))
        queue = ManualTimerService(now: now)
    }

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
