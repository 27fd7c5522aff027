/// What sched_setattr(2) sets for a process (runtime-spec 1.2 config.md "Linux Process", `scheduler`).
public struct SchedulerSettings: Hashable, Sendable {
    /// A `struct sched_attr` of 56 bytes (`linux/sched/types.h`), its size included.
    public let attributes: [UInt8]

    public init(
        _ configuration: ProcessConfiguration.Scheduler,
        place: String = "process.scheduler"
    ) throws(ValidationError) {
        guard let policy = Self.policies.first(where: { $0.name == configuration.policy }) else {
            throw .refused(field: place + ".policy", value: configuration.policy, reason: "there is no such policy")
        }
        let isFair = policy.name == "SCHED_OTHER" || policy.name == "SCHED_BATCH"
        let isRealTime = policy.name == "SCHED_FIFO" || policy.name == "SCHED_RR"
        let isDeadline = policy.name == "SCHED_DEADLINE"
        guard !isFair || (-20...19).contains(configuration.nice) else {
            throw .refused(
                field: place + ".nice",
                value: "\(configuration.nice)",
                reason: "with \(policy.name) it is from -20 to 19"
            )
        }
        let priorities: ClosedRange<Int32> = isRealTime ? 1...99 : 0...0
        guard priorities.contains(configuration.priority) else {
            throw .refused(
                field: place + ".priority",
                value: "\(configuration.priority)",
                reason: isRealTime ? "with \(policy.name) it is from 1 to 99" : "\(policy.name) has none"
            )
        }
        let times = [
            ("runtime", configuration.runtime), ("deadline", configuration.deadline), ("period", configuration.period),
        ]
        for (name, time) in times where !isDeadline && time != 0 {
            throw .refused(field: "\(place).\(name)", value: "\(time)", reason: "only SCHED_DEADLINE has it")
        }
        if isDeadline {
            // sched(7): runtime <= deadline <= period, where a period of 0 is the deadline.
            let period = configuration.period == 0 ? configuration.deadline : configuration.period
            guard configuration.runtime <= configuration.deadline else {
                throw .refused(
                    field: place + ".runtime",
                    value: "\(configuration.runtime)",
                    reason: "it is more than the deadline \(configuration.deadline)"
                )
            }
            guard configuration.deadline <= period else {
                throw .refused(
                    field: place + ".deadline",
                    value: "\(configuration.deadline)",
                    reason: "it is more than the period \(period)"
                )
            }
        }
        var flags: UInt64 = 0
        for (index, name) in configuration.flags.enumerated() {
            guard let bit = Self.flags.firstIndex(of: name) else {
                throw .refused(field: "\(place).flags[\(index)]", value: name, reason: "there is no such flag")
            }
            flags |= 1 << UInt64(bit)
        }
        var bytes: [UInt8] = []
        func append(_ value: some FixedWidthInteger) {
            unsafe withUnsafeBytes(of: value) { unsafe bytes.append(contentsOf: $0) }
        }
        append(UInt32(56))
        append(policy.number)
        append(flags)
        append(configuration.nice)
        append(configuration.priority)
        append(configuration.runtime)
        append(configuration.deadline)
        append(configuration.period)
        // Bounds of utilization, which the specification has no field for.
        append(UInt64(0))
        attributes = bytes
    }

    /// `linux/sched.h`.
    private static let policies: [(name: String, number: UInt32)] = [
        ("SCHED_OTHER", 0), ("SCHED_FIFO", 1), ("SCHED_RR", 2), ("SCHED_BATCH", 3), ("SCHED_ISO", 4), ("SCHED_IDLE", 5),
        ("SCHED_DEADLINE", 6),
    ]

    /// By bit (`linux/sched.h`).
    private static let flags = [
        "SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_KEEP_POLICY",
        "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MAX",
    ]
}

/// What ioprio_set(2) sets for a process (runtime-spec 1.2 config.md "Linux Process", `ioPriority`).
public struct IOPrioritySetting: Hashable, Sendable {
    /// The class in bits 15:13, the priority below.
    public let word: UInt16

    public init(
        _ configuration: ProcessConfiguration.IOPriority,
        place: String = "process.ioPriority"
    ) throws(ValidationError) {
        let classes = ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"]
        guard let index = classes.firstIndex(of: configuration.class) else {
            throw .refused(field: place + ".class", value: configuration.class, reason: "there is no such class")
        }
        guard (0...7).contains(configuration.priority) else {
            throw .refused(field: place + ".priority", value: "\(configuration.priority)", reason: "it is from 0 to 7")
        }
        word = UInt16(index + 1) << 13 | UInt16(configuration.priority)
    }
}

/// What personality(2) sets for a process (runtime-spec 1.2 config-linux.md "Personality").
public struct PersonalitySetting: Hashable, Sendable {
    /// PER_LINUX or PER_LINUX32.
    public let domain: UInt32

    public init(
        _ configuration: LinuxConfiguration.Personality,
        place: String = "linux.personality"
    ) throws(ValidationError) {
        switch configuration.domain {
        case "LINUX": domain = 0
        case "LINUX32": domain = 8
        default: throw .refused(field: place + ".domain", value: configuration.domain, reason: "it is LINUX or LINUX32")
        }
        if let flag = configuration.flags.first {
            throw .refused(field: place + ".flags", value: flag, reason: "there is no flag of a personality to set")
        }
    }
}
