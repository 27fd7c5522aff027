public import GuestMemory
internal import Synchronization
public import Virtio

/// The console device (Virtio 1.3 §5.3) with a single port.
///
/// Output goes to a closure on the worker thread, input comes from ``receive(_:)`` on any. The lock is held for the
/// input bytes and the size only, never while anything is called.
public final class VirtioConsole: VirtioDevice {
    private enum Feature {
        static let size = VirtioFeatures(bit: 0)
        static let emergencyWrite = VirtioFeatures(bit: 2)
    }
    private enum Queue {
        static let receive = 0
        static let transmit = 1
    }
    private static let emergencyOffset: UInt64 = 8
    /// Input bytes kept for a driver that takes none.
    public static let inputLimit = 1 << 16
    /// Output bytes copied at once.
    private static let outputPart = 1 << 16

    struct State {
        var activation: Activation?
        var input: [UInt8] = []
        var columns: UInt16
        var rows: UInt16
    }

    public let deviceID: UInt32 = 3
    public let offeredFeatures: VirtioFeatures = [Feature.size, Feature.emergencyWrite]
    public let queueSizes: [UInt16] = [64, 64]
    private let output: @Sendable ([UInt8]) -> Void
    let state: Mutex<State>

    /// `output`: Takes what the guest prints; may block.
    public init(columns: UInt16 = 80, rows: UInt16 = 24, output: @escaping @Sendable ([UInt8]) -> Void) {
        self.output = output
        state = Mutex(State(columns: columns, rows: rows))
    }

    /// Gives the guest input.
    ///
    /// From any thread; does not block.
    ///
    /// - Returns: How many bytes were taken: fewer once ``inputLimit`` bytes wait.
    @discardableResult
    public func receive(_ bytes: [UInt8]) -> Int {
        let (count, wake) = state.withLock { state in
            let count = min(bytes.count, Self.inputLimit - state.input.count)
            state.input.append(contentsOf: bytes[..<count])
            return (count, state.activation?.wake)
        }
        wake?(Queue.receive)
        return count
    }

    /// The terminal has a new size.
    public func resize(columns: UInt16, rows: UInt16) {
        let tell = state.withLock { state in
            state.columns = columns
            state.rows = rows
            return state.activation.flatMap { $0.features.contains(Feature.size) ? $0.configurationChanged : nil }
        }
        tell?()
    }

    /// 00 columns, 02 rows, 04 max_nr_ports, 08 emerg_wr (§5.3.4).
    public func readConfig(at offset: UInt64, width: AccessWidth) -> UInt64 {
        var config = DeviceConfigurationBytes()
        let (columns, rows) = state.withLock { ($0.columns, $0.rows) }
        config.append(columns)
        config.append(rows)
        config.append(1 as UInt32)
        config.append(0 as UInt32)
        return config.read(at: offset, width: width)
    }

    public func writeConfig(_ value: UInt64, at offset: UInt64, width: AccessWidth) {
        if offset == Self.emergencyOffset { output([UInt8(truncatingIfNeeded: value)]) }
    }

    public func activate(_ activation: consuming Activation) {
        let new = activation
        state.withLock { $0.activation = new }
    }

    public func reset() { state.withLock { $0.activation = nil } }

    public func process(queue: Int) throws(VirtioQueueError) {
        guard let active = state.withLock({ $0.activation }), let target = active.queue(queue) else { return }
        switch queue {
        case Queue.receive: try deliverInput(target)
        case Queue.transmit: try target.drain { chain throws(VirtioQueueError) in try print(chain) }
        default: break
        }
    }

    private func print(_ chain: DescriptorChain) throws(VirtioQueueError) -> Int {
        var start = 0
        while start < chain.readableByteCount {
            let count = min(chain.readableByteCount - start, Self.outputPart)
            output(try chain.copyOut(at: start, byteCount: count))
            start += count
        }
        return 0
    }

    /// Fills buffers for as long as there are both bytes and buffers.
    private func deliverInput(_ target: VirtioQueue) throws(VirtioQueueError) {
        repeat {
            try target.suppressNotifications()
            while state.withLock({ !$0.input.isEmpty }), let chain = try target.next() {
                let bytes = state.withLock { state in
                    let taken = [UInt8](state.input.prefix(chain.writableByteCount))
                    state.input.removeFirst(taken.count)
                    return taken
                }
                try target.complete(chain, byteCount: try chain.copyIn(bytes, at: 0))
            }
            try target.signalDriver()
            // Without input, waiting buffers are no reason to go round.
        } while try target.resumeNotifications() && state.withLock { !$0.input.isEmpty }
    }
}
