public import Telemetry

/// What a user asks of a machine that runs.
public enum ControlRequest: Hashable, Sendable {
    case status
    case pause
    case resume
    case save(path: String)
    case stats
    case powerButton
    case reset
    case quit
}

/// What a machine answers.
public enum ControlAnswer: Sendable {
    /// It was done; whether the machine stands still now.
    case done(isPaused: Bool)
    case saved(path: String, byteCount: UInt64, isPaused: Bool)
    case stats([CounterReport], isPaused: Bool)
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
