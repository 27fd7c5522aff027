public import JSON

/// A process of a container (`process`, and what `exec --process` gets).
public struct ProcessConfiguration: Sendable {
    public struct Capabilities: Sendable {
        public var bounding: [String]
        public var effective: [String]
        public var inheritable: [String]
        public var permitted: [String]
        public var ambient: [String]

        init(_ place: JSONPlace) throws(JSONError) {
            bounding = try place.strings("bounding") ?? []
            effective = try place.strings("effective") ?? []
            inheritable = try place.strings("inheritable") ?? []
            permitted = try place.strings("permitted") ?? []
            ambient = try place.strings("ambient") ?? []
        }
    }

    public struct ResourceLimit: Sendable {
        /// Such as `RLIMIT_NOFILE`.
        public var type: String
        public var soft: UInt64
        public var hard: UInt64

        init(_ place: JSONPlace) throws(JSONError) {
            type = try place.required("type").string()
            soft = try place.required("soft").limit()
            hard = try place.required("hard").limit()
        }
    }

    public struct User: Sendable {
        public var uid: UInt32 = 0
        public var gid: UInt32 = 0
        public var umask: UInt32?
        public var additionalGroups: [UInt32] = []

        public init() {}

        init(_ place: JSONPlace) throws(JSONError) {
            uid = try place.integer("uid") ?? 0
            gid = try place.integer("gid") ?? 0
            umask = try place.integer("umask")
            additionalGroups = try place.list("additionalGids") { (place) throws(JSONError) in try place.integer() }
        }
    }

    public struct Scheduler: Sendable {
        /// Such as `SCHED_OTHER`.
        public var policy: String
        public var nice: Int32
        public var priority: Int32
        /// Such as `SCHED_FLAG_RESET_ON_FORK`.
        public var flags: [String]
        public var runtime: UInt64
        public var deadline: UInt64
        public var period: UInt64

        init(_ place: JSONPlace) throws(JSONError) {
            policy = try place.required("policy").string()
            nice = try place.integer("nice") ?? 0
            priority = try place.integer("priority") ?? 0
            flags = try place.strings("flags") ?? []
            runtime = try place.integer("runtime") ?? 0
            deadline = try place.integer("deadline") ?? 0
            period = try place.integer("period") ?? 0
        }
    }

    public struct IOPriority: Sendable {
        /// Such as `IOPRIO_CLASS_BE`.
        public var `class`: String
        public var priority: Int32

        init(_ place: JSONPlace) throws(JSONError) {
            `class` = try place.required("class").string()
            priority = try place.integer("priority") ?? 0
        }
    }

    public var hasTerminal: Bool
    /// Rows and columns of the terminal at first.
    public var consoleSize: (height: UInt16, width: UInt16)?
    public var user: User
    public var arguments: [String]
    public var environment: [String]
    public var workingDirectory: String
    public var capabilities: Capabilities?
    public var resourceLimits: [ResourceLimit]
    public var noNewPrivileges: Bool
    public var oomScoreAdjustment: Int32?
    public var appArmorProfile: String?
    public var selinuxLabel: String?
    public var scheduler: Scheduler?
    public var ioPriority: IOPriority?
    /// The processors of the process, as in `0-3,7`, before it is in its cgroup and after.
    public var initialAffinity: String?
    public var finalAffinity: String?

    public init(_ place: JSONPlace) throws(JSONError) {
        hasTerminal = try place.bool("terminal") ?? false
        if let size = try place.member("consoleSize") {
            consoleSize = (try size.required("height").integer(), try size.required("width").integer())
        }
        user = if let user = try place.member("user") { try User(user) } else { User() }
        arguments = try place.strings("args") ?? []
        environment = try place.strings("env") ?? []
        workingDirectory = try place.required("cwd").string()
        guard workingDirectory.hasPrefix("/") else {
            throw .badValue(place: place.path + ".cwd", value: workingDirectory, expected: "an absolute path")
        }
        capabilities = if let set = try place.member("capabilities") { try Capabilities(set) } else { nil }
        resourceLimits = try place.list("rlimits") { (place) throws(JSONError) in try ResourceLimit(place) }
        noNewPrivileges = try place.bool("noNewPrivileges") ?? false
        oomScoreAdjustment = try place.integer("oomScoreAdj")
        appArmorProfile = try place.string("apparmorProfile")
        selinuxLabel = try place.string("selinuxLabel")
        scheduler = if let found = try place.member("scheduler") { try Scheduler(found) } else { nil }
        ioPriority = if let found = try place.member("ioPriority") { try IOPriority(found) } else { nil }
        let affinity = try place.member("execCPUAffinity")
        initialAffinity = try affinity?.string("initial")
        finalAffinity = try affinity?.string("final")
    }
}

extension JSONPlace {
    /// A limit of 64 bits without a sign; the largest ones are beyond the library's integers and mean none.
    fileprivate func limit() throws(JSONError) -> UInt64 {
        switch value {
        case .real(let number) where number >= 9.2e18: return .max
        case .integer(-1): return .max
        default: return try integer()
        }
    }
}
