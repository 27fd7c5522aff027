public import JSON

/// The configuration of a container: `config.json` (runtime-spec 1.2, config.md).
///
/// Everything that the specification has for Linux is here; what other platforms have is not read. Nothing is checked against the host.
public struct Configuration: Sendable {
    public var version: String
    public var root: RootConfiguration
    public var mounts: [MountConfiguration]
    public var process: ProcessConfiguration?
    public var hostname: String?
    public var domainname: String?
    public var hooks: HookConfiguration
    public var annotations: [(name: String, value: String)]
    public var linux: LinuxConfiguration

    /// Reads a document.
    public init(_ document: JSON) throws(JSONError) {
        let place = JSONPlace(document)
        version = try place.required("ociVersion").string()
        root = try RootConfiguration(try place.required("root"))
        mounts = try place.list("mounts") { (place) throws(JSONError) in try MountConfiguration(place) }
        if let process = try place.member("process") { self.process = try ProcessConfiguration(process) }
        hostname = try place.string("hostname")
        domainname = try place.string("domainname")
        hooks = try HookConfiguration(try place.member("hooks") ?? JSONPlace([:]))
        annotations = try place.table("annotations")
        for annotation in annotations where annotation.name.isEmpty {
            throw .badValue(place: "annotations", value: "", expected: "a name")
        }
        linux = try LinuxConfiguration(try place.member("linux") ?? JSONPlace([:], path: "linux"))
    }
}

/// The container's root file system (`root`).
public struct RootConfiguration: Sendable {
    public var path: String
    public var isReadOnly: Bool

    init(_ place: JSONPlace) throws(JSONError) {
        path = try place.required("path").string()
        isReadOnly = try place.bool("readonly") ?? false
    }
}

/// One of `mounts`.
public struct MountConfiguration: Sendable {
    public var destination: String
    public var type: String?
    public var source: String?
    public var options: [String]
    public var uidMappings: [IdentifierMapping]
    public var gidMappings: [IdentifierMapping]

    init(_ place: JSONPlace) throws(JSONError) {
        destination = try place.required("destination").string()
        type = try place.string("type")
        source = try place.string("source")
        options = try place.strings("options") ?? []
        uidMappings = try place.list("uidMappings") { (place) throws(JSONError) in try IdentifierMapping(place) }
        gidMappings = try place.list("gidMappings") { (place) throws(JSONError) in try IdentifierMapping(place) }
    }
}

/// A run of user or group identifiers of the container and the host's that stand for them.
public struct IdentifierMapping: Hashable, Sendable {
    public var containerID: UInt32
    public var hostID: UInt32
    public var count: UInt32

    public init(containerID: UInt32, hostID: UInt32, count: UInt32) {
        self.containerID = containerID
        self.hostID = hostID
        self.count = count
    }

    init(_ place: JSONPlace) throws(JSONError) {
        containerID = try place.required("containerID").integer()
        hostID = try place.required("hostID").integer()
        count = try place.required("size").integer()
    }
}

/// Programs that are run at the stages of a container's life (`hooks`).
public struct HookConfiguration: Sendable {
    public struct Hook: Sendable {
        public var path: String
        public var arguments: [String]
        public var environment: [String]
        /// Seconds.
        public var timeout: UInt64?

        init(_ place: JSONPlace) throws(JSONError) {
            path = try place.required("path").string()
            guard path.hasPrefix("/") else {
                throw .badValue(place: place.path + ".path", value: path, expected: "an absolute path")
            }
            arguments = try place.strings("args") ?? []
            environment = try place.strings("env") ?? []
            timeout = try place.integer("timeout", UInt64.self)
            guard timeout != 0 else {
                throw .badValue(place: place.path + ".timeout", value: "0", expected: "more than 0 seconds")
            }
        }
    }

    public var prestart: [Hook]
    public var createRuntime: [Hook]
    public var createContainer: [Hook]
    public var startContainer: [Hook]
    public var poststart: [Hook]
    public var poststop: [Hook]

    init(_ place: JSONPlace) throws(JSONError) {
        func hooks(_ name: String) throws(JSONError) -> [Hook] {
            try place.list(name) { (place) throws(JSONError) in try Hook(place) }
        }
        prestart = try hooks("prestart")
        createRuntime = try hooks("createRuntime")
        createContainer = try hooks("createContainer")
        startContainer = try hooks("startContainer")
        poststart = try hooks("poststart")
        poststop = try hooks("poststop")
    }
}
