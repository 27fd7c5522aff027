internal import DeviceModel
internal import Synchronization

/// The INTx# pin of a function (PCI 3.0 §2.2.6): a level that the device keeps and the command register can cut off.
///
/// Levels reach the line in order because the lock is held while the line is set; interrupt controllers never call back.
public final class PCIInterruptPin: Sendable {
    private struct State {
        var isAsserted = false
        var isCutOff = false
        var line = InterruptLine.unconnected
    }
    private let state = Mutex(State())

    public init() {}

    /// Whether the device asks for service: the interrupt status bit, whatever the command register says.
    public var isAsserted: Bool { state.withLock { $0.isAsserted } }

    public func set(_ level: Bool) {
        update { $0.isAsserted = level }
    }

    func cutOff(_ isCutOff: Bool) {
        update { $0.isCutOff = isCutOff }
    }

    func connect(to line: InterruptLine) {
        state.withLock {
            $0.line = line
            line.set($0.isAsserted && !$0.isCutOff)
        }
    }

    private func update(_ change: (inout State) -> Void) {
        state.withLock { state in
            let before = state.isAsserted && !state.isCutOff
            change(&state)
            let after = state.isAsserted && !state.isCutOff
            if before != after { state.line.set(after) }
        }
    }
}
