/// Reads the fields of a section in the order in which ``StateEncoder`` wrote them, and trusts none of them.
public struct StateDecoder: Sendable {
    private let bytes: ArraySlice<UInt8>
    private var next: Int

    public init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        next = bytes.startIndex
    }

    public init(_ bytes: [UInt8]) { self.init(bytes[...]) }

    public var remainingByteCount: Int { bytes.endIndex - next }

    /// An integer; messages call it `field`.
    public mutating func decode<T: FixedWidthInteger>(_ type: T.Type, _ field: String) throws(StateFault) -> T {
        let byteCount = T.bitWidth / 8
        guard remainingByteCount >= byteCount else { throw .truncated(field: field) }
        var value: T = 0
        for index in 0..<byteCount { value |= T(truncatingIfNeeded: bytes[next + index]) << T(8 * index) }
        next += byteCount
        return value
    }

    /// A number that has to lie in `range`.
    public mutating func decode<T: FixedWidthInteger>(
        in range: ClosedRange<T>,
        _ field: String
    ) throws(StateFault) -> T {
        let value = try decode(T.self, field)
        guard range.contains(value) else { throw .badValue(field: field, value: "\(value)") }
        return value
    }

    /// A number that has no bits but those of `mask`.
    public mutating func decode<T: FixedWidthInteger>(mask: T, _ field: String) throws(StateFault) -> T {
        let value = try decode(T.self, field)
        guard value & ~mask == 0 else { throw .badValue(field: field, value: "0x" + String(value, radix: 16)) }
        return value
    }

    public mutating func decode(_ type: Bool.Type, _ field: String) throws(StateFault) -> Bool {
        try decode(in: UInt8(0)...1, field) != 0
    }

    public mutating func decodeOptional<T: FixedWidthInteger>(
        _ type: T.Type,
        _ field: String
    ) throws(StateFault) -> T? {
        try decode(Bool.self, field) ? try decode(type, field) : nil
    }

    /// Bytes with their count, of which there are at most `limit`.
    public mutating func decodeBytes(limit: Int, _ field: String) throws(StateFault) -> [UInt8] {
        let count = Int(try decode(UInt32.self, field))
        guard count <= limit else { throw .badValue(field: field, value: "\(count) bytes long") }
        return try decodeFixed(count, field)
    }

    public mutating func decodeString(limit: Int = 4096, _ field: String) throws(StateFault) -> String {
        let text = try decodeBytes(limit: limit, field)
        guard let string = String(validating: text, as: UTF8.self) else {
            throw .badValue(field: field, value: "what is no text")
        }
        return string
    }

    /// `byteCount` bytes.
    public mutating func decodeFixed(_ byteCount: Int, _ field: String) throws(StateFault) -> [UInt8] {
        guard byteCount >= 0, remainingByteCount >= byteCount else { throw .truncated(field: field) }
        defer { next += byteCount }
        return Array(bytes[next..<(next + byteCount)])
    }

    /// A value that this machine and the saved one must have alike.
    public mutating func expect<T: FixedWidthInteger>(_ here: T, _ field: String) throws(StateFault) {
        let saved = try decode(T.self, field)
        guard saved == here else { throw .differs(field: field, saved: "\(saved)", here: "\(here)") }
    }

    public mutating func expect(_ here: String, _ field: String) throws(StateFault) {
        let saved = try decodeString(field)
        guard saved == here else { throw .differs(field: field, saved: "'\(saved)'", here: "'\(here)'") }
    }

    public mutating func expect(_ here: Bool, _ field: String) throws(StateFault) {
        let saved = try decode(Bool.self, field)
        guard saved == here else { throw .differs(field: field, saved: "\(saved)", here: "\(here)") }
    }

    /// Everything was read.
    public func finish() throws(StateFault) {
        guard remainingByteCount == 0 else { throw .leftover(byteCount: remainingByteCount) }
    }
}
