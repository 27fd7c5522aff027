internal import Glibc

/// An IPv4 address, its first number highest.
public struct IPv4Address: Hashable, Sendable {
    public let rawValue: UInt32

    public init(_ rawValue: UInt32) { self.rawValue = rawValue }

    /// Reads four numbers with points between them.
    public init?(_ text: String) {
        var address = in_addr()
        guard unsafe inet_pton(AF_INET, text, &address) == 1 else { return nil }
        rawValue = UInt32(bigEndian: address.s_addr)
    }

    var inNetworkOrder: in_addr { in_addr(s_addr: rawValue.bigEndian) }
}

extension IPv4Address: CustomStringConvertible {
    public var description: String {
        [24, 16, 8, 0].map { String(rawValue >> $0 & 0xFF) }.joined(separator: ".")
    }
}

/// An IPv4 network: an address without host part, and how many bits name the network.
public struct IPv4Network: Hashable, Sendable {
    public let address: IPv4Address
    public let prefixLength: Int

    public init(_ address: IPv4Address, prefixLength: Int) {
        self.prefixLength = min(max(0, prefixLength), 32)
        self.address = IPv4Address(address.rawValue & Self.mask(prefixLength))
    }

    /// Reads `10.0.2.0/24`, `10.0.2.0/255.255.255.0` or, for a network of 24 bits, `10.0.2.0`.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let address = IPv4Address(parts[0]) else { return nil }
        var length = 24
        if parts.count == 2 {
            if let mask = IPv4Address(parts[1]) {
                length = mask.rawValue.nonzeroBitCount
                guard Self.mask(length) == mask.rawValue else { return nil }
            } else {
                guard let number = Int(parts[1]) else { return nil }
                length = number
            }
        }
        // Two bits of host part hold gateway, name server and a guest.
        guard (8...29).contains(length) else { return nil }
        self.init(address, prefixLength: length)
    }

    public var mask: IPv4Address { IPv4Address(Self.mask(prefixLength)) }
    public func contains(_ other: IPv4Address) -> Bool { other.rawValue & mask.rawValue == address.rawValue }
    /// The network's address with `number` as host part.
    public func host(_ number: UInt32) -> IPv4Address { IPv4Address(address.rawValue | number & ~mask.rawValue) }

    private static func mask(_ length: Int) -> UInt32 { length <= 0 ? 0 : ~0 << UInt32(32 - min(length, 32)) }
}

/// An IPv6 address of 16 bytes.
public struct IPv6Address: Hashable, Sendable {
    public let bytes: [UInt8]

    public init?(_ text: String) {
        var address = in6_addr()
        guard unsafe inet_pton(AF_INET6, text, &address) == 1 else { return nil }
        bytes = unsafe withUnsafeBytes(of: &address) { unsafe Array($0) }
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    /// The prefix fec0::, of sites that no longer exist (RFC 3879).
    public static let userPrefix = IPv6Address(bytes: [0xFE, 0xC0] + [UInt8](repeating: 0, count: 14))

    /// The same with `number` as its last byte.
    func host(_ number: UInt8) -> IPv6Address { IPv6Address(bytes: Array(bytes.dropLast()) + [number]) }

    var inNetworkOrder: in6_addr {
        var address = in6_addr()
        unsafe withUnsafeMutableBytes(of: &address) { unsafe $0.copyBytes(from: bytes) }
        return address
    }
}
