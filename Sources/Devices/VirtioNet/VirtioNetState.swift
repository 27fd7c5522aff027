internal import NetworkFrames
internal import Virtio

/// What the driver has set up through the control queue: with the transport's registers, all that a saved machine keeps of the device.
///
/// Frames under way are not part of it: networks lose some.
struct VirtioNetState: Hashable, Sendable {
    static let unicastLimit = 256
    static let multicastLimit = 256

    var address: MACAddress
    var receiveMode: ReceiveMode = []
    var unicast: Set<MACAddress> = []
    var multicast: Set<MACAddress> = []
    /// The driver's tables were longer than the device's: everything of the kind passes.
    var hasUnicastOverflow = false
    var hasMulticastOverflow = false
    var vlans: Set<UInt16> = []
    /// The queue pairs in use (§5.1.6.5.5).
    var activePairCount = 1
    /// The offloads of ``VirtioNetFeature/guestOffloads`` that are switched on.
    var guestOffloads: VirtioFeatures = []
    /// Whether the driver is to announce itself on the network (§5.1.6.5.4).
    var announces = false

    /// How received frames are filtered (§5.1.6.5.1).
    struct ReceiveMode: OptionSet, Hashable, Sendable {
        let rawValue: UInt8
        static let promiscuous = ReceiveMode(rawValue: 1 << 0)
        static let allMulticast = ReceiveMode(rawValue: 1 << 1)
        static let allUnicast = ReceiveMode(rawValue: 1 << 2)
        static let noMulticast = ReceiveMode(rawValue: 1 << 3)
        static let noUnicast = ReceiveMode(rawValue: 1 << 4)
        static let noBroadcast = ReceiveMode(rawValue: 1 << 5)
    }

    init(address: MACAddress) { self.address = address }

    /// Whether a frame is for the guest.
    ///
    /// `filtersVLANs`: Whether the driver names the VLANs that it wants.
    func accepts(_ frame: Frame, filtersVLANs: Bool) -> Bool {
        guard let destination = frame.destination else { return false }
        if receiveMode.contains(.promiscuous) { return true }
        if filtersVLANs, let vlan = frame.vlan, !vlans.contains(vlan) { return false }
        if destination == .broadcast { return !receiveMode.contains(.noBroadcast) }
        if destination.isMulticast {
            guard !receiveMode.contains(.noMulticast) else { return false }
            return receiveMode.contains(.allMulticast) || hasMulticastOverflow || multicast.contains(destination)
        }
        guard !receiveMode.contains(.noUnicast) else { return false }
        return destination == address || receiveMode.contains(.allUnicast) || hasUnicastOverflow
            || unicast.contains(destination)
    }
}
