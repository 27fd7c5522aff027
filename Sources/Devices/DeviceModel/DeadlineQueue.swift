/// The armed timers of a service.
///
/// A machine has few, so a scan is quicker than a heap.
struct DeadlineQueue {
    private var armed: [(timer: QueuedTimer, deadline: UInt64)] = []

    var earliest: UInt64? {
        var result: UInt64?
        for entry in armed where entry.deadline < result ?? .max || result == nil { result = entry.deadline }
        return result
    }

    mutating func set(_ timer: QueuedTimer, _ deadline: UInt64?) {
        let index = armed.firstIndex { $0.timer === timer }
        switch (index, deadline) {
        case (let index?, let deadline?): armed[index].deadline = deadline
        case (let index?, nil): armed.remove(at: index)
        case (nil, let deadline?): armed.append((timer, deadline))
        case (nil, nil): break
        }
    }

    /// Takes the timer with the earliest deadline out of the queue, if that deadline has come.
    mutating func removeDue(at now: UInt64) -> QueuedTimer? {
        guard let earliest, earliest <= now, let index = armed.firstIndex(where: { $0.deadline == earliest }) else {
            return nil
        }
        return armed.remove(at: index).timer
    }
}

/// The timer of every service here: what to call, and how to change its place in the service's queue.
final class QueuedTimer: DeviceTimer {
    private let handler: @Sendable () -> Void
    private let setDeadline: @Sendable (QueuedTimer, UInt64?) -> Void

    init(handler: @escaping @Sendable () -> Void, setDeadline: @escaping @Sendable (QueuedTimer, UInt64?) -> Void) {
        self.handler = handler
        self.setDeadline = setDeadline
    }

    func arm(at deadline: UInt64?) { setDeadline(self, deadline) }
    func fire() { handler() }
}
