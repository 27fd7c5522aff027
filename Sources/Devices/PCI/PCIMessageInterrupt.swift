internal import DeviceModel
internal import Synchronization

/// The MSI capability of a function, 64-bit, one message, maskable (PCI 3.0 §6.8.1).
///
///      00 id, next, control    04 address low    08 address high    0C data    10 mask    14 pending
public final class PCIMessageInterrupt: Sendable {
    public static let identifier: UInt8 = 0x05

    private struct State {
        var isEnabled = false
        var isMasked = false
        var isPending = false
        var message = MSI(address: 0, data: 0)
        var sink: (any MSISink)?
    }
    private let state = Mutex(State())

    public init() {}

    public var isEnabled: Bool { state.withLock { $0.isEnabled } }

    /// Sends the message, or keeps it pending while it is masked.
    ///
    /// Does nothing while MSI is off.
    public func signal() {
        let delivery: (any MSISink, MSI)? = state.withLock { state in
            guard state.isEnabled, let sink = state.sink else { return nil }
            if state.isMasked {
                state.isPending = true
                return nil
            }
            return (sink, state.message)
        }
        if let (sink, message) = delivery { sink.deliver(message) }
    }

    static let body: [UInt8] = [0x80, 0x01] + [UInt8](repeating: 0, count: 20)
    static let writable: [UInt8] =
        [0x01, 0x00, 0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0x01]

    func connect(to sink: (any MSISink)?) { state.withLock { $0.sink = sink } }

    /// Takes over what the capability's registers say, and sends what an unmasking let through.
    func registersChanged(_ space: borrowing PCIConfigurationSpace, at offset: Int) {
        let isEnabled = space.word(at: offset + 2) & 1 != 0
        let address = UInt64(space.dword(at: offset + 8)) << 32 | UInt64(space.dword(at: offset + 4))
        let message = MSI(address: address, data: UInt32(space.word(at: offset + 0x0C)))
        let isMasked = space.dword(at: offset + 0x10) & 1 != 0
        let sink: (any MSISink)? = state.withLock { state in
            state.isEnabled = isEnabled
            state.message = message
            state.isMasked = isMasked
            if !isEnabled { state.isPending = false }
            guard isEnabled, !isMasked, state.isPending else { return nil }
            state.isPending = false
            return state.sink
        }
        sink?.deliver(message)
    }

    func setPending(_ isPending: Bool) { state.withLock { $0.isPending = isPending } }

    var pendingBits: UInt32 { state.withLock { $0.isPending ? 1 : 0 } }
}
