internal import DeviceModel
public import MachineState
internal import Synchronization

extension PIT8254: Saveable {
    public var stateName: String { "pit" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        let now = state.withLock { $0 }
        for channel in now.channels { channel.save(into: &encoder) }
        encoder.encode(now.speakerEnabled)
        encoder.encode(now.nonMaskableControl)
        encoder.encode(now.edgeTick)
        encoder.encode(now.edge)
    }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        var new = State()
        for index in new.channels.indices { new.channels[index] = try PITChannel(from: &decoder, "channel \(index)") }
        new.speakerEnabled = try decoder.decode(Bool.self, "speaker")
        new.nonMaskableControl = try decoder.decode(mask: 0x0C, "NMI control")
        new.edgeTick = try decoder.decodeOptional(UInt64.self, "next edge in ticks")
        new.edge = try decoder.decodeOptional(UInt64.self, "next edge")
        let loaded = new
        state.withLock { $0 = loaded }
        interrupt.set(outputLevel)
        // An edge that was due and had not come yet still comes.
        timer.withLock { $0 }?.follow { state.withLock { $0.edge } }
    }
}

extension PITChannel {
    func save(into encoder: inout StateEncoder) {
        encoder.encode(mode)
        encoder.encode(access.rawValue)
        encoder.encode(isBCD)
        encoder.encode(gate)
        encoder.encode(reload)
        encoder.encode(start)
        encoder.encode(suspendedAfter)
        encoder.encode(isTriggered)
        encoder.encode(nextReload)
        encoder.encode(switchTick)
        encoder.encode(latchedCount)
        encoder.encode(latchedStatus)
        encoder.encode(readsHigh)
        encoder.encode(writtenLow)
    }

    init(from decoder: inout StateDecoder, _ name: String) throws(StateFault) {
        self.init(gate: true)
        mode = try decoder.decode(in: UInt8(0)...5, name + " mode")
        let accessValue = try decoder.decode(in: UInt8(1)...3, name + " access")
        access = Access(rawValue: accessValue) ?? .lowThenHigh
        isBCD = try decoder.decode(Bool.self, name + " number system")
        gate = try decoder.decode(Bool.self, name + " gate")
        reload = try Self.count(from: &decoder, name + " count")
        start = try decoder.decode(UInt64.self, name + " start")
        suspendedAfter = try decoder.decodeOptional(UInt64.self, name + " suspended count")
        isTriggered = try decoder.decode(Bool.self, name + " trigger")
        nextReload = try Self.count(from: &decoder, name + " next count")
        switchTick = try decoder.decode(UInt64.self, name + " end of period")
        latchedCount = try decoder.decodeOptional(UInt16.self, name + " latched count")
        latchedStatus = try decoder.decodeOptional(UInt8.self, name + " latched status")
        readsHigh = try decoder.decode(Bool.self, name + " half to read")
        writtenLow = try decoder.decodeOptional(UInt8.self, name + " half written")
    }

    private static func count(from decoder: inout StateDecoder, _ field: String) throws(StateFault) -> UInt64? {
        guard try decoder.decode(Bool.self, field) else { return nil }
        return try decoder.decode(in: UInt64(1)...65_536, field)
    }
}
