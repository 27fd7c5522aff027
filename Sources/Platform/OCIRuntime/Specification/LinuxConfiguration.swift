public import JSON

/// The part of a configuration that is Linux's own (`linux`; config-linux.md).
public struct LinuxConfiguration: Sendable {
    public struct Namespace: Hashable, Sendable {
        public enum Kind: String, Hashable, Sendable, CaseIterable {
            case pid, network, mount, ipc, uts, user, cgroup, time
        }
        public var kind: Kind
        /// The namespace to join; nil for a new one.
        public var path: String?
    }

    public struct Device: Sendable {
        public enum Kind: String, Sendable {
            case character = "c"
            case unbuffered = "u"
            case block = "b"
            case fifo = "p"
        }
        public var kind: Kind
        public var path: String
        public var major: Int64
        public var minor: Int64
        public var mode: UInt32
        public var uid: UInt32
        public var gid: UInt32

        init(_ place: JSONPlace) throws(JSONError) {
            let name = try place.required("type").string()
            guard let kind = Kind(rawValue: name) else {
                throw .badValue(place: place.path + ".type", value: name, expected: "c, u, b or p")
            }
            self.kind = kind
            path = try place.required("path").string()
            major = try place.integer("major") ?? 0
            minor = try place.integer("minor") ?? 0
            mode = try place.integer("fileMode") ?? 0o666
            uid = try place.integer("uid") ?? 0
            gid = try place.integer("gid") ?? 0
        }
    }

    /// What a time namespace adds to a clock.
    public struct TimeOffset: Sendable {
        /// `monotonic` or `boottime`.
        public var clock: String
        public var seconds: Int64
        public var nanoseconds: UInt32
    }

    public struct Personality: Sendable {
        /// `LINUX` or `LINUX32`.
        public var domain: String
        public var flags: [String]
    }

    public var namespaces: [Namespace]
    public var uidMappings: [IdentifierMapping]
    public var gidMappings: [IdentifierMapping]
    public var timeOffsets: [TimeOffset]
    public var devices: [Device]
    public var cgroupsPath: String?
    public var resources: ResourceConfiguration?
    public var rootfsPropagation: String?
    public var seccomp: SeccompConfiguration?
    public var sysctl: [(name: String, value: String)]
    public var maskedPaths: [String]
    public var readonlyPaths: [String]
    public var mountLabel: String?
    public var personality: Personality?
    /// Nil where the container is in no class of the processor's resource control.
    public var intelRDT: JSON?

    init(_ place: JSONPlace) throws(JSONError) {
        namespaces = try place.list("namespaces") { (place) throws(JSONError) in
            let name = try place.required("type").string()
            guard let kind = Namespace.Kind(rawValue: name) else {
                let known = Namespace.Kind.allCases.map(\.rawValue).joined(separator: ", ")
                throw .badValue(place: place.path + ".type", value: name, expected: "one of \(known)")
            }
            let path = try place.string("path")
            return Namespace(kind: kind, path: path == "" ? nil : path)
        }
        for namespace in namespaces where namespaces.filter({ $0.kind == namespace.kind }).count > 1 {
            throw .badValue(place: "linux.namespaces", value: namespace.kind.rawValue, expected: "there once")
        }
        uidMappings = try place.list("uidMappings") { (place) throws(JSONError) in try IdentifierMapping(place) }
        gidMappings = try place.list("gidMappings") { (place) throws(JSONError) in try IdentifierMapping(place) }
        timeOffsets = []
        for (clock, place) in try place.member("timeOffsets")?.members() ?? [] {
            timeOffsets.append(
                TimeOffset(
                    clock: clock,
                    seconds: try place.integer("secs") ?? 0,
                    nanoseconds: try place.integer("nanosecs") ?? 0
                )
            )
        }
        devices = try place.list("devices") { (place) throws(JSONError) in try Device(place) }
        cgroupsPath = try place.string("cgroupsPath")
        resources = if let found = try place.member("resources") { try ResourceConfiguration(found) } else { nil }
        rootfsPropagation = try place.string("rootfsPropagation")
        seccomp = if let found = try place.member("seccomp") { try SeccompConfiguration(found) } else { nil }
        sysctl = try place.table("sysctl")
        maskedPaths = try place.strings("maskedPaths") ?? []
        readonlyPaths = try place.strings("readonlyPaths") ?? []
        mountLabel = try place.string("mountLabel")
        if let found = try place.member("personality") {
            personality = Personality(
                domain: try found.required("domain").string(),
                flags: try found.strings("flags") ?? []
            )
        }
        intelRDT = try place.member("intelRdt")?.value
    }

    /// The namespace of that kind, if the container has one of its own or joins one.
    public func namespace(_ kind: Namespace.Kind) -> Namespace? { namespaces.first { $0.kind == kind } }
}
