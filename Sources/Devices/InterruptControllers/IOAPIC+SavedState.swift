public import MachineState
internal import Synchronization

extension IOAPIC: Saveable {
    public var stateName: String { "ioapic" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        let now = state.withLock { $0 }
        encoder.encode(now.id)
        encoder.encode(now.index)
        encoder.encode(now.levels)
        for entry in now.entries { encoder.encode(entry.value) }
    }

    /// Delivers nothing: what the pins had asked for was delivered before.
    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        var new = State(id: try decoder.decode(in: UInt32(0)...15, "id"))
        new.index = try decoder.decode(UInt8.self, "index")
        new.levels = try decoder.decode(mask: UInt32(1 << Self.pinCount) - 1, "pins")
        for pin in new.entries.indices {
            new.entries[pin] = try RedirectionEntry(decoder.decode(UInt64.self, "entry \(pin)"), pin)
        }
        let loaded = new
        state.withLock { $0 = loaded }
    }
}

extension RedirectionEntry {
    /// The entry that reads as `value`.
    init(_ value: UInt64, _ pin: Int) throws(StateFault) {
        self.init()
        set(UInt32(truncatingIfNeeded: value >> 32), isHigh: true)
        set(UInt32(truncatingIfNeeded: value), isHigh: false)
        remoteIRR = isLevelTriggered && value & 1 << 14 != 0
        guard self.value == value else {
            throw .badValue(field: "entry \(pin)", value: "0x" + String(value, radix: 16))
        }
    }
}
