internal import PCI
internal import Synchronization

/// The interrupts of a virtio device on PCI: MSI-X vectors by queue, or the ISR status and INTx# (Virtio 1.3 §4.1.4.5,
/// §4.1.5.1.2).
final class VirtioPCIInterrupts: VirtioInterrupts {
    static let noVector: UInt16 = 0xFFFF

    struct State {
        var isr: UInt8 = 0
        var configurationVector = noVector
        var queueVectors: [UInt16]
    }
    private let vectors: MSIX
    private let pin: PCIInterruptPin
    let state: Mutex<State>

    init(queueCount: Int, vectors: MSIX, pin: PCIInterruptPin) {
        self.vectors = vectors
        self.pin = pin
        state = Mutex(State(queueVectors: [UInt16](repeating: Self.noVector, count: queueCount)))
    }

    func signalQueue(_ queue: Int) {
        signal(isr: 1) { $0.queueVectors.indices.contains(queue) ? $0.queueVectors[queue] : Self.noVector }
    }
    func signalConfiguration() { signal(isr: 2) { $0.configurationVector } }

    private func signal(isr: UInt8, vector: (State) -> UInt16) {
        if vectors.isEnabled {
            let vector = state.withLock { vector($0) }
            if vector != Self.noVector { vectors.signal(Int(vector)) }
            return
        }
        // The pin follows the status under the same lock, so that a read of the status cannot fall in between.
        state.withLock { state in
            state.isr |= isr
            pin.set(true)
        }
    }

    /// Reads the ISR status, which clears it and takes the pin down.
    func takeStatus() -> UInt8 {
        state.withLock { state in
            defer { state.isr = 0 }
            pin.set(false)
            return state.isr
        }
    }

    func reset() {
        state.withLock { state in
            state = State(queueVectors: [UInt16](repeating: Self.noVector, count: state.queueVectors.count))
            pin.set(false)
        }
    }

    var configurationVector: UInt16 {
        get { state.withLock { $0.configurationVector } }
        set { state.withLock { $0.configurationVector = valid(newValue) } }
    }
    func vector(ofQueue queue: Int) -> UInt16 {
        state.withLock { $0.queueVectors.indices.contains(queue) ? $0.queueVectors[queue] : Self.noVector }
    }
    func setVector(_ vector: UInt16, ofQueue queue: Int) {
        state.withLock { if $0.queueVectors.indices.contains(queue) { $0.queueVectors[queue] = valid(vector) } }
    }

    func valid(_ vector: UInt16) -> UInt16 { Int(vector) < vectors.vectorCount ? vector : Self.noVector }
}
