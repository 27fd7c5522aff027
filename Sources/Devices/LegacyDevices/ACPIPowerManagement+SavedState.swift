internal import DeviceModel
public import MachineState
internal import Synchronization

extension ACPIPowerManagement: Saveable {
    public var stateName: String { "acpi" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        let now = state.withLock { $0 }
        for register in [now.status, now.enable, now.control, now.eventStatus, now.eventEnable] {
            encoder.encode(register)
        }
        encoder.encode(now.timerHalves)
    }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        var new = State()
        new.status = try decoder.decode(mask: Event.all, "PM1_STS")
        new.enable = try decoder.decode(mask: Event.all, "PM1_EN")
        new.control = try decoder.decode(mask: 0x1C03, "PM1_CNT")
        new.eventStatus = try decoder.decode(UInt16.self, "GPE0_STS")
        new.eventEnable = try decoder.decode(UInt16.self, "GPE0_EN")
        new.timerHalves = try decoder.decode(UInt64.self, "timer")
        let loaded = new
        change { $0 = loaded }
        interrupt.set(state.withLock { $0.interruptLevel })
        timer.withLock { $0 }?.follow { state.withLock { $0.deadline } }
    }
}
