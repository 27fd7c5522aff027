/// What prlimit(2) sets for a process (runtime-spec 1.2 config.md "POSIX process", `rlimits`).
public struct ResourceLimits: Hashable, Sendable {
    public struct Limit: Hashable, Sendable {
        /// RLIMIT_*.
        public let resource: CInt
        /// Such as `RLIMIT_NOFILE`.
        public let name: String
        /// `UInt64.max` for none (RLIM_INFINITY).
        public let soft: UInt64
        public let hard: UInt64
    }

    /// In the order of the configuration.
    public let limits: [Limit]

    public init(
        _ configuration: [ProcessConfiguration.ResourceLimit],
        place: String = "process.rlimits"
    ) throws(ValidationError) {
        var limits: [Limit] = []
        for (index, limit) in configuration.enumerated() {
            let field = "\(place)[\(index)]"
            guard let number = Self.names.firstIndex(of: limit.type) else {
                throw .refused(field: field + ".type", value: limit.type, reason: "there is no such limit")
            }
            guard !limits.contains(where: { $0.name == limit.type }) else {
                throw .refused(field: field + ".type", value: limit.type, reason: "it is there more than once")
            }
            guard limit.soft <= limit.hard else {
                throw .refused(
                    field: field + ".soft",
                    value: "\(limit.soft)",
                    reason: "it is above the hard limit \(limit.hard) of \(limit.type)"
                )
            }
            limits.append(
                Limit(resource: CInt(number), name: limit.type, soft: limit.soft, hard: limit.hard)
            )
        }
        self.limits = limits
    }

    /// By number (`asm-generic/resource.h`, which x86, Arm and RISC-V share).
    public static let names = [
        "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC",
        "RLIMIT_NOFILE", "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE",
        "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
    ]
}
