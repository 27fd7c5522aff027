/// The one's complement sum of 16-bit words (RFC 1071).
public struct InternetChecksum: Sendable {
    /// The sum of little-endian words: the order of bytes does not matter until the end (RFC 1071 §2 (B)).
    private var sum: UInt64 = 0

    public init() {}

    /// Adds bytes that begin at an even place; only the last of several parts may have an odd number.
    public mutating func add(_ bytes: UnsafeRawBufferPointer) {
        let pairs = bytes.count / 8
        var low: UInt64 = 0
        var high: UInt64 = 0
        for index in 0..<pairs {
            let word = unsafe bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self).littleEndian
            low &+= word & 0xFFFF_FFFF
            high &+= word >> 32
        }
        var rest: UInt64 = 0
        for index in (pairs * 8)..<bytes.count {
            rest |= UInt64(unsafe bytes[index]) << UInt64((index - pairs * 8) * 8)
        }
        add(low)
        add(high)
        add(rest & 0xFFFF_FFFF)
        add(rest >> 32)
    }

    public mutating func add(_ bytes: ArraySlice<UInt8>) { unsafe bytes.withUnsafeBytes { unsafe add($0) } }

    /// Adds one word.
    public mutating func add(word: UInt16) { add(UInt64(word.byteSwapped)) }

    private mutating func add(_ value: UInt64) {
        let (total, carry) = sum.addingReportingOverflow(value)
        sum = total &+ (carry ? 1 : 0)
    }

    /// The sum, as a field holds it that is still to be completed.
    public var partial: UInt16 {
        var folded = sum
        while folded >> 16 != 0 { folded = (folded & 0xFFFF) &+ (folded >> 16) }
        return UInt16(truncatingIfNeeded: folded).byteSwapped
    }
    /// The sum's complement, as a finished field holds it.
    public var value: UInt16 { ~partial }
}
