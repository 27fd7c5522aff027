internal import CJansson
internal import Glibc

/// A JSON value (RFC 8259); members of an object stay in their order.
public enum JSON: Hashable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// A whole number above those of ``integer(_:)``.
    case unsigned(UInt64)
    case real(Double)
    case string(String)
    case array([JSON])
    case object([Member])

    public struct Member: Hashable, Sendable {
        public let name: String
        public let value: JSON

        public init(_ name: String, _ value: JSON) {
            self.name = name
            self.value = value
        }
    }

    /// Parses one value, which may be nested 2048 deep.
    ///
    /// Integers beyond 64 bits, with a sign or without, become reals; of members of one name the last counts.
    /// - Throws: ``JSONError/syntax(_:line:)``.
    public init(parsing bytes: [UInt8]) throws(JSONError) {
        var failure = json_error_t()
        let flags = Int(JSON_DECODE_ANY)
        var root = unsafe bytes.withUnsafeBytes { unsafe json_loadb($0.baseAddress, $0.count, flags, &failure) }
        var large: LargeIntegers?
        if unsafe root == nil {
            // The library's code of the failure is the last byte of its text.
            let code = unsafe withUnsafeBytes(of: failure.text) { unsafe $0.last }
            if code == UInt8(json_error_numeric_overflow.rawValue) {
                let found = LargeIntegers(in: bytes)
                unsafe root = found.text.withUnsafeBytes {
                    unsafe json_loadb($0.baseAddress, $0.count, flags, &failure)
                }
                large = found
            }
        }
        guard let root = unsafe root else {
            let text = unsafe withUnsafeBytes(of: failure.text) { text in
                unsafe String(decoding: text.prefix { $0 != 0 }, as: UTF8.self)
            }
            throw .syntax(text, line: Int(failure.line))
        }
        defer { unsafe json_decref(root) }
        self = unsafe JSON(root, large: large != nil)
    }

    /// `large`: Whether integers above the library's are marked strings.
    private init(_ value: UnsafeMutablePointer<json_t>, large: Bool) {
        switch unsafe value.pointee.type {
        case JSON_TRUE: self = .bool(true)
        case JSON_FALSE: self = .bool(false)
        case JSON_INTEGER: self = unsafe .integer(json_integer_value(value))
        case JSON_REAL: self = unsafe .real(json_real_value(value))
        case JSON_STRING:
            let count = unsafe json_string_length(value)
            let bytes = unsafe UnsafeRawBufferPointer(start: json_string_value(value), count: count)
            let text = unsafe String(decoding: bytes, as: UTF8.self)
            self =
                if large, let number = LargeIntegers.number(marked: text) { .unsigned(number) } else { .string(text) }
        case JSON_ARRAY:
            self = .array(
                unsafe (0..<json_array_size(value)).compactMap { index in
                    unsafe json_array_get(value, index).map { unsafe JSON($0, large: large) }
                }
            )
        case JSON_OBJECT:
            var members: [Member] = []
            var place = unsafe json_object_iter(value)
            while let current = unsafe place {
                if let name = unsafe json_object_iter_key(current), let member = unsafe json_object_iter_value(current)
                {
                    members.append(unsafe Member(String(cString: name), JSON(member, large: large)))
                }
                unsafe place = json_object_iter_next(value, current)
            }
            self = .object(members)
        default: self = .null
        }
    }

    /// The value as text.
    ///
    /// `indentation`: Spaces a level, 0 for one line.
    public func text(indentation: Int = 0) -> String {
        guard let root = unsafe made() else { return "null" }
        defer { unsafe json_decref(root) }
        let flags = (indentation & 0x1F) | Int(indentation == 0 ? JSON_COMPACT : 0) | Int(JSON_ENCODE_ANY)
        guard let text = unsafe json_dumps(root, flags) else { return "null" }
        defer { unsafe free(text) }
        let written = unsafe String(cString: text)
        return hasLarge ? LargeIntegers.unmarked(written) : written
    }

    /// Whether there is an ``unsigned(_:)`` in it.
    private var hasLarge: Bool {
        switch self {
        case .unsigned: true
        case .array(let values): values.contains { $0.hasLarge }
        case .object(let members): members.contains { $0.value.hasLarge }
        default: false
        }
    }

    /// A value of the library's, which the caller gives back.
    private func made() -> UnsafeMutablePointer<json_t>? {
        switch self {
        case .null: return unsafe json_null()
        case .bool(let value): return unsafe value ? json_true() : json_false()
        case .integer(let value): return unsafe json_integer(value)
        case .unsigned(let value): return unsafe JSON.string(LargeIntegers.marked(value)).made()
        case .real(let value): return unsafe json_real(value)
        case .string(let value):
            var text = value
            return text.withUTF8 { bytes in
                unsafe bytes.withMemoryRebound(to: CChar.self) { unsafe json_stringn($0.baseAddress, $0.count) }
            }
        case .array(let values):
            let array = unsafe json_array()
            for value in values { unsafe json_array_append_new(array, value.made()) }
            return unsafe array
        case .object(let members):
            let object = unsafe json_object()
            for member in members { unsafe json_object_set_new(object, member.name, member.value.made()) }
            return unsafe object
        }
    }

    /// The member of that name; nil where this is no object or has none.
    public subscript(_ name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.name == name }?.value
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSON)...) { self = .object(elements.map { Member($0.0, $0.1) }) }
}

/// Why JSON cannot be used; places are written as `process.args[0]`.
public enum JSONError: Error, Hashable, Sendable {
    case syntax(String, line: Int)
    case missing(place: String)
    case wrongType(place: String, expected: String)
    case badValue(place: String, value: String, expected: String)
}

extension JSONError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .syntax(let text, let line): "line \(line): \(text)"
        case .missing(let place): "\(place) is missing"
        case .wrongType(let place, let expected): "\(place) is not \(expected)"
        case .badValue(let place, let value, let expected): "\(place) is '\(value)', not \(expected)"
        }
    }
}
