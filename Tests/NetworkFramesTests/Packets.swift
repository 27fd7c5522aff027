@testable import NetworkFrames

/// Packets put together by hand, with checksums computed word by word.
enum Packets {
    static let client = MACAddress(0x5254_0012_3456)
    static let server = MACAddress(0x5255_0a00_0202)

    /// The sum of RFC 1071 as its text says it, over bytes with an even start.
    static func slowSum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt64 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            let low = index + 1 < bytes.count ? bytes[index + 1] : 0
            sum += UInt64(bytes[index]) << 8 | UInt64(low)
        }
        while sum >> 16 != 0 { sum = (sum & 0xFFFF) + sum >> 16 }
        return UInt16(sum)
    }

    static func words(_ values: [UInt16]) -> [UInt8] { values.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] } }

    /// A TCP segment in an Ethernet frame, complete.
    static func tcp(
        sequence: UInt32 = 1000,
        flags: UInt8 = 0x10,
        port: UInt16 = 80,
        identification: UInt16 = 7,
        isIPv6: Bool = false,
        options: [UInt8] = [],
        payload: [UInt8]
    ) -> [UInt8] {
        var header = words([port, 40_000]) + words([UInt16(sequence >> 16), UInt16(sequence & 0xFFFF), 0, 99])
        header += [UInt8((20 + options.count) / 4) << 4, flags] + words([0xFFFF, 0, 0]) + options
        var segment = header + payload
        let addresses = isIPv6 ? [UInt8](0..<32) : [10, 0, 2, 2, 10, 0, 2, 15]
        let pseudo = addresses + words([0, UInt16(segment.count), 0, 6])
        let sum = ~slowSum(pseudo + segment)
        segment[16] = UInt8(sum >> 8)
        segment[17] = UInt8(sum & 0xFF)
        var frame = client.bytes + server.bytes
        if isIPv6 {
            frame += [0x86, 0xDD, 0x60, 0, 0, 0] + words([UInt16(segment.count)]) + [6, 64] + addresses
        } else {
            var ip: [UInt8] = [0x45, 0] + words([UInt16(20 + segment.count), identification, 0]) + [64, 6, 0, 0]
            ip += addresses
            let sum = ~slowSum(ip)
            ip[10] = UInt8(sum >> 8)
            ip[11] = UInt8(sum & 0xFF)
            frame += [0x08, 0x00] + ip
        }
        return frame + segment
    }

    /// Whether every checksum of a TCP frame is right.
    static func isRight(_ frame: [UInt8]) -> Bool {
        let isIPv6 = frame[12] == 0x86
        let network = 14
        let transport = isIPv6 ? 54 : 34
        let addresses = Array(isIPv6 ? frame[22..<54] : frame[26..<34])
        let segment = Array(frame[transport...])
        let pseudo = addresses + words([0, UInt16(segment.count), 0, 6])
        return (isIPv6 || slowSum(Array(frame[network..<34])) == 0xFFFF) && slowSum(pseudo + segment) == 0xFFFF
    }

    static func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }
}
