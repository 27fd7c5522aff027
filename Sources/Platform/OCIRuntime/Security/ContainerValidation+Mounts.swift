internal import JSON

extension ContainerValidation {
    static func validateMounts(_ configuration: Configuration, host: HostFacts) throws(ValidationError) -> [String] {
        var warnings: [String] = []
        for (index, mount) in configuration.mounts.enumerated() {
            let field = "mounts[\(index)]"
            guard !mount.destination.isEmpty else {
                throw .refused(field: field + ".destination", value: "", reason: "it is no path")
            }
            if !mount.destination.hasPrefix("/") {
                warnings.append(
                    "\(field).destination is '\(mount.destination)': a relative path is taken as one below /"
                )
            }
            let options = MountOptions(options: mount.options, type: mount.type)
            if options.isBind, !options.data.isEmpty {
                warnings.append("\(field).options: ignoring '\(options.data)', which means nothing to a bind mount")
            }
            try validateMapping(of: mount, options: options, configuration: configuration, host: host, field: field)
            if host.isRootless {
                try validateOwners(options.data, linux: configuration.linux, field: field + ".options")
            }
        }
        return warnings
    }

    private static func validateMapping(
        of mount: MountConfiguration,
        options: MountOptions,
        configuration: Configuration,
        host: HostFacts,
        field: String
    ) throws(ValidationError) {
        let hasMappings = !mount.uidMappings.isEmpty || !mount.gidMappings.isEmpty
        guard hasMappings || options.isIdmapped else { return }
        guard options.isBind else {
            throw .refused(
                field: field + ".type",
                value: mount.type ?? "",
                reason: "only bind mounts can have mappings of owners"
            )
        }
        guard !host.isRootless else {
            throw .refused(
                field: field,
                value: mount.destination,
                reason: "mapping a mount's owners needs the superuser's rights"
            )
        }
        guard mount.uidMappings.isEmpty == mount.gidMappings.isEmpty else {
            let lacking = mount.uidMappings.isEmpty ? "uidMappings" : "gidMappings"
            throw .missing(
                field: "\(field).\(lacking)",
                reason: "a mount has mappings of both users and groups, or none"
            )
        }
        guard hasMappings || configuration.linux.namespace(.user) != nil else {
            throw .missing(
                field: field + ".uidMappings",
                reason: "the container has no user namespace whose mappings the mount could have"
            )
        }
    }

    /// Checks that `uid=` and `gid=` name identifiers that the user namespace has.
    private static func validateOwners(_ data: String, linux: LinuxConfiguration, field: String) throws(ValidationError)
    {
        guard linux.namespace(.user)?.path == nil else { return }
        for option in data.split(separator: ",") {
            let map: [IdentifierMapping]
            if option.hasPrefix("uid=") {
                map = linux.uidMappings
            } else if option.hasPrefix("gid=") {
                map = linux.gidMappings
            } else {
                continue
            }
            guard let identifier = UInt32(option.dropFirst(4)), hostID(of: identifier, in: map) != nil else {
                throw .refused(field: field, value: String(option), reason: "it is not mapped in the user namespace")
            }
        }
    }

    static func validateLinux(_ linux: LinuxConfiguration, host: HostFacts) throws(ValidationError) {
        if linux.namespace(.mount) == nil {
            for (field, paths) in [("maskedPaths", linux.maskedPaths), ("readonlyPaths", linux.readonlyPaths)] {
                guard let path = paths.first else { continue }
                throw .refused(
                    field: "linux.\(field)",
                    value: path,
                    reason: "the container has no mount namespace of its own"
                )
            }
        }
        if let propagation = linux.rootfsPropagation, !propagation.isEmpty,
            MountOptions.propagation(named: propagation) == nil
        {
            throw .refused(
                field: "linux.rootfsPropagation",
                value: propagation,
                reason: "it is shared, slave, private or unbindable, or one of these after an r"
            )
        }
        for (index, device) in linux.devices.enumerated() {
            let field = "linux.devices[\(index)]"
            guard device.path.hasPrefix("/") else {
                throw .refused(field: field + ".path", value: device.path, reason: "it is no absolute path")
            }
            guard device.kind != .fifo else { continue }
            // 12 bits and 20 (makedev(3), as the kernel keeps it).
            guard (0..<4096).contains(device.major) else {
                throw .refused(field: field + ".major", value: "\(device.major)", reason: "it is from 0 to 4095")
            }
            guard (0..<1_048_576).contains(device.minor) else {
                throw .refused(field: field + ".minor", value: "\(device.minor)", reason: "it is from 0 to 1048575")
            }
        }
        if let file = linux.resources?.unified.first, !host.hasUnifiedCgroups {
            throw .refused(
                field: "linux.resources.unified",
                value: file.name,
                reason: "this host's cgroups are not of version 2"
            )
        }
        if let personality = linux.personality { _ = try PersonalitySetting(personality) }
        _ = try sysctls(linux, host: host)
        if let control = linux.intelRDT { try validate(control, host: host) }
    }

    /// Checks `linux.intelRdt`.
    private static func validate(_ control: JSON, host: HostFacts) throws(ValidationError) {
        guard host.hasResourceControl else {
            throw .refused(
                field: "linux.intelRdt",
                value: control.text(),
                reason: "this host has no resource control of the processor's (resctrl)"
            )
        }
        if case .string(let name)? = control["closID"],
            name == "." || name == ".." || name.contains("/") || name.isEmpty
        {
            throw .refused(field: "linux.intelRdt.closID", value: name, reason: "it is no name of a class")
        }
    }
}
