public import MachineState
internal import Synchronization

extension PCIHostBridge: Saveable {
    public var stateName: String { "host bridge" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) { configuration.save(into: &encoder) }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        try configuration.load(from: &decoder)
        moveWindow()
    }
}

extension LPCBridge: Saveable {
    public var stateName: String { "lpc bridge" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) { configuration.save(into: &encoder) }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        try configuration.load(from: &decoder)
        tellPowerManagement()
    }
}

extension PCIConfigurationPorts: Saveable {
    public var stateName: String { "pci ports" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        encoder.encode(address.withLock { $0 })
    }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        let value = try decoder.decode(mask: Self.addressMask, "address")
        address.withLock { $0 = value }
    }
}
