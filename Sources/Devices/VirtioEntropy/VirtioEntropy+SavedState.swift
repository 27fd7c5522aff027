public import MachineState

extension VirtioEntropy: Saveable {
    public var stateName: String { "virtio-rng" }
    public var stateVersion: UInt16 { 1 }

    /// The device keeps nothing.
    public func save(into encoder: inout StateEncoder) throws(StateFault) {}
    public func load(from decoder: inout StateDecoder) throws(StateFault) {}
}
