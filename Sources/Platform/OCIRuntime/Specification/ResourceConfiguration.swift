public import JSON

/// What a container may use (`linux.resources`; what `update` gets); nil leaves a limit as it is.
public struct ResourceConfiguration: Sendable {
    public struct DeviceRule: Hashable, Sendable {
        public var isAllowed: Bool
        /// `a`, `b` or `c`.
        public var type: Character
        /// Nil for all.
        public var major: Int64?
        public var minor: Int64?
        /// Of `r`, `w` and `m`.
        public var access: String
    }

    public struct Memory: Sendable {
        /// Bytes; -1 for no limit.
        public var limit: Int64?
        public var reservation: Int64?
        public var swap: Int64?
        public var kernel: Int64?
        public var kernelTCP: Int64?
        public var swappiness: UInt64?
        public var disablesOOMKiller: Bool?
        public var usesHierarchy: Bool?
        public var checksBeforeUpdate: Bool?
    }

    public struct CPU: Sendable {
        public var shares: UInt64?
        /// Microseconds.
        public var quota: Int64?
        public var burst: UInt64?
        public var period: UInt64?
        public var realtimeRuntime: Int64?
        public var realtimePeriod: UInt64?
        public var cpus: String?
        public var memoryNodes: String?
        public var idle: Int64?
    }

    public struct BlockIO: Sendable {
        public struct Throttle: Hashable, Sendable {
            public var major: Int64
            public var minor: Int64
            public var rate: UInt64
        }
        public struct Weight: Hashable, Sendable {
            public var major: Int64
            public var minor: Int64
            public var weight: UInt16?
            public var leafWeight: UInt16?
        }
        public var weight: UInt16?
        public var leafWeight: UInt16?
        public var weights: [Weight]
        public var readBytesPerSecond: [Throttle]
        public var writeBytesPerSecond: [Throttle]
        public var readOperationsPerSecond: [Throttle]
        public var writeOperationsPerSecond: [Throttle]
    }

    public var devices: [DeviceRule]
    public var memory: Memory?
    public var cpu: CPU?
    /// The most processes; 0 or less for no limit.
    public var processLimit: Int64?
    public var blockIO: BlockIO?
    /// By page size, such as `2MB`.
    public var hugePageLimits: [(pageSize: String, limit: UInt64)]
    public var networkClassID: UInt32?
    public var networkPriorities: [(name: String, priority: UInt32)]
    /// By device, limits of handles and objects.
    public var rdma: [(device: String, handles: UInt32?, objects: UInt32?)]
    /// Files of cgroup v2 and what is written to them.
    public var unified: [(name: String, value: String)]

    public init(_ place: JSONPlace) throws(JSONError) {
        devices = try place.list("devices") { (place) throws(JSONError) in
            let type = try place.string("type") ?? "a"
            guard let kind = type.first, type.count == 1, "abc".contains(kind) else {
                throw .badValue(place: place.path + ".type", value: type, expected: "a, b or c")
            }
            let access = try place.string("access") ?? "rwm"
            guard access.allSatisfy({ "rwm".contains($0) }) else {
                throw .badValue(place: place.path + ".access", value: access, expected: "of r, w and m")
            }
            func number(_ name: String) throws(JSONError) -> Int64? {
                guard let number: Int64 = try place.integer(name), number >= 0 else { return nil }
                return number
            }
            return DeviceRule(
                isAllowed: try place.required("allow").bool(),
                type: kind,
                major: try number("major"),
                minor: try number("minor"),
                access: access
            )
        }
        memory = if let found = try place.member("memory") { try Memory(found) } else { nil }
        cpu = if let found = try place.member("cpu") { try CPU(found) } else { nil }
        processLimit = try place.member("pids")?.integer("limit")
        blockIO = if let found = try place.member("blockIO") { try BlockIO(found) } else { nil }
        hugePageLimits = []
        for place in try place.member("hugepageLimits")?.array() ?? [] {
            hugePageLimits.append((try place.required("pageSize").string(), try place.required("limit").integer()))
        }
        let network = try place.member("network")
        networkClassID = try network?.integer("classID")
        networkPriorities = []
        for place in try network?.member("priorities")?.array() ?? [] {
            networkPriorities.append((try place.required("name").string(), try place.required("priority").integer()))
        }
        rdma = []
        for (device, place) in try place.member("rdma")?.members() ?? [] {
            rdma.append((device, try place.integer("hcaHandles"), try place.integer("hcaObjects")))
        }
        unified = try place.table("unified")
    }
}

extension ResourceConfiguration.Memory {
    init(_ place: JSONPlace) throws(JSONError) {
        limit = try place.integer("limit")
        reservation = try place.integer("reservation")
        swap = try place.integer("swap")
        kernel = try place.integer("kernel")
        kernelTCP = try place.integer("kernelTCP")
        swappiness = try place.integer("swappiness")
        disablesOOMKiller = try place.bool("disableOOMKiller")
        usesHierarchy = try place.bool("useHierarchy")
        checksBeforeUpdate = try place.bool("checkBeforeUpdate")
    }
}

extension ResourceConfiguration.CPU {
    init(_ place: JSONPlace) throws(JSONError) {
        shares = try place.integer("shares")
        quota = try place.integer("quota")
        burst = try place.integer("burst")
        period = try place.integer("period")
        realtimeRuntime = try place.integer("realtimeRuntime")
        realtimePeriod = try place.integer("realtimePeriod")
        cpus = try place.string("cpus")
        memoryNodes = try place.string("mems")
        idle = try place.integer("idle")
    }
}

extension ResourceConfiguration.BlockIO {
    init(_ place: JSONPlace) throws(JSONError) {
        func throttles(_ name: String) throws(JSONError) -> [Throttle] {
            try place.list(name) { (place) throws(JSONError) in
                Throttle(
                    major: try place.required("major").integer(),
                    minor: try place.required("minor").integer(),
                    rate: try place.required("rate").integer()
                )
            }
        }
        weight = try place.integer("weight")
        leafWeight = try place.integer("leafWeight")
        weights = try place.list("weightDevice") { (place) throws(JSONError) in
            Weight(
                major: try place.required("major").integer(),
                minor: try place.required("minor").integer(),
                weight: try place.integer("weight"),
                leafWeight: try place.integer("leafWeight")
            )
        }
        readBytesPerSecond = try throttles("throttleReadBpsDevice")
        writeBytesPerSecond = try throttles("throttleWriteBpsDevice")
        readOperationsPerSecond = try throttles("throttleReadIOPSDevice")
        writeOperationsPerSecond = try throttles("throttleWriteIOPSDevice")
    }
}
