internal import Glibc

/// What the steps of a container are made from, beside its configuration: descriptors and names that only the host knows.
struct PlanSurroundings: Sendable {
    /// The root file system's absolute path.
    var root: String
    /// Where the start is awaited, for a container that is created first.
    var startSocket: Int32 = -1
    /// Where a terminal's other end goes.
    var consoleSocket: Int32 = -1
    var seccompListener: Int32 = -1
    /// Descriptors above the three standard ones that the program keeps.
    var preservedCount: UInt32 = 0
    var rootChange = Step.RootChange.pivot
    var isRootless = false
    /// The hierarchies that a mount of type `cgroup` shows: their mount points' last component and the container's folder in each; one
    /// without a name for cgroup v2.
    var cgroups: [(name: String, folder: String)] = []
    /// Other names of hierarchies: `cpu` for `cpu,cpuacct`.
    var cgroupLinks: [(name: String, target: String)] = []
    /// The JSON state for hooks.
    var state = ""
    /// What seccomp's listener is told.
    var seccompState = ""
    /// Maps of the user namespace, where the container joins one by path.
    var joinsUserNamespace = false
}

/// Turns a configuration, which was validated, into the steps of its process; a pure function.
struct ContainerPlanner {
    let configuration: Configuration
    let settings: ProcessSettings
    let filter: SeccompFilter?
    let sysctls: [SysctlSetting]
    let surroundings: PlanSurroundings

    private var linux: LinuxConfiguration { configuration.linux }
    private func isNew(_ kind: LinuxConfiguration.Namespace.Kind) -> Bool {
        linux.namespace(kind).map { $0.path == nil } ?? false
    }
    private var hasUserNamespace: Bool { linux.namespace(.user) != nil }

    /// The plan of a container's first process.
    func plan(_ process: ProcessConfiguration) throws(ContainerError) -> LaunchPlan {
        var plan = LaunchPlan()
        // The user namespace first: it has the rights over the others.
        for kind in Self.order {
            guard let namespace = linux.namespace(kind) else { continue }
            if let path = namespace.path {
                plan.joined.append((path, Self.flag(kind)))
            } else if kind != .cgroup {
                plan.made |= UInt64(UInt32(bitPattern: Self.flag(kind)))
            }
        }
        plan.uidMap = linux.uidMappings
        plan.gidMap = linux.gidMappings
        if isNew(.time) {
            plan.timeOffsets = linux.timeOffsets.map { "\($0.clock) \($0.seconds) \($0.nanoseconds)\n" }.joined()
        }
        plan.steps = try steps(process)
        return plan
    }

    private static let order: [LinuxConfiguration.Namespace.Kind] = [
        .user, .pid, .network, .ipc, .uts, .cgroup, .time, .mount,
    ]

    static func flag(_ kind: LinuxConfiguration.Namespace.Kind) -> Int32 {
        switch kind {
        case .pid: 0x2000_0000
        case .network: 0x4000_0000
        case .mount: 0x0002_0000
        case .ipc: 0x0800_0000
        case .uts: 0x0400_0000
        case .user: 0x1000_0000
        case .cgroup: 0x0200_0000
        case .time: 0x80
        }
    }

    // MARK: Steps

