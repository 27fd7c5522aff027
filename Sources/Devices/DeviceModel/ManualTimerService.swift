internal import Synchronization

/// Time that moves only when told to: for tests, and for time counted in instructions.
///
/// Handlers run on the thread that calls ``advance(to:)``, in the order of their deadlines.
public final class ManualTimerService: TimerService {
    private struct State {
        var now: UInt64
        var queue = DeadlineQueue()
    }

    private let state: Mutex<State>

    /// - Parameter now: The time at the start, in nanoseconds.
    public init(now: UInt64 = 0) { state = Mutex(State(now: now)) }

    public var now: UInt64 { state.withLock { $0.now } }

    /// The earliest deadline, or nil if no timer is armed.
    public var nextDeadline: UInt64? { state.withLock { $0.queue.earliest } }

    public func makeTimer(_ handler: @escaping @Sendable () -> Void) -> any DeviceTimer {
        QueuedTimer(handler: handler) { [weak self] timer, deadline in
            self?.state.withLock { $0.queue.set(timer, deadline) }
        }
    }

    /// Moves time to `target`, firing every timer that is due on the way at its own deadline.
    ///
    /// Never moves back.
    public func advance(to target: UInt64) {
        while let timer = state.withLock({ state -> QueuedTimer? in
            guard let deadline = state.queue.earliest, deadline <= target else {
                state.now = max(state.now, target)
                return nil
            }
            state.now = max(state.now, deadline)
            return state.queue.removeDue(at: state.now)
        }) {
            timer.fire()
        }
    }

    /// Moves time on by `nanoseconds`.
    public func advance(by nanoseconds: UInt64) {
        let (target, overflow) = now.addingReportingOverflow(nanoseconds)
        advance(to: overflow ? .max : target)
    }
}
