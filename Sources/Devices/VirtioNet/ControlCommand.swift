internal import NetworkFrames
internal import Virtio

/// A command of the control queue (Virtio 1.3 §5.1.6.5): class and command, then its data; the device answers with one byte.
enum ControlCommand {
    static let headerByteCount = 2
    /// Longer commands are refused: two full address tables.
    static let dataLimit = 2 * (4 + 4096 * MACAddress.byteCount)
    static let accepted: UInt8 = 0
    static let refused: UInt8 = 1

    /// Carries a command out; those that need a feature outside `features`, what the driver accepted, are refused.
    ///
    /// - Returns: Whether the device could do it; `state` is as before if not.
    static func apply(
        _ bytes: [UInt8],
        to state: inout VirtioNetState,
        features: VirtioFeatures,
        pairLimit: Int
    ) -> Bool {
        guard bytes.count >= headerByteCount else { return false }
        let data = Array(bytes[headerByteCount...])
        typealias Feature = VirtioNetFeature
        switch (bytes[0], bytes[1]) {
        case (0, let command): return setReceiveMode(command, data, &state, features)
        case (1, 0): return setTables(data, &state, features)
        case (1, 1):
            guard features.contains(Feature.controlAddress), data.count == MACAddress.byteCount,
                let address = MACAddress(data)
            else { return false }
            state.address = address
            return true
        case (2, let command):
            guard features.contains(Feature.controlVLAN), command <= 1, data.count == 2 else { return false }
            let number = UInt16(data[0]) | UInt16(data[1]) << 8
            guard number < 4096 else { return false }
            if command == 0 { state.vlans.insert(number) } else { state.vlans.remove(number) }
            return true
        case (3, 0):
            guard features.contains(Feature.guestAnnounce) else { return false }
            state.announces = false
            return true
        case (4, 0):
            guard features.contains(Feature.multiqueue), data.count == 2 else { return false }
            let count = Int(data[0]) | Int(data[1]) << 8
            guard (1...pairLimit).contains(count) else { return false }
            state.activePairCount = count
            return true
        case (5, 0):
            guard features.contains(Feature.controlGuestOffloads), data.count == 8 else { return false }
            let wanted = VirtioFeatures(rawValue: data.reversed().reduce(0) { $0 << 8 | UInt64($1) })
            guard wanted.isSubset(of: features.intersection(Feature.guestOffloads)) else { return false }
            state.guestOffloads = wanted
            return true
        default: return false
        }
    }

    private static func setReceiveMode(
        _ command: UInt8,
        _ data: [UInt8],
        _ state: inout VirtioNetState,
        _ features: VirtioFeatures
    ) -> Bool {
        let needed = command < 2 ? VirtioNetFeature.controlReceive : VirtioNetFeature.controlReceiveExtra
        guard command <= 5, features.contains(needed), data.count == 1 else { return false }
        let mode = VirtioNetState.ReceiveMode(rawValue: 1 << command)
        if data[0] != 0 { state.receiveMode.insert(mode) } else { state.receiveMode.remove(mode) }
        return true
    }

    /// Two tables, each a count of 32 bits and so many addresses (§5.1.6.5.2).
    private static func setTables(
        _ data: [UInt8],
        _ state: inout VirtioNetState,
        _ features: VirtioFeatures
    ) -> Bool {
        guard features.contains(VirtioNetFeature.controlReceive) else { return false }
        var rest = data[...]
        func table() -> [MACAddress]? {
            guard rest.count >= 4 else { return nil }
            let count = Int(rest.prefix(4).reversed().reduce(0 as UInt32) { $0 << 8 | UInt32($1) })
            rest = rest.dropFirst(4)
            guard count <= rest.count / MACAddress.byteCount else { return nil }
            let addresses = (0..<count).compactMap { MACAddress(rest, at: $0 * MACAddress.byteCount) }
            rest = rest.dropFirst(count * MACAddress.byteCount)
            return addresses
        }
        guard let unicast = table(), let multicast = table(), rest.isEmpty else { return false }
        state.hasUnicastOverflow = unicast.count > VirtioNetState.unicastLimit
        state.unicast = state.hasUnicastOverflow ? [] : Set(unicast)
        state.hasMulticastOverflow = multicast.count > VirtioNetState.multicastLimit
        state.multicast = state.hasMulticastOverflow ? [] : Set(multicast)
        return true
    }
}