    private func steps(_ process: ProcessConfiguration) throws(ContainerError) -> [Step] {
        var steps: [Step] = [.sync(.cgroup), .newSession]
        if isNew(.cgroup) { steps.append(.unshare(namespaces: UInt64(Self.flag(.cgroup)))) }
        if let score = settings.oomScoreAdjustment {
            steps.append(.write(path: "/proc/self/oom_score_adj", text: "\(score)"))
        }
        if isNew(.network) { steps.append(.loopback) }
        if let hostname = configuration.hostname { steps.append(.hostname(hostname)) }
        if let name = configuration.domainname { steps.append(.domainname(name)) }
        let changesMounts = linux.namespace(.mount) != nil
        if changesMounts {
            steps.append(.propagation(path: "/", flags: try rootPropagation(before: true)))
            steps.append(.root(path: surroundings.root, isMounted: false))
            for (index, mount) in configuration.mounts.enumerated() { steps += try self.steps(mount, index) }
            steps += deviceSteps(process)
            steps.append(.sync(.hooks))
            steps += hookSteps(configuration.hooks.createContainer)
            steps.append(.changeRoot(surroundings.rootChange))
        } else {
            steps.append(.root(path: surroundings.root, isMounted: true))
            steps.append(.sync(.hooks))
            steps += hookSteps(configuration.hooks.createContainer)
            steps.append(.changeRoot(.chroot))
        }
        if process.hasTerminal {
            let size = process.consoleSize ?? (0, 0)
            steps.append(
                .console(
                    socket: surroundings.consoleSocket,
                    rows: size.height,
                    columns: size.width,
                    isDevice: changesMounts,
                    uid: process.user.uid
                )
            )
        }
        for setting in sysctls { steps.append(.write(path: "/proc/sys/" + setting.path, text: setting.value)) }
        if changesMounts {
            for path in linux.readonlyPaths { steps.append(.makeReadOnly(place: path)) }
            for path in linux.maskedPaths { steps.append(.mask(place: path)) }
            let late = try rootPropagation(before: false)
            if late != 0 { steps.append(.propagation(path: "/", flags: late)) }
            if configuration.root.isReadOnly { steps.append(.rootReadOnly) }
        }
        return steps
            + (try Self.processSteps(
                process,
                settings,
                filter,
                surroundings,
                hookSteps(configuration.hooks.startContainer)
            ))
    }

    /// The steps from the finished surroundings of a process to its program.
    static func processSteps(
        _ process: ProcessConfiguration,
        _ settings: ProcessSettings,
        _ filter: SeccompFilter?,
        _ surroundings: PlanSurroundings,
        _ startHooks: [Step],
        personality: UInt32? = nil
    ) throws(ContainerError) -> [Step] {
        var steps: [Step] = []
        for limit in settings.resourceLimits.limits {
            steps.append(.limit(resource: limit.resource, name: limit.name, soft: limit.soft, hard: limit.hard))
        }
        if let scheduler = settings.scheduler { steps.append(.scheduler(scheduler.attributes)) }
        if let priority = settings.ioPriority { steps.append(.ioPriority(priority.word)) }
        if let affinity = settings.finalAffinity { steps.append(.affinity(affinity.mask)) }
        if let personality { steps.append(.personality(personality)) }
        if let profile = process.appArmorProfile, !profile.isEmpty {
            steps.append(.write(path: "/proc/self/attr/apparmor/exec", text: "exec \(profile)"))
        }
        if let label = process.selinuxLabel, !label.isEmpty {
            steps.append(.write(path: "/proc/self/attr/exec", text: label))
        }
        let filterStep = filter.map { filter in
            Step.filter(
                program: filter.program,
                flags: filter.flags,
                listener: surroundings.seccompListener,
                text: surroundings.seccompState
            )
        }
        let user = process.user
        // A filter needs CAP_SYS_ADMIN or no new privileges: with the latter it comes last, so that it sees least of this.
        if process.noNewPrivileges {
            steps.append(.noNewPrivileges)
        } else if let filterStep {
            steps.append(filterStep)
        }
        if process.capabilities != nil { steps.append(.bounding(settings.capabilities.bounding)) }
        steps.append(.folder(process.workingDirectory, makes: true))
        if !surroundings.isRootless || !user.additionalGroups.isEmpty { steps.append(.groups(user.additionalGroups)) }
        steps.append(.user(uid: user.uid, gid: user.gid))
        if process.capabilities != nil {
            let set = settings.capabilities
            steps.append(
                .capabilities(effective: set.effective, permitted: set.permitted, inheritable: set.inheritable)
            )
            steps.append(.ambient(set.ambient))
        }
        if let mask = user.umask { steps.append(.umask(mask)) }
        steps.append(.find(arguments: process.arguments, environment: process.environment))
        steps.append(.closeDescriptors(from: 3 + surroundings.preservedCount))
        if surroundings.startSocket >= 0 { steps.append(.awaitStart(socket: surroundings.startSocket)) }
        steps += startHooks
        if process.noNewPrivileges, let filterStep { steps.append(filterStep) }
        steps.append(.execute(arguments: process.arguments, environment: process.environment))
        return steps
    }

