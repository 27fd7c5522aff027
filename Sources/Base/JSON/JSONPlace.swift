/// A value and where it stands in its document, so that whatever is wrong with it can be named.
public struct JSONPlace: Sendable {
    public let value: JSON
    public let path: String

    public init(_ value: JSON, path: String = "") {
        self.value = value
        self.path = path
    }

    private func path(of name: String) -> String { path.isEmpty ? name : path + "." + name }

    /// The member of that name; nil where there is none, or it is null.
    public func member(_ name: String) throws(JSONError) -> JSONPlace? {
        guard case .object = value else {
            throw .wrongType(place: path.isEmpty ? "the document" : path, expected: "an object")
        }
        guard let found = value[name], found != .null else { return nil }
        return JSONPlace(found, path: path(of: name))
    }

    public func required(_ name: String) throws(JSONError) -> JSONPlace {
        guard let found = try member(name) else { throw .missing(place: path(of: name)) }
        return found
    }

    // MARK: This value

    public func string() throws(JSONError) -> String {
        guard case .string(let text) = value else { throw .wrongType(place: path, expected: "a string") }
        // No path, name or argument of the host's can hold one.
        guard !text.utf8.contains(0) else {
            throw .badValue(place: path, value: "a string with a zero byte", expected: "text")
        }
        return text
    }

    public func bool() throws(JSONError) -> Bool {
        guard case .bool(let flag) = value else { throw .wrongType(place: path, expected: "true or false") }
        return flag
    }

    /// A whole number that fits; reals without a fraction are taken as one.
    public func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(JSONError) -> T {
        switch value {
        case .integer(let number):
            guard let fitting = T(exactly: number) else {
                throw .badValue(place: path, value: "\(number)", expected: "a number from \(T.min) to \(T.max)")
            }
            return fitting
        case .unsigned(let number):
            guard let fitting = T(exactly: number) else {
                throw .badValue(place: path, value: "\(number)", expected: "a number from \(T.min) to \(T.max)")
            }
            return fitting
        case .real(let number):
            guard let fitting = T(exactly: number) else {
                throw .badValue(place: path, value: "\(number)", expected: "a number from \(T.min) to \(T.max)")
            }
            return fitting
        default: throw .wrongType(place: path, expected: "a number")
        }
    }

    public func array() throws(JSONError) -> [JSONPlace] {
        guard case .array(let values) = value else { throw .wrongType(place: path, expected: "an array") }
        return values.enumerated().map { JSONPlace($0.element, path: "\(path)[\($0.offset)]") }
    }

    public func members() throws(JSONError) -> [(name: String, place: JSONPlace)] {
        guard case .object(let members) = value else { throw .wrongType(place: path, expected: "an object") }
        return members.map { ($0.name, JSONPlace($0.value, path: path(of: $0.name))) }
    }

    // MARK: Members

    public func string(_ name: String) throws(JSONError) -> String? { try member(name)?.string() }
    public func bool(_ name: String) throws(JSONError) -> Bool? { try member(name)?.bool() }
    public func integer<T: FixedWidthInteger>(_ name: String, _ type: T.Type = T.self) throws(JSONError) -> T? {
        try member(name)?.integer(type)
    }
    public func strings(_ name: String) throws(JSONError) -> [String]? {
        guard let places = try member(name)?.array() else { return nil }
        var strings: [String] = []
        for place in places { strings.append(try place.string()) }
        return strings
    }
    /// The elements of an array, each read by `read`; none where there is no such member.
    public func list<Element>(
        _ name: String,
        _ read: (JSONPlace) throws(JSONError) -> Element
    ) throws(JSONError) -> [Element] {
        var elements: [Element] = []
        for place in try member(name)?.array() ?? [] { elements.append(try read(place)) }
        return elements
    }
    /// The members of an object of strings.
    public func table(_ name: String) throws(JSONError) -> [(name: String, value: String)] {
        var table: [(name: String, value: String)] = []
        for (name, place) in try member(name)?.members() ?? [] { table.append((name, try place.string())) }
        return table
    }
}
