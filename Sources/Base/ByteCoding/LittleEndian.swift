/// Bytes of a structure that somebody else wrote, read with bounds checks.
///
/// Offsets are in bytes from the start; integers are little-endian and need no alignment.
public struct ByteReader: Sendable {
    public let bytes: [UInt8]

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The integer at `offset`, or nil where any byte of it lies outside.
    public func load<T: FixedWidthInteger>(_ type: T.Type, at offset: Int) -> T? {
        let byteCount = T.bitWidth / 8
        guard offset >= 0, offset <= bytes.count, bytes.count - offset >= byteCount else { return nil }
        var value: T = 0
        for index in 0..<byteCount { value |= T(truncatingIfNeeded: bytes[offset + index]) << T(8 * index) }
        return value
    }
}

extension [UInt8] {
    /// Appends `value`, little-endian.
    public mutating func append<T: FixedWidthInteger>(littleEndian value: T) {
        for index in 0..<(T.bitWidth / 8) { append(UInt8(truncatingIfNeeded: value >> T(8 * index))) }
    }

    /// Writes `value`, little-endian, over the bytes at `offset`, which must exist.
    public mutating func store<T: FixedWidthInteger>(littleEndian value: T, at offset: Int) {
        for index in 0..<(T.bitWidth / 8) { self[offset + index] = UInt8(truncatingIfNeeded: value >> T(8 * index)) }
    }
}
