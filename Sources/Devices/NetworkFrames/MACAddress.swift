/// A 48-bit Ethernet address (IEEE 802 §8), its first byte highest.
public struct MACAddress: Hashable, Sendable {
    public static let broadcast = MACAddress(0xFFFF_FFFF_FFFF)
    public static let byteCount = 6

    /// 48 bits.
    public let rawValue: UInt64

    public init(_ rawValue: UInt64) { self.rawValue = rawValue & 0xFFFF_FFFF_FFFF }

    /// The six bytes at `offset`, or nil where there are fewer.
    public init?(_ bytes: some RandomAccessCollection<UInt8>, at offset: Int = 0) {
        guard offset >= 0, bytes.count >= Self.byteCount, offset <= bytes.count - Self.byteCount else { return nil }
        self.init(bytes.dropFirst(offset).prefix(Self.byteCount).reduce(0) { $0 << 8 | UInt64($1) })
    }

    /// Reads `52:54:00:12:34:56`; nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == Self.byteCount else { return nil }
        var value: UInt64 = 0
        for part in parts {
            guard (1...2).contains(part.utf8.count), part.allSatisfy(\.isHexDigit), let byte = UInt8(part, radix: 16)
            else { return nil }
            value = value << 8 | UInt64(byte)
        }
        self.init(value)
    }

    public var bytes: [UInt8] {
        (0..<Self.byteCount).map { UInt8(truncatingIfNeeded: rawValue >> UInt64(40 - $0 * 8)) }
    }
    /// For a group of stations, or all.
    public var isMulticast: Bool { rawValue & 0x0100_0000_0000 != 0 }
}

extension MACAddress: CustomStringConvertible {
    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}
