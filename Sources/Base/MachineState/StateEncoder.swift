/// Writes the fields of a section, one after another, little-endian and without padding.
public struct StateEncoder: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public mutating func encode(_ value: some FixedWidthInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// A byte, 0 or 1.
    public mutating func encode(_ value: Bool) { bytes.append(value ? 1 : 0) }

    /// Whether there is a value, then the value.
    public mutating func encode(_ value: (some FixedWidthInteger)?) {
        encode(value != nil)
        if let value { encode(value) }
    }

    /// A count of 32 bits, then the bytes.
    public mutating func encode(_ value: some Collection<UInt8>) {
        encode(UInt32(truncatingIfNeeded: value.count))
        bytes.append(contentsOf: value)
    }

    public mutating func encode(_ text: String) { encode(Array(text.utf8)) }

    /// Bytes whose count the reader knows.
    public mutating func encodeFixed(_ value: some Sequence<UInt8>) { bytes.append(contentsOf: value) }
}
