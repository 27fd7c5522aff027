public import MachineState
internal import Synchronization

extension ResetControl: Saveable {
    public var stateName: String { "reset" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        let now = state.withLock { $0 }
        encoder.encode(now.control)
        encoder.encode(now.systemControl)
    }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        let control = try decoder.decode(mask: UInt8(0x0A), "reset control")
        let systemControl = try decoder.decode(mask: UInt8(0x02), "system control")
        state.withLock { $0 = State(control: control, systemControl: systemControl) }
    }
}
