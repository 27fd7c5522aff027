public import DeviceModel
public import GuestMemory
internal import Synchronization

/// The MSI-X vectors of a function: its table, its pending bits and its capability's control word (PCI 3.0 §6.8.2).
///
/// A ``BusDevice`` for the part of a memory range that holds the table at 0 and the pending bits at
/// ``pendingOffset``. A table entry: 00 address, 08 data, 0C control (bit 0: masked).
public final class MSIX: BusDevice {
    public static let identifier: UInt8 = 0x11
    private static let entryByteCount = 16

    struct State {
        var table: [UInt8]
        var pending: [Bool]
        var isEnabled = false
        var isFunctionMasked = false
        var sink: (any MSISink)?

        init(vectorCount: Int) {
            table = [UInt8](repeating: 0, count: vectorCount * entryByteCount)
            pending = [Bool](repeating: false, count: vectorCount)
            for vector in 0..<vectorCount { table[vector * entryByteCount + 12] = 1 }
        }

        func integer(at offset: Int, byteCount: Int) -> UInt64 {
            var value: UInt64 = 0
            for index in 0..<byteCount { value |= UInt64(table[offset + index]) << UInt64(index * 8) }
            return value
        }
        func isMasked(_ vector: Int) -> Bool { isFunctionMasked || table[vector * entryByteCount + 12] & 1 != 0 }
        func message(of vector: Int) -> MSI {
            MSI(
                address: integer(at: vector * entryByteCount, byteCount: 8),
                data: UInt32(truncatingIfNeeded: integer(at: vector * entryByteCount + 8, byteCount: 4))
            )
        }
        /// The messages that nothing holds back any more; they are pending no longer.
        mutating func takeReleased() -> [MSI] {
            guard isEnabled else { return [] }
            var released: [MSI] = []
            for vector in pending.indices where pending[vector] && !isMasked(vector) {
                pending[vector] = false
                released.append(message(of: vector))
            }
            return released
        }
    }
    let state: Mutex<State>
    public let vectorCount: Int
    /// Where the pending bits start, in bytes after the table.
    public let pendingOffset: Int

    /// - Parameter vectorCount: 1 to 2048.
    public init(vectorCount: Int) {
        precondition((1...2048).contains(vectorCount), "MSI-X has 1 to 2048 vectors")
        self.vectorCount = vectorCount
        pendingOffset = (vectorCount * Self.entryByteCount + 7) & ~7
        state = Mutex(State(vectorCount: vectorCount))
    }

    /// The bytes of table and pending bits.
    public var byteCount: Int { pendingOffset + (vectorCount + 63) / 64 * 8 }

    public var isEnabled: Bool { state.withLock { $0.isEnabled } }

    /// Sends the vector's message, or keeps it pending while it is masked.
    ///
    /// Does nothing while MSI-X is off.
    public func signal(_ vector: Int) {
        let delivery: (any MSISink, MSI)? = state.withLock { state in
            guard state.isEnabled, state.pending.indices.contains(vector) else { return nil }
            if state.isMasked(vector) {
                state.pending[vector] = true
                return nil
            }
            return state.sink.map { ($0, state.message(of: vector)) }
        }
        if let (sink, message) = delivery { sink.deliver(message) }
    }

    public func read(at offset: UInt64, width: AccessWidth) -> UInt64 {
        state.withLock { state in
            var value: UInt64 = 0
            for index in 0..<width.rawValue {
                let place = offset &+ UInt64(index)
                let byte: UInt8
                if place < UInt64(state.table.count) {
                    byte = state.table[Int(place)]
                } else if place < UInt64(byteCount) {
                    byte = pendingByte(state, Int(place) - pendingOffset)
                } else {
                    byte = 0xFF
                }
                value |= UInt64(byte) << UInt64(index * 8)
            }
            return value
        }
    }

    private func pendingByte(_ state: State, _ index: Int) -> UInt8 {
        var byte: UInt8 = 0
        for bit in 0..<8 where index * 8 + bit < state.pending.count && state.pending[index * 8 + bit] {
            byte |= 1 << UInt8(bit)
        }
        return byte
    }

    public func write(_ value: UInt64, at offset: UInt64, width: AccessWidth) {
        change { state in
            for index in 0..<width.rawValue {
                let place = offset &+ UInt64(index)
                guard place < UInt64(state.table.count) else { return }
                let byte = UInt8(truncatingIfNeeded: value >> UInt64(index * 8))
                state.table[Int(place)] = byte & Self.tableMask(place)
            }
        }
    }

    /// The bits that exist at `place` of the table: of the control word only the mask bit, of the address all but the low two.
    static func tableMask(_ place: UInt64) -> UInt8 {
        place % 16 >= 12 ? (place % 16 == 12 ? 0x01 : 0) : place % 16 == 0 ? 0xFC : 0xFF
    }

    private func change(_ body: (inout State) -> Void) {
        let (sink, messages): ((any MSISink)?, [MSI]) = state.withLock { state in
            body(&state)
            return (state.sink, state.takeReleased())
        }
        for message in messages { sink?.deliver(message) }
    }

    // MARK: The function's side

    static let controlMask: UInt16 = 0xC000

    /// The capability's bytes after its identifier and link.
    func body(barRegister: Int, tableOffset: UInt32) -> [UInt8] {
        let control = UInt16(vectorCount - 1)
        let table = tableOffset | UInt32(barRegister)
        let pending = (tableOffset + UInt32(pendingOffset)) | UInt32(barRegister)
        var bytes = [UInt8(control & 0xFF), UInt8(control >> 8)]
        for value in [table, pending] {
            for index in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(index * 8))) }
        }
        return bytes
    }

    func connect(to sink: (any MSISink)?) { state.withLock { $0.sink = sink } }

    func controlChanged(_ control: UInt16) {
        change { state in
            state.isEnabled = control & 0x8000 != 0
            state.isFunctionMasked = control & 0x4000 != 0
        }
    }

    func reset() {
        state.withLock { state in
            let sink = state.sink
            state = State(vectorCount: vectorCount)
            state.sink = sink
        }
    }
}
