public import Telemetry

/// What a user asks of a machine that runs.
public enum ControlRequest: Hashable, Sendable {
    case status
    case pause
    case resume
    case save(path: String)
    case stats
    /// Asks the guest to give up so much of its memory, in bytes.
    case balloon(byteCount: UInt64)
    case powerButton
    case reset
    case quit
}

/// Whether a machine runs.
public enum MachineCondition: String, Hashable, Sendable {
    case running
    case paused
    /// It stands still until the host's disk works again.
    case ioError = "io-error"
}

/// What a machine answers, with what it does now.
public enum ControlAnswer: Sendable {
    case done(MachineCondition)
    case saved(path: String, byteCount: UInt64, MachineCondition)
    case stats([CounterReport], MachineCondition)
    /// It was not done: a whole clause.
    case refused(String)
}

/// A request on its way to the machine's thread and its answer on the way back.
final class PendingRequest: Sendable {
    let request: ControlRequest
    private let answered = AnswerBox()
    private let signal = WakeSignal()

    init(_ request: ControlRequest) { self.request = request }

    func answer(_ answer: ControlAnswer) {
        answered.set(answer)
        signal.notify()
    }

    /// Sleeps until the answer is there; one thread only.
    func wait() -> ControlAnswer {
        while true {
            signal.wait()
            if let answer = answered.answer { return answer }
        }
    }
}