    private func hookSteps(_ hooks: [HookConfiguration.Hook]) -> [Step] {
        hooks.map { hook in
            .hook(
                path: hook.path,
                arguments: hook.arguments.isEmpty ? [hook.path] : hook.arguments,
                environment: hook.environment,
                input: surroundings.state,
                timeout: hook.timeout ?? 0
            )
        }
    }

    /// How mounts spread: while the container is made nothing goes to the host, and after that it is as the configuration says.
    private func rootPropagation(before: Bool) throws(ContainerError) -> UInt {
        guard let name = linux.rootfsPropagation, !name.isEmpty else {
            return before ? UInt(MS_SLAVE) | UInt(MS_REC) : 0
        }
        guard let flags = MountOptions.propagation(named: name) else {
            throw .refused("linux.rootfsPropagation is '\(name)', which is no propagation")
        }
        if before {
            return flags & UInt(MS_PRIVATE) != 0 ? UInt(MS_PRIVATE) | UInt(MS_REC) : UInt(MS_SLAVE) | UInt(MS_REC)
        }
        return flags
    }

    // MARK: Devices

    private static let defaultDevices: [(name: String, minor: Int64, major: Int64)] = [
        ("null", 3, 1), ("zero", 5, 1), ("full", 7, 1), ("random", 8, 1), ("urandom", 9, 1), ("tty", 0, 5),
    ]

    private func deviceSteps(_ process: ProcessConfiguration) -> [Step] {
        // A host's own /dev that is bound is left as it is.
        guard !configuration.mounts.contains(where: { Self.cleaned($0.destination) == "/dev" && $0.type == "bind" })
        else { return [] }
        var steps: [Step] = []
        let own = Set(linux.devices.map { Self.cleaned($0.path) })
        for device in Self.defaultDevices where !own.contains("/dev/" + device.name) {
            steps += node("/dev/" + device.name, S_IFCHR | 0o666, device.major, device.minor, 0, 0)
        }
        for device in linux.devices {
            let type =
                switch device.kind {
                case .character, .unbuffered: S_IFCHR
                case .block: S_IFBLK
                case .fifo: S_IFIFO
                }
            steps += node(device.path, type | device.mode & 0o7777, device.major, device.minor, device.uid, device.gid)
        }
        let links = [
            ("/proc/self/fd", "/dev/fd"), ("/proc/self/fd/0", "/dev/stdin"), ("/proc/self/fd/1", "/dev/stdout"),
            ("/proc/self/fd/2", "/dev/stderr"), ("pts/ptmx", "/dev/ptmx"),
        ]
        for (target, place) in links { steps.append(.symbolicLink(target: target, place: place)) }
        return steps
    }

    private func node(
        _ path: String,
        _ mode: UInt32,
        _ major: Int64,
        _ minor: Int64,
        _ uid: UInt32,
        _ gid: UInt32
    ) -> [Step] {
        if hasUserNamespace, mode & S_IFMT != S_IFIFO {
            return [.bind(Step.Bind(source: path, place: path, isRecursive: false))]
        }
        let (major, minor) = (UInt64(bitPattern: major), UInt64(bitPattern: minor))
        let device = minor & 0xFF | (major & 0xFFF) << 8 | (minor & ~0xFF) << 12 | (major & ~0xFFF) << 32
        return [.node(place: path, mode: mode, device: device, uid: uid, gid: gid)]
    }

