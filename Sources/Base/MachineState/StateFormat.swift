/// The file of a saved machine; integers are little-endian.
///
/// ```
/// file     "VIVSTATE" · format version (4) · sections
/// section  "SECT" · name length (2) · version (2) · contents length (8) · name · contents · CRC-32C of all of these (4)
/// ```
///
/// The first section is `machine`, which says what the machine is made of, and the last is `end`, whose contents are the number
/// of the sections before it, so that a file that was cut between two sections is known as such.
public enum StateFormat {
    public static let version: UInt32 = 1
    /// The longest section, in bytes: memory is written in parts.
    public static let sectionLimit: UInt64 = 64 << 20
    /// All sections but those of memory together are no longer, in bytes.
    static let totalLimit = 1 << 30
    static let sectionCountLimit = 1 << 20
    static let magic = Array("VIVSTATE".utf8)
    static let sectionMagic = Array("SECT".utf8)
    static let sectionHeaderByteCount = 16
    static let nameLimit = 255
    static let end = "end"
}

/// A named and versioned piece of a saved machine.
public struct StateSection: Sendable {
    public var name: String
    public var version: UInt16
    public var contents: [UInt8]

    public init(name: String, version: UInt16, contents: [UInt8]) {
        self.name = name
        self.version = version
        self.contents = contents
    }

    /// The section of `part`.
    public init(_ name: String, saving part: any Saveable) throws(StateFault) {
        var encoder = StateEncoder()
        try part.save(into: &encoder)
        self.init(name: name, version: part.stateVersion, contents: encoder.bytes)
    }

    /// Hands the contents to `part`, which must be of this version and take all of them.
    public func load(into part: any Saveable) throws(StateFault) {
        guard version == part.stateVersion else {
            throw .badVersion(found: version, expected: part.stateVersion)
        }
        var decoder = StateDecoder(contents)
        try part.load(from: &decoder)
        try decoder.finish()
    }

    /// What stands before the contents in a file.
    var header: [UInt8] {
        var encoder = StateEncoder()
        let name = Array(name.utf8.prefix(StateFormat.nameLimit))
        encoder.encodeFixed(StateFormat.sectionMagic)
        encoder.encode(UInt16(name.count))
        encoder.encode(version)
        encoder.encode(UInt64(contents.count))
        encoder.encodeFixed(name)
        return encoder.bytes
    }
}
