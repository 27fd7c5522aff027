public import MachineState
internal import NetworkFrames
internal import Synchronization
internal import Virtio

// Frames under way are lost, as networks lose some.
extension VirtioNet: Saveable {
    public var stateName: String { "virtio-net" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        shared.withLock { $0.state }.save(into: &encoder)
        // What was sent and the driver was not told of.
        for count in queues.withLock({ $0.untold.map(\.count) }) { encoder.encode(UInt32(clamping: count)) }
    }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        let state = try VirtioNetState(from: &decoder, pairLimit: configuration.queuePairCount)
        var untold: [(count: Int, tellAt: UInt64)] = []
        for pair in 0..<configuration.queuePairCount {
            untold.append((Int(try decoder.decode(UInt32.self, "frames untold of pair \(pair)")), 0))
        }
        let loaded = untold
        shared.withLock { shared in
            shared.state = state
            shared.savedOffloads = state.guestOffloads
        }
        queues.withLock { $0.untold = loaded }
    }

    /// Receive buffers that do not suffice for the next frame.
    public func keptChainCount(ofQueue queue: Int) -> Int {
        queues.withLock { queues in
            queue % 2 == 0 && queue / 2 < queues.receive.count ? queues.receive[queue / 2].keptChainCount : 0
        }
    }
}

extension VirtioNetState {
    func save(into encoder: inout StateEncoder) {
        encoder.encode(address.rawValue)
        encoder.encode(receiveMode.rawValue)
        for table in [unicast, multicast] {
            encoder.encode(UInt16(table.count))
            for address in table.sorted(by: { $0.rawValue < $1.rawValue }) { encoder.encode(address.rawValue) }
        }
        encoder.encode(hasUnicastOverflow)
        encoder.encode(hasMulticastOverflow)
        encoder.encode(UInt16(vlans.count))
        for vlan in vlans.sorted() { encoder.encode(vlan) }
        encoder.encode(UInt16(activePairCount))
        encoder.encode(guestOffloads.rawValue)
        encoder.encode(announces)
    }

    init(from decoder: inout StateDecoder, pairLimit: Int) throws(StateFault) {
        let addressRange: ClosedRange<UInt64> = 0...MACAddress.broadcast.rawValue
        self.init(address: MACAddress(try decoder.decode(in: addressRange, "address")))
        receiveMode = ReceiveMode(rawValue: try decoder.decode(mask: UInt8(0x3F), "receive mode"))
        unicast = try Self.table(&decoder, limit: Self.unicastLimit, "unicast addresses")
        multicast = try Self.table(&decoder, limit: Self.multicastLimit, "multicast addresses")
        hasUnicastOverflow = try decoder.decode(Bool.self, "unicast overflow")
        hasMulticastOverflow = try decoder.decode(Bool.self, "multicast overflow")
        for _ in 0..<(try decoder.decode(in: UInt16(0)...4096, "number of VLANs")) {
            vlans.insert(try decoder.decode(in: UInt16(0)...4095, "VLAN"))
        }
        activePairCount = Int(try decoder.decode(in: 1...UInt16(clamping: pairLimit), "queue pairs in use"))
        let offloads = try decoder.decode(mask: VirtioNetFeature.guestOffloads.rawValue, "offloads")
        guestOffloads = VirtioFeatures(rawValue: offloads)
        announces = try decoder.decode(Bool.self, "announces")
    }

    private static func table(
        _ decoder: inout StateDecoder,
        limit: Int,
        _ field: String
    ) throws(StateFault) -> Set<MACAddress> {
        var table: Set<MACAddress> = []
        for _ in 0..<(try decoder.decode(in: 0...UInt16(clamping: limit), field)) {
            table.insert(MACAddress(try decoder.decode(in: 0...MACAddress.broadcast.rawValue, field)))
        }
        return table
    }
}
