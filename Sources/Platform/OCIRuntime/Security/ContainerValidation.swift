internal import JSON

/// Whether a container can be made of a configuration, as far as that can be said before anything is made.
public enum ContainerValidation {
    /// Checks `configuration` against itself and `host`.
    ///
    /// The filter of system calls is not looked at: making ``SeccompFilter`` is its check.
    /// - Returns: Messages about what will be ignored or is old usage.
    @discardableResult
    public static func validate(_ configuration: Configuration, host: HostFacts) throws(ValidationError) -> [String] {
        var warnings: [String] = []
        guard let major = configuration.version.split(separator: ".").first, major == "1",
            configuration.version.contains(".")
        else {
            throw .refused(
                field: "ociVersion",
                value: configuration.version,
                reason: "versions 1.0.0 to \(FeatureReport.latestVersion) of the specification are known"
            )
        }
        guard !configuration.root.path.isEmpty else {
            throw .refused(field: "root.path", value: "", reason: "it is no path")
        }
        try validateNamespaces(configuration.linux, host: host)
        try validateNames(configuration)
        warnings += try validateMappings(configuration.linux, host: host)
        warnings += try validateMounts(configuration, host: host)
        try validateLinux(configuration.linux, host: host)
        if let process = configuration.process {
            let settings = try ProcessSettings(process, host: host)
            warnings += settings.warnings
            try validateUser(process.user, linux: configuration.linux)
        }
        return warnings
    }

    /// Reads `linux.sysctl`, of which all names are checked.
    public static func sysctls(
        _ linux: LinuxConfiguration,
        host: HostFacts
    ) throws(ValidationError) -> [SysctlSetting] {
        let own = Set(linux.namespaces.filter { !host.isOwn($0) }.map(\.kind))
        var settings: [SysctlSetting] = []
        for (name, value) in linux.sysctl {
            settings.append(try SysctlSetting(name: name, value: value, namespaces: own))
        }
        return settings
    }

    // MARK: Namespaces

    private static func validateNamespaces(_ linux: LinuxConfiguration, host: HostFacts) throws(ValidationError) {
        for (index, namespace) in linux.namespaces.enumerated() {
            let field = "linux.namespaces[\(index)]"
            let kind = namespace.kind
            guard !linux.namespaces.prefix(index).contains(where: { $0.kind == kind }) else {
                throw .refused(field: field + ".type", value: kind.rawValue, reason: "it is there more than once")
            }
            guard host.namespaces.contains(kind) else {
                throw .refused(
                    field: field + ".type",
                    value: kind.rawValue,
                    reason: "this host's kernel has no such namespaces"
                )
            }
            if let path = namespace.path, !path.hasPrefix("/") {
                throw .refused(field: field + ".path", value: path, reason: "it is no absolute path")
            }
        }
        if host.isRootless, linux.namespace(.user) == nil {
            throw .missing(
                field: "linux.namespaces",
                reason: "without the superuser's rights a container needs a user namespace"
            )
        }
        if let offset = linux.timeOffsets.first {
            let field = "linux.timeOffsets"
            guard let namespace = linux.namespace(.time) else {
                throw .refused(field: field, value: offset.clock, reason: "the container has no time namespace")
            }
            guard namespace.path == nil else {
                throw .refused(field: field, value: offset.clock, reason: "the time namespace is joined, not made")
            }
        }
        for offset in linux.timeOffsets {
            guard offset.clock == "monotonic" || offset.clock == "boottime" else {
                throw .refused(
                    field: "linux.timeOffsets",
                    value: offset.clock,
                    reason: "the clocks are monotonic and boottime"
                )
            }
            guard offset.nanoseconds < 1_000_000_000 else {
                throw .refused(
                    field: "linux.timeOffsets.\(offset.clock).nanosecs",
                    value: "\(offset.nanoseconds)",
                    reason: "it is a second or more"
                )
            }
        }
    }

    private static func validateNames(_ configuration: Configuration) throws(ValidationError) {
        let names = [("hostname", configuration.hostname), ("domainname", configuration.domainname)]
        for (field, name) in names {
            guard let name, !name.isEmpty else { continue }
            guard configuration.linux.namespace(.uts) != nil else {
                throw .refused(field: field, value: name, reason: "the container has no uts namespace of its own")
            }
            guard name.utf8.count <= 64 else {
                throw .refused(field: field, value: name, reason: "it is longer than 64 bytes")
            }
        }
    }

