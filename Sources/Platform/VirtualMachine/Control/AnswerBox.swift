internal import Synchronization

/// One answer, handed from a thread to another.
final class AnswerBox: Sendable {
    private let value = Mutex<ControlAnswer?>(nil)

    var answer: ControlAnswer? { value.withLock { $0 } }

    func set(_ answer: ControlAnswer) { value.withLock { $0 = answer } }
}