    // MARK: Mounts

    private func steps(_ mount: MountConfiguration, _ index: Int) throws(ContainerError) -> [Step] {
        let options = MountOptions(options: mount.options, type: mount.type)
        let place = Self.cleaned(mount.destination)
        var steps: [Step] = []
        if mount.type == "cgroup" {
            steps = cgroupSteps(place, options)
        } else if options.isBind {
            guard let source = mount.source else {
                throw .refused("mounts[\(index)].source is missing: a bind mount needs one")
            }
            var bind = Step.Bind(source: source, place: place, isRecursive: options.flags & UInt(MS_REC) != 0)
            bind.set = Self.attributes(options.flags) | options.recursiveSet
            bind.clear = Self.attributes(options.clearedFlags) | options.recursiveClear
            bind.hasRecursiveAttributes = options.hasRecursiveAttributes
            if bind.set & UInt64(MOUNT_ATTR__ATIME) != 0 { bind.clear |= UInt64(MOUNT_ATTR__ATIME) }
            steps.append(.bind(bind))
        } else {
            let type = mount.type ?? ""
            // What a mount of a kernel's file system must not be: it is no program's or device's place.
            steps.append(
                .mount(
                    source: mount.source ?? type,
                    place: place,
                    type: type,
                    flags: options.flags & ~UInt(MS_REC),
                    data: options.data
                )
            )
        }
        if !options.propagation.isEmpty { steps.append(.placePropagation(place: place, flags: options.propagation)) }
        return steps
    }

    /// A mount of type `cgroup`: on v1 a tmpfs with one folder a hierarchy, on v2 the container's own part.
    private func cgroupSteps(_ place: String, _ options: MountOptions) -> [Step] {
        if surroundings.cgroups.count == 1, surroundings.cgroups[0].name.isEmpty {
            if linux.namespace(.cgroup) != nil {
                return [
                    .mount(
                        source: "cgroup",
                        place: place,
                        type: "cgroup2",
                        flags: options.flags & ~UInt(MS_REC),
                        data: ""
                    )
                ]
            }
            return [
                .bind(
                    Step.Bind(
                        source: surroundings.cgroups[0].folder,
                        place: place,
                        isRecursive: true,
                        set: Self.attributes(options.flags)
                    )
                )
            ]
        }
        var steps: [Step] = [
            .mount(
                source: "tmpfs",
                place: place,
                type: "tmpfs",
                flags: UInt(MS_NOEXEC) | UInt(MS_NOSUID) | UInt(MS_NODEV),
                data: "mode=755"
            )
        ]
        for hierarchy in surroundings.cgroups {
            steps.append(
                .bind(
                    Step.Bind(
                        source: hierarchy.folder,
                        place: place + "/" + hierarchy.name,
                        isRecursive: true,
                        set: Self.attributes(options.flags)
                    )
                )
            )
        }
        for link in surroundings.cgroupLinks {
            steps.append(.symbolicLink(target: link.target, place: place + "/" + link.name))
        }
        if options.isReadOnly { steps.append(.makeReadOnly(place: place)) }
        return steps
    }

    /// MOUNT_ATTR_* of MS_*.
    static func attributes(_ flags: UInt) -> UInt64 {
        let pairs: [(UInt, UInt64)] = [
            (UInt(MS_RDONLY), 0x1), (UInt(MS_NOSUID), 0x2), (UInt(MS_NODEV), 0x4), (UInt(MS_NOEXEC), 0x8),
            (UInt(MS_NOATIME), 0x10), (UInt(MS_STRICTATIME), 0x20), (UInt(MS_NODIRATIME), 0x80),
        ]
        return pairs.reduce(0) { flags & $1.0 != 0 ? $0 | $1.1 : $0 }
    }

    /// A path from the root, without `.` and doubled slashes; `..` is left to be resolved within the root.
    static func cleaned(_ path: String) -> String {
        "/" + path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }
}
