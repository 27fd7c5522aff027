public import MachineState
internal import Synchronization

// Connections end with the process that has their other ends: the guest is told so when it is taken up.
extension VirtioVsock: Saveable {
    public var stateName: String { "virtio-vsock" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) { encoder.encode(guestCID) }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        try decoder.expect(guestCID, "guest CID")
        owesTransportReset.withLock { $0 = true }
    }

    public func keptChainCount(ofQueue queue: Int) -> Int {
        queue == Queue.receive && spare.withLock { $0 != nil } ? 1 : 0
    }
}
