/// Where the headers of a frame with an unfragmented TCP or UDP packet lie; every offset was checked against the frame.
struct PacketLayout {
    static let tcp: UInt8 = 6
    static let udp: UInt8 = 17

    /// Of the IP header.
    let networkOffset: Int
    let isIPv6: Bool
    let transport: UInt8
    let transportOffset: Int
    /// Of the transport's payload.
    let payloadOffset: Int
    /// The end of the IP packet; behind it may be padding.
    let end: Int

    /// `isWhole`: The IP length is not believed, since the packet is larger than it can tell or not finished: the packet is all of the frame.
    init?(_ bytes: [UInt8], isWhole: Bool = false) {
        var offset = Frame.headerByteCount
        guard bytes.count >= offset else { return nil }
        var kind = bytes.bigEndian16(at: 12)
        if kind == 0x8100 {
            offset += 4
            guard bytes.count >= offset else { return nil }
            kind = bytes.bigEndian16(at: 16)
        }
        networkOffset = offset
        let packetByteCount: Int
        switch kind {
        case 0x0800:
            guard bytes.count >= offset + 20, bytes[offset] >> 4 == 4 else { return nil }
            let headerByteCount = Int(bytes[offset] & 15) * 4
            packetByteCount = Int(bytes.bigEndian16(at: offset + 2))
            // No fragments: neither MF nor an offset.
            guard headerByteCount >= 20, bytes.bigEndian16(at: offset + 6) & 0x3FFF == 0 else { return nil }
            isIPv6 = false
            transport = bytes[offset + 9]
            transportOffset = offset + headerByteCount
        case 0x86DD:
            guard bytes.count >= offset + 40, bytes[offset] >> 4 == 6 else { return nil }
            packetByteCount = 40 + Int(bytes.bigEndian16(at: offset + 4))
            isIPv6 = true
            transport = bytes[offset + 6]
            transportOffset = offset + 40
        default: return nil
        }
        end = isWhole ? bytes.count : networkOffset + packetByteCount
        guard end <= bytes.count else { return nil }
        switch transport {
        case Self.tcp:
            guard transportOffset + 20 <= end else { return nil }
            let headerByteCount = Int(bytes[transportOffset + 12] >> 4) * 4
            guard headerByteCount >= 20 else { return nil }
            payloadOffset = transportOffset + headerByteCount
        case Self.udp: payloadOffset = transportOffset + 8
        default: return nil
        }
        guard payloadOffset <= end else { return nil }
    }

    /// The source and destination addresses.
    var addresses: Range<Int> {
        isIPv6 ? networkOffset + 8..<networkOffset + 40 : networkOffset + 12..<networkOffset + 20
    }

    /// The sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1) of a packet with so many bytes from the transport's header on.
    func pseudoHeader(_ bytes: [UInt8], byteCount: Int) -> InternetChecksum {
        var sum = InternetChecksum()
        sum.add(bytes[addresses])
        sum.add(word: UInt16(transport))
        sum.add(word: UInt16(truncatingIfNeeded: byteCount >> 16))
        sum.add(word: UInt16(truncatingIfNeeded: byteCount))
        return sum
    }

    /// Writes the IP header's length, and checksum, of a packet that ends at `end`.
    func setLength(_ bytes: inout [UInt8], end: Int) {
        if isIPv6 {
            bytes.setBigEndian16(UInt16(clamping: end - networkOffset - 40), at: networkOffset + 4)
        } else {
            bytes.setBigEndian16(UInt16(clamping: end - networkOffset), at: networkOffset + 2)
            bytes.setBigEndian16(0, at: networkOffset + 10)
            var sum = InternetChecksum()
            sum.add(bytes[networkOffset..<transportOffset])
            bytes.setBigEndian16(sum.value, at: networkOffset + 10)
        }
    }

    /// The offset of the transport's checksum.
    var checksumOffset: Int { transportOffset + (transport == Self.tcp ? 16 : 6) }

    /// A number that both directions of a connection have in common.
    func flowHash(_ bytes: [UInt8]) -> UInt32 {
        var hash = UInt32(transport)
        // Halves of the addresses and ports are exclusive-ored, so that the direction does not matter.
        for offset in stride(from: addresses.lowerBound, to: addresses.upperBound, by: 4) {
            hash ^= bytes.bigEndian32(at: offset)
        }
        let ports = UInt32(bytes.bigEndian16(at: transportOffset) ^ bytes.bigEndian16(at: transportOffset + 2))
        hash ^= ports &* 0x9E37_79B1
        return (hash ^ hash >> 16) &* 0x85EB_CA6B
    }
}

extension Frame {
    /// A number that the frames of one connection have in common, in both directions; 0 where the frame belongs to none.
    public var flowHash: UInt32 {
        PacketLayout(bytes, isWhole: offload.segmentation != .none)?.flowHash(bytes) ?? 0
    }
}
