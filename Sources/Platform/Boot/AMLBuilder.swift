internal import ByteCoding

/// Writes ACPI machine language (ACPI 6.4 §20.2): each call appends one object to ``bytes``.
public struct AMLBuilder: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    /// A term that can be a value: what Name, Package and Return take.
    public indirect enum Value: Sendable {
        case integer(UInt64)
        case string(String)
        case buffer([UInt8])
        case package([Value])
        /// A seven-character EISA identifier such as `PNP0A03`, as its 32-bit code.
        case eisaID(String)
        /// A reference to a named object.
        case path(String)

        var bytes: [UInt8] {
            switch self {
            case .integer(let value): AMLBuilder.integer(value)
            case .string(let text): [0x0D] + Array(text.utf8) + [0]
            case .buffer(let content):
                [0x11] + AMLBuilder.withLength(AMLBuilder.integer(UInt64(content.count)) + content)
            case .package(let elements):
                [0x12] + AMLBuilder.withLength([UInt8(clamping: elements.count)] + elements.flatMap(\.bytes))
            case .eisaID(let name): AMLBuilder.integer(UInt64(AMLBuilder.eisaID(name)))
            case .path(let path): AMLBuilder.name(path)
            }
        }
    }

    public mutating func name(_ path: String, _ value: Value) {
        bytes += [0x08] + Self.name(path) + value.bytes
    }

    public mutating func scope(_ path: String, _ body: (inout AMLBuilder) -> Void) {
        bytes += [0x10] + Self.withLength(Self.name(path) + Self.nested(body))
    }

    public mutating func device(_ path: String, _ body: (inout AMLBuilder) -> Void) {
        bytes += [0x5B, 0x82] + Self.withLength(Self.name(path) + Self.nested(body))
    }

    public mutating func method(_ path: String, argumentCount: UInt8 = 0, _ body: (inout AMLBuilder) -> Void) {
        bytes += [0x14] + Self.withLength(Self.name(path) + [argumentCount & 7] + Self.nested(body))
    }

    public mutating func returnValue(_ value: Value) { bytes += [0xA4] + value.bytes }

    private static func nested(_ body: (inout AMLBuilder) -> Void) -> [UInt8] {
        var inner = AMLBuilder()
        body(&inner)
        return inner.bytes
    }

    /// `content` after its PkgLength, which counts itself (§20.2.4).
    static func withLength(_ content: [UInt8]) -> [UInt8] {
        if content.count + 1 < 64 { return [UInt8(content.count + 1)] + content }
        var following = 1
        while content.count + 1 + following >= 1 << (4 + 8 * following) { following += 1 }
        let total = content.count + 1 + following
        var length = [UInt8(following << 6 | total & 15)]
        for index in 0..<following { length.append(UInt8(truncatingIfNeeded: total >> (4 + 8 * index))) }
        return length + content
    }

    /// The shortest encoding of an integer (§20.2.3).
    static func integer(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        switch value {
        case 0, 1: bytes.append(UInt8(value))
        case ..<0x100: bytes += [0x0A, UInt8(value)]
        case ..<0x1_0000:
            bytes.append(0x0B)
            bytes.append(littleEndian: UInt16(value))
        case ..<0x1_0000_0000:
            bytes.append(0x0C)
            bytes.append(littleEndian: UInt32(value))
        default:
            bytes.append(0x0E)
            bytes.append(littleEndian: value)
        }
        return bytes
    }

    /// A NameString (§20.2.2): segments are separated by dots and padded with underscores to four characters.
    static func name(_ path: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = Substring(path)
        while let first = rest.first, first == "\\" || first == "^" {
            bytes += Array(first.utf8)
            rest.removeFirst()
        }
        let segments = rest.split(separator: ".").map { segment in
            Array((segment + "____").utf8.prefix(4))
        }
        switch segments.count {
        case 0: bytes.append(0)
        case 1: break
        case 2: bytes.append(0x2E)
        default: bytes += [0x2F, UInt8(clamping: segments.count)]
        }
        return bytes + segments.joined()
    }

    /// The code of an EISA identifier (§6.1.5): three letters of five bits, four hexadecimal digits, big-endian.
    static func eisaID(_ name: String) -> UInt32 {
        var letters: UInt32 = 0
        for letter in name.utf8.prefix(3) { letters = letters << 5 | UInt32(letter & 0x1F) }
        let product = UInt32(name.suffix(4), radix: 16) ?? 0
        return (letters << 16 | product & 0xFFFF).byteSwapped
    }
}