    // MARK: Mappings

    private static func validateMappings(
        _ linux: LinuxConfiguration,
        host: HostFacts
    ) throws(ValidationError) -> [String] {
        let maps = [("linux.uidMappings", linux.uidMappings), ("linux.gidMappings", linux.gidMappings)]
        for (field, map) in maps { try validate(map, field: field) }
        guard let namespace = linux.namespace(.user) else {
            for (field, map) in maps {
                guard let mapping = map.first else { continue }
                throw .refused(
                    field: field,
                    value: "\(mapping.containerID) \(mapping.hostID) \(mapping.count)",
                    reason: "the container has no user namespace"
                )
            }
            return []
        }
        guard namespace.path == nil else {
            // Podman writes a mapping that means nothing beside a path, because old runtimes wanted one.
            guard !linux.uidMappings.isEmpty || !linux.gidMappings.isEmpty else { return [] }
            return ["linux.uidMappings and linux.gidMappings are ignored: the user namespace is joined, not made"]
        }
        for (field, map) in maps {
            guard !map.isEmpty else { throw .missing(field: field, reason: "the container's user namespace needs one") }
            guard hostID(of: 0, in: map) != nil else {
                throw .missing(field: field, reason: "nothing is mapped to 0 of the container, its superuser's")
            }
        }
        return []
    }

    private static func validate(_ map: [IdentifierMapping], field: String) throws(ValidationError) {
        // user_namespaces(7).
        guard map.count <= 340 else {
            throw .refused(field: field, value: "\(map.count) mappings", reason: "the kernel takes no more than 340")
        }
        for (index, mapping) in map.enumerated() {
            let field = "\(field)[\(index)]"
            guard mapping.count > 0 else {
                throw .refused(field: field + ".size", value: "0", reason: "it maps nothing")
            }
            let ends = [("containerID", mapping.containerID), ("hostID", mapping.hostID)]
            for (name, start) in ends where UInt64(start) + UInt64(mapping.count) > UInt64(UInt32.max) {
                throw .refused(field: "\(field).\(name)", value: "\(start)", reason: "the range leaves 32 bits")
            }
            for other in map.prefix(index) {
                if overlap(mapping.containerID, other.containerID, mapping.count, other.count) {
                    throw .refused(
                        field: field + ".containerID",
                        value: "\(mapping.containerID)",
                        reason: "the range overlaps another"
                    )
                }
                if overlap(mapping.hostID, other.hostID, mapping.count, other.count) {
                    throw .refused(
                        field: field + ".hostID",
                        value: "\(mapping.hostID)",
                        reason: "the range overlaps another"
                    )
                }
            }
        }
    }

    private static func overlap(_ start: UInt32, _ other: UInt32, _ count: UInt32, _ otherCount: UInt32) -> Bool {
        UInt64(start) < UInt64(other) + UInt64(otherCount) && UInt64(other) < UInt64(start) + UInt64(count)
    }

    /// What stands for a container's identifier on the host; nil where nothing does.
    static func hostID(of identifier: UInt32, in map: [IdentifierMapping]) -> UInt32? {
        for mapping in map where identifier >= mapping.containerID && identifier - mapping.containerID < mapping.count {
            return mapping.hostID &+ (identifier - mapping.containerID)
        }
        return nil
    }

    private static func validateUser(
        _ user: ProcessConfiguration.User,
        linux: LinuxConfiguration
    ) throws(ValidationError) {
        guard let namespace = linux.namespace(.user), namespace.path == nil else { return }
        func check(_ identifier: UInt32, _ map: [IdentifierMapping], _ field: String) throws(ValidationError) {
            guard hostID(of: identifier, in: map) != nil else {
                throw .refused(field: field, value: "\(identifier)", reason: "it is not mapped in the user namespace")
            }
        }
        try check(user.uid, linux.uidMappings, "process.user.uid")
        try check(user.gid, linux.gidMappings, "process.user.gid")
        for (index, group) in user.additionalGroups.enumerated() {
            try check(group, linux.gidMappings, "process.user.additionalGids[\(index)]")
        }
    }
}
