/// All of a process's configuration that the kernel takes as numbers, read and checked before there is a process.
public struct ProcessSettings: Sendable {
    public let capabilities: Capabilities
    public let resourceLimits: ResourceLimits
    public let scheduler: SchedulerSettings?
    public let ioPriority: IOPrioritySetting?
    /// Before the process is in its cgroup, and after.
    public let initialAffinity: CPUAffinity?
    public let finalAffinity: CPUAffinity?
    /// What goes to `oom_score_adj`.
    public let oomScoreAdjustment: Int32?
    /// Messages about what is left out.
    public let warnings: [String]

    /// `place`: What the fields' names start with: nothing for the file of `exec --process`.
    public init(
        _ process: ProcessConfiguration,
        host: HostFacts,
        place: String = "process"
    ) throws(ValidationError) {
        func field(_ name: String) -> String { place.isEmpty ? name : "\(place).\(name)" }
        guard !process.arguments.isEmpty else {
            throw .missing(field: field("args"), reason: "there is no program to run")
        }
        guard process.workingDirectory.hasPrefix("/") else {
            throw .refused(field: field("cwd"), value: process.workingDirectory, reason: "it is no absolute path")
        }
        for (index, variable) in process.environment.enumerated() {
            guard let separator = variable.utf8.firstIndex(of: UInt8(ascii: "=")), separator != variable.utf8.startIndex
            else {
                throw .refused(
                    field: field("env[\(index)]"),
                    value: variable,
                    reason: "it is not a name, '=' and a value"
                )
            }
        }
        if let label = process.selinuxLabel, !label.isEmpty, !host.hasSELinux {
            throw .refused(field: field("selinuxLabel"), value: label, reason: "this host has no SELinux")
        }
        if let profile = process.appArmorProfile, !profile.isEmpty, profile != "unconfined", !host.hasAppArmor {
            throw .refused(field: field("apparmorProfile"), value: profile, reason: "this host has no AppArmor")
        }
        if let score = process.oomScoreAdjustment, !(-1000...1000).contains(score) {
            throw .refused(field: field("oomScoreAdj"), value: "\(score)", reason: "it is from -1000 to 1000")
        }
        if host.isRootless, let group = process.user.additionalGroups.first {
            throw .refused(
                field: field("user.additionalGids"),
                value: "\(group)",
                reason: "a runtime without the superuser's rights cannot add groups"
            )
        }
        oomScoreAdjustment = process.oomScoreAdjustment
        capabilities =
            if let configuration = process.capabilities {
                try Capabilities(configuration, lastCapability: host.lastCapability, place: field("capabilities"))
            } else { Capabilities() }
        resourceLimits = try ResourceLimits(process.resourceLimits, place: field("rlimits"))
        scheduler =
            if let configuration = process.scheduler {
                try SchedulerSettings(configuration, place: field("scheduler"))
            } else { nil }
        ioPriority =
            if let configuration = process.ioPriority {
                try IOPrioritySetting(configuration, place: field("ioPriority"))
            } else { nil }
        initialAffinity = try CPUAffinity(process.initialAffinity ?? "", place: field("execCPUAffinity.initial"))
        finalAffinity = try CPUAffinity(process.finalAffinity ?? "", place: field("execCPUAffinity.final"))
        warnings = capabilities.warnings
    }
}
