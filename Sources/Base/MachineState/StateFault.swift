public import SystemCalls

/// What is wrong with a part of a saved machine.
public enum StateFault: Error, Hashable, Sendable {
    /// The section ends before the field.
    case truncated(field: String)
    /// A field has a value that the part cannot have.
    case badValue(field: String, value: String)
    /// The section goes on after its last field.
    case leftover(byteCount: Int)
    /// The part was saved by another version.
    case badVersion(found: UInt16, expected: UInt16)
    /// The part of this machine is another one than was saved.
    case differs(field: String, saved: String, here: String)
    case badChecksum(found: UInt32, expected: UInt32)
    case badLength(UInt64)
    case missing
    case unknown
    case repeated
    /// The part cannot be saved now, or at all; the reason is a whole clause.
    case cannotSave(String)
}

extension StateFault: CustomStringConvertible {
    public var description: String {
        switch self {
        case .truncated(let field): "it ends before '\(field)'"
        case .badValue(let field, let value): "'\(field)' cannot be \(value)"
        case .leftover(let byteCount): "\(byteCount) bytes follow its last field"
        case .badVersion(let found, let expected): "its version is \(found); this viv reads version \(expected)"
        case .differs(let field, let saved, let here):
            "'\(field)' was \(saved) in the saved machine, and is \(here) here"
        case .badChecksum(let found, let expected):
            "its checksum is 0x\(String(found, radix: 16)), its contents have 0x\(String(expected, radix: 16))"
        case .badLength(let length): "it cannot have \(length) bytes"
        case .missing: "it is missing"
        case .unknown: "this machine has no such part"
        case .repeated: "it is there twice"
        case .cannotSave(let reason): reason
        }
    }
}

/// Why a saved machine cannot be written or read: file, section and what is wrong.
public enum StateError: Error, Hashable, Sendable {
    /// The host stood in the way.
    case host(file: String, SystemCallError)
    /// The file does not start as a saved machine does.
    case notSavedMachine(file: String)
    case badFormat(file: String, version: UInt32)
    /// The file ends inside of `section`.
    case endsEarly(file: String, section: String)
    case section(file: String, name: String, StateFault)
}

extension StateError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .host(let file, let cause): "\(file): \(cause)"
        case .notSavedMachine(let file): "\(file): this is not a saved machine"
        case .badFormat(let file, let version):
            "\(file): its format is \(version); this viv reads format \(StateFormat.version)"
        case .endsEarly(let file, let section): "\(file): the file ends inside of \(section)"
        case .section(let file, let name, let fault): "\(file): section '\(name)': \(fault)"
        }
    }
}
