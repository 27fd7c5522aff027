internal import JSON

/// The filter of system calls (`linux.seccomp`).
public struct SeccompConfiguration: Sendable {
    public struct Argument: Sendable {
        public var index: UInt32
        public var value: UInt64
        public var valueTwo: UInt64
        /// Such as `SCMP_CMP_EQ`.
        public var comparison: String
    }

    public struct Rule: Sendable {
        public var names: [String]
        /// Such as `SCMP_ACT_ALLOW`.
        public var action: String
        public var errorNumber: UInt32?
        public var arguments: [Argument]
    }

    public var defaultAction: String
    public var defaultErrorNumber: UInt32?
    /// Such as `SCMP_ARCH_X86_64`.
    public var architectures: [String]
    /// Such as `SECCOMP_FILTER_FLAG_LOG`; nil where the runtime chooses.
    public var flags: [String]?
    /// The socket of whoever is asked about calls.
    public var listenerPath: String?
    public var listenerMetadata: String?
    public var rules: [Rule]

    init(_ place: JSONPlace) throws(JSONError) {
        defaultAction = try place.required("defaultAction").string()
        defaultErrorNumber = try place.integer("defaultErrnoRet")
        architectures = try place.strings("architectures") ?? []
        flags = try place.strings("flags")
        listenerPath = try place.string("listenerPath")
        listenerMetadata = try place.string("listenerMetadata")
        rules = try place.list("syscalls") { (place) throws(JSONError) in
            Rule(
                names: try place.required("names").array().strings(),
                action: try place.required("action").string(),
                errorNumber: try place.integer("errnoRet"),
                arguments: try place.list("args") { (place) throws(JSONError) in
                    Argument(
                        index: try place.required("index").integer(),
                        value: try place.required("value").bits(),
                        valueTwo: try place.member("valueTwo")?.bits() ?? 0,
                        comparison: try place.required("op").string()
                    )
                }
            )
        }
    }
}

extension [JSONPlace] {
    fileprivate func strings() throws(JSONError) -> [String] {
        var strings: [String] = []
        for place in self { strings.append(try place.string()) }
        return strings
    }
}

extension JSONPlace {
    /// 64 bits, of which the library reads the largest as a real number.
    fileprivate func bits() throws(JSONError) -> UInt64 {
        if case .real(let number) = value, number >= 18_446_744_073_709_549_568 { return .max }
        return try integer()
    }
}
