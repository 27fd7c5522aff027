/// An Ethernet frame without its check sequence, and what is still to be done to it.
public struct Frame: Hashable, Sendable {
    /// An Ethernet header and 64 KiB of IP packet, with room for a VLAN tag.
    public static let byteLimit = 65_535 + 18
    /// An Ethernet header without tag.
    public static let headerByteCount = 14

    public var bytes: [UInt8]
    public var offload: FrameOffload

    public init(_ bytes: [UInt8], offload: FrameOffload = FrameOffload()) {
        self.bytes = bytes
        self.offload = offload
    }

    public var destination: MACAddress? { MACAddress(bytes) }
    public var source: MACAddress? { MACAddress(bytes, at: MACAddress.byteCount) }
    /// The VLAN that an 802.1Q tag names, or nil without one.
    public var vlan: UInt16? {
        guard bytes.count >= 18, bytes.bigEndian16(at: 12) == 0x8100 else { return nil }
        return bytes.bigEndian16(at: 14) & 0xFFF
    }
}

extension [UInt8] {
    /// The 16 bits at `offset`, which must lie in the array.
    func bigEndian16(at offset: Int) -> UInt16 { UInt16(self[offset]) << 8 | UInt16(self[offset + 1]) }
    func bigEndian32(at offset: Int) -> UInt32 {
        UInt32(bigEndian16(at: offset)) << 16 | UInt32(bigEndian16(at: offset + 2))
    }
    mutating func setBigEndian16(_ value: UInt16, at offset: Int) {
        self[offset] = UInt8(value >> 8)
        self[offset + 1] = UInt8(value & 0xFF)
    }
    mutating func setBigEndian32(_ value: UInt32, at offset: Int) {
        setBigEndian16(UInt16(value >> 16), at: offset)
        setBigEndian16(UInt16(value & 0xFFFF), at: offset + 2)
    }
}
