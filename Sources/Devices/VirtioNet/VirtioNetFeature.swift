internal import NetworkFrames
internal import Virtio

/// The feature bits of the network device (Virtio 1.3 §5.1.3).
enum VirtioNetFeature {
    static let checksum = VirtioFeatures(bit: 0)
    static let guestChecksum = VirtioFeatures(bit: 1)
    static let controlGuestOffloads = VirtioFeatures(bit: 2)
    static let mtu = VirtioFeatures(bit: 3)
    static let address = VirtioFeatures(bit: 5)
    static let guestTCP4 = VirtioFeatures(bit: 7)
    static let guestTCP6 = VirtioFeatures(bit: 8)
    static let guestCongestionNotice = VirtioFeatures(bit: 9)
    static let hostTCP4 = VirtioFeatures(bit: 11)
    static let hostTCP6 = VirtioFeatures(bit: 12)
    static let hostCongestionNotice = VirtioFeatures(bit: 13)
    static let mergedBuffers = VirtioFeatures(bit: 15)
    static let status = VirtioFeatures(bit: 16)
    static let controlQueue = VirtioFeatures(bit: 17)
    static let controlReceive = VirtioFeatures(bit: 18)
    static let controlVLAN = VirtioFeatures(bit: 19)
    static let controlReceiveExtra = VirtioFeatures(bit: 20)
    static let guestAnnounce = VirtioFeatures(bit: 21)
    static let multiqueue = VirtioFeatures(bit: 22)
    static let controlAddress = VirtioFeatures(bit: 23)

    /// What the driver can switch at run time (§5.1.6.5.6).
    static let guestOffloads: VirtioFeatures = [guestChecksum, guestTCP4, guestTCP6, guestCongestionNotice]
    /// What every device offers.
    static let all: VirtioFeatures = [
        checksum, guestChecksum, controlGuestOffloads, address, guestTCP4, guestTCP6, guestCongestionNotice, hostTCP4,
        hostTCP6, hostCongestionNotice, mergedBuffers, status, controlQueue, controlReceive, controlVLAN,
        controlReceiveExtra, guestAnnounce, controlAddress,
    ]
}

extension Offloads {
    /// What a driver takes that accepted `features`.
    init(guest features: VirtioFeatures) {
        self = []
        // Without a checksum, no segment is taken that needs one (§5.1.3.1).
        guard features.contains(VirtioNetFeature.guestChecksum) else { return }
        insert(.checksum)
        if features.contains(VirtioNetFeature.guestTCP4) { insert(.tcp4) }
        if features.contains(VirtioNetFeature.guestTCP6) { insert(.tcp6) }
        if features.contains(VirtioNetFeature.guestCongestionNotice) { insert(.congestionNotice) }
    }
}
