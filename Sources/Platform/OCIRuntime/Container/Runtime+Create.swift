internal import CContainer
internal import Glibc
internal import JSON
internal import SystemCalls

/// What `create` and `run` are told beside the bundle.
public struct CreateOptions: Sendable {
    public var bundle: String
    public var consoleSocket: String?
    public var pidFile: String?
    public var usesNoPivot = false
    public var preservedCount: UInt32 = 0

    public init(bundle: String) { self.bundle = bundle }
}

extension Runtime {
    /// Makes a container whose process waits for ``start(_:)``.
    ///
    /// - Returns: The process, a child of this one.
    @discardableResult
    public func create(_ id: String, _ options: CreateOptions) throws(RuntimeError) -> Int32 {
        try RuntimeError.wrap { () throws(ContainerError) in try make(id, options) }
    }

    private func make(_ id: String, _ options: CreateOptions) throws(ContainerError) -> Int32 {
        let bundle = try Self.absolute(options.bundle)
        let configurationFile = bundle + "/config.json"
        let configuration = try ContainerFolder.readConfiguration(configurationFile)
        guard let process = configuration.process else {
            throw .refused("process is missing: there is no program to run")
        }
        let plannerParts = try check(configuration, process)
        let isConsoleWanted = process.hasTerminal
        guard isConsoleWanted == (options.consoleSocket != nil) else {
            throw .refused(
                isConsoleWanted
                    ? "cannot allocate tty if runc will detach without setting console socket"
                    : "cannot use console socket if runc will not detach or allocate tty"
            )
        }
        let rootPath = try Self.absolute(
            configuration.root.path.hasPrefix("/") ? configuration.root.path : bundle + "/" + configuration.root.path
        )
        let folder = try ContainerFolder.make(id, below: root)
        var container = SavedContainer(
            id: id,
            bundle: bundle,
            root: rootPath,
            created: Self.timestamp(),
            owner: geteuid(),
            annotations: configuration.annotations
        )
        container.isRootless = host.isRootless
        var group: (any ControlGroup)?
        do throws(ContainerError) {
            if let bytes = HostText.bytes(configurationFile) {
                try HostText.replace(folder.configurationPath, String(decoding: bytes, as: UTF8.self))
            }
            var made = try makeGroup(configuration, id)
            container.cgroups = made.paths
            try folder.save(container)
            do throws(CgroupError) {
                try made.create()
                group = made
                if let resources = configuration.linux.resources {
                    for line in try made.apply(resources) { warn(line) }
                }
            } catch {
                throw .refused("\(error)")
            }
            let process = try launch(configuration, process, plannerParts, options, folder, &container, made)
            if let path = options.pidFile { try HostText.replace(path, "\(process)", mode: 0o644) }
            return process
        } catch {
            if container.process > 0 {
                _ = Glibc.kill(container.process, SIGKILL)
                Launch.reap(container.process)
            }
            if let group { try? group.delete() }
            try? folder.remove()
            throw error
        }
    }

    private struct Parts {
        var settings: ProcessSettings
        var filter: SeccompFilter?
        var sysctls: [SysctlSetting]
    }

    /// Everything that can be refused before anything is made.
    private func check(_ configuration: Configuration, _ process: ProcessConfiguration) throws(ContainerError) -> Parts
    {
        do throws(ValidationError) {
            for line in try ContainerValidation.validate(configuration, host: host) { warn(line) }
            let settings = try ProcessSettings(process, host: host)
            let sysctls = try ContainerValidation.sysctls(configuration.linux, host: host)
            return Parts(settings: settings, filter: try Self.filter(configuration), sysctls: sysctls)
        } catch {
            throw .refused("\(error)")
        }
    }

    static func filter(_ configuration: Configuration) throws(ValidationError) -> SeccompFilter? {
        guard let seccomp = configuration.linux.seccomp else { return nil }
        do throws(SeccompError) { return try SeccompFilter(configuration: seccomp) } catch {
            throw .refused(field: "linux.seccomp", value: "the filter", reason: "\(error)")
        }
    }

    private func makeGroup(_ configuration: Configuration, _ id: String) throws(ContainerError) -> any ControlGroup {
        do throws(CgroupError) {
            let groups = try CgroupHost.detect()
            let text = configuration.linux.cgroupsPath
            let path =
                usesSystemdCgroup
                ? try CgroupPath(systemd: text, id: id, isRootless: host.isRootless, host: groups)
                : try CgroupPath(text, id: id)
            return groups.controlGroup(at: path, isRootless: host.isRootless)
        } catch {
            throw .refused("\(error)")
        }
    }

    private func launch(
        _ configuration: Configuration,
        _ process: ProcessConfiguration,
        _ parts: Parts,
        _ options: CreateOptions,
        _ folder: ContainerFolder,
        _ container: inout SavedContainer,
        _ group: any ControlGroup
    ) throws(ContainerError) -> Int32 {
        let listener = FileDescriptor(
            owning: socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        )
        var address = folder.socketAddress()
        let isListening = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(listener.rawValue, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard isListening == 0, listen(listener.rawValue, 1) == 0 else {
            throw .failed(action: "make \(folder.socketPath)", errno: errno)
        }
        var surroundings = PlanSurroundings(root: container.root)
        surroundings.startSocket = listener.rawValue
        surroundings.preservedCount = options.preservedCount
        surroundings.isRootless = host.isRootless
        if options.usesNoPivot { surroundings.rootChange = .move }
        surroundings.state = Self.hookState(container, .created)
        (surroundings.cgroups, surroundings.cgroupLinks) = Self.mountedGroups(container.cgroups)
        var console: FileDescriptor?
        if let path = options.consoleSocket { console = try Self.connect(path) }
        surroundings.consoleSocket = console?.rawValue ?? -1
        let planner = ContainerPlanner(
            configuration: configuration,
            settings: parts.settings,
            filter: parts.filter,
            sysctls: parts.sysctls,
            surroundings: surroundings
        )
        let plan = try planner.plan(process)
        container.namespaces = plan.made
        var known = container
        let number = try Launch.run(plan) { (point, process) throws(ContainerError) in
            switch point {
            case .cgroup:
                do throws(CgroupError) { try group.add(process) } catch { throw .refused("\(error)") }
                known.process = process
                known.startTime = HostProcess.facts(of: process)?.startTime ?? 0
                try folder.save(known)
            case .hooks:
                let state = Self.hookState(known, .created)
                for hook in configuration.hooks.prestart + configuration.hooks.createRuntime {
                    try Self.run(hook, state)
                }
            }
        }
        container = known
        container.process = number
        container.startTime = HostProcess.facts(of: number)?.startTime ?? 0
        try folder.save(container)
        return number
    }

    // MARK: Parts

    static func run(_ hook: HookConfiguration.Hook, _ state: String) throws(ContainerError) {
        try Program.run(
            hook.path,
            Array(hook.arguments.dropFirst()),
            name: hook.arguments.first,
            environment: hook.environment,
            input: state,
            timeout: hook.timeout ?? 0
        )
    }

    static func hookState(_ container: SavedContainer, _ status: ContainerStatus) -> String {
        state(container, status).text()
    }

    /// The hierarchies of v1 as a mount shows them, and the other names of those with several controllers.
    private static func mountedGroups(
        _ paths: [String: String]
    ) -> (hierarchies: [(name: String, folder: String)], links: [(name: String, target: String)]) {
        if paths.count == 1, let only = paths[""] { return ([("", only)], []) }
        guard let host = try? CgroupHost.detect() else { return ([], []) }
        var hierarchies: [(name: String, folder: String)] = []
        var links: [(name: String, target: String)] = []
        for hierarchy in host.hierarchies {
            guard let name = hierarchy.mountPoint.split(separator: "/").last.map({ String($0) }),
                let folder = hierarchy.controllers.lazy.compactMap({ paths[$0] }).first
            else { continue }
            hierarchies.append((name, folder))
            for controller in hierarchy.controllers where controller != name && !controller.hasPrefix("name=") {
                links.append((controller, name))
            }
        }
        return (hierarchies, links)
    }

    static func connect(_ path: String) throws(ContainerError) -> FileDescriptor {
        let number = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard number >= 0 else { throw .failed(action: "make a socket", errno: errno) }
        let plug = FileDescriptor(owning: number)
        // A path longer than an address is reached through its folder.
        let slash = path.lastIndex(of: "/")
        let parent = slash.map { String(path[..<$0]) } ?? "."
        let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
        let folder = unsafe open(parent.isEmpty ? "/" : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw .failed(action: "open \(parent)", errno: errno) }
        defer { close(folder) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array("/proc/self/fd/\(folder)/\(name)".utf8)
        guard bytes.count < 108 else { throw .refused("\(path): the name of the socket is too long") }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.connect(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw .failed(action: "connect to \(path)", errno: errno) }
        return plug
    }

    static func absolute(_ path: String) throws(ContainerError) -> String {
        guard let found = unsafe realpath(path, nil) else { throw .failed(action: "find \(path)", errno: errno) }
        defer { unsafe free(found) }
        return unsafe String(cString: found)
    }

    /// The time now (RFC 3339, UTC, nanoseconds).
    public static func timestamp() -> String {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        func padded(_ number: some BinaryInteger, _ width: Int) -> String {
            let digits = "\(number)"
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let (days, second) = (now.tv_sec / 86400, now.tv_sec % 86400)
        // Years that begin with March end with the day that only some of them have.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let part = (5 * dayOfYear + 2) / 153
        let month = part < 10 ? part + 3 : part - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let date = "\(year)-\(padded(month, 2))-\(padded(dayOfYear - (153 * part + 2) / 5 + 1, 2))"
        let time = "\(padded(second / 3600, 2)):\(padded(second / 60 % 60, 2)):\(padded(second % 60, 2))"
        return "\(date)T\(time).\(padded(now.tv_nsec, 9))Z"
    }
}
