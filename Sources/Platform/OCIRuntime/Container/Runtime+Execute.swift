internal import CContainer
internal import Glibc
public import JSON
internal import SystemCalls

/// What `exec` is told.
public struct ExecuteOptions: Sendable {
    /// The process, as `process` of a configuration; what it does not say is the container's own.
    public var process: JSON
    public var consoleSocket: String?
    public var pidFile: String?
    public var preservedCount: UInt32 = 0
    /// A group below the container's, by controller or for all.
    public var subgroup = ""
    public var ignoresPaused = false

    public init(process: JSON) { self.process = process }
}

extension Runtime {
    /// The container's own process, from which `exec` takes what it is not told.
    public func processConfiguration(_ id: String) throws(RuntimeError) -> JSON {
        try RuntimeError.wrap { () throws(ContainerError) in
            let folder = try ContainerFolder.find(id, below: root)
            guard let bytes = HostText.bytes(folder.configurationPath), let document = try? JSON(parsing: bytes),
                let process = document["process"]
            else { throw .refused("\(folder.configurationPath): process is missing") }
            return process
        }
    }

    /// Starts another process in a container that runs.
    ///
    /// - Returns: The process, a child of this one, which has become its program.
    public func execute(_ id: String, _ options: ExecuteOptions) throws(RuntimeError) -> Int32 {
        try RuntimeError.wrap { () throws(ContainerError) in
            let folder = try ContainerFolder.find(id, below: root)
            let container = try folder.load()
            let status = status(of: container, folder)
            guard status != .stopped else { throw .refused("cannot exec in a stopped container") }
            guard status != .paused || options.ignoresPaused else {
                throw .refused("cannot exec in a paused container")
            }
            let configuration = try folder.loadConfiguration()
            let process: ProcessConfiguration
            do throws(JSONError) { process = try ProcessConfiguration(JSONPlace(options.process)) } catch {
                throw .refused("\(error)")
            }
            guard process.hasTerminal == (options.consoleSocket != nil) else {
                throw .refused(
                    process.hasTerminal
                        ? "cannot allocate tty if runc will detach without setting console socket"
                        : "cannot use console socket if runc will not detach or allocate tty"
                )
            }
            let settings: ProcessSettings
            let filter: SeccompFilter?
            do throws(ValidationError) {
                settings = try ProcessSettings(process, host: host, place: "")
                filter = try Self.filter(configuration)
            } catch {
                throw .refused("\(error)")
            }
            for line in settings.warnings { warn(line) }
            var surroundings = PlanSurroundings(root: "/")
            surroundings.preservedCount = options.preservedCount
            surroundings.isRootless = host.isRootless
            var console: FileDescriptor?
            if let path = options.consoleSocket { console = try Self.connect(path) }
            surroundings.consoleSocket = console?.rawValue ?? -1
            var plan = LaunchPlan()
            plan.joined = Self.namespaces(of: container.process)
            plan.steps = [.sync(.cgroup), .newSession]
            if let score = settings.oomScoreAdjustment {
                plan.steps.append(.write(path: "/proc/self/oom_score_adj", text: "\(score)"))
            }
            if process.hasTerminal {
                let size = process.consoleSize ?? (0, 0)
                plan.steps.append(
                    .console(
                        socket: surroundings.consoleSocket,
                        rows: size.height,
                        columns: size.width,
                        isDevice: false,
                        uid: process.user.uid
                    )
                )
            }
            plan.steps += try ContainerPlanner.processSteps(process, settings, filter, surroundings, [])
            let number = try Launch.run(plan) { (_, process) throws(ContainerError) in
                guard !container.cgroups.isEmpty else { return }
                try withCgroup(container) { (group) throws(CgroupError) in
                    try group.add(process, below: options.subgroup)
                }
            }
            if let path = options.pidFile { try HostText.replace(path, "\(number)", mode: 0o644) }
            return number
        }
    }

    /// The namespaces of a process that are not this one's own, in the order in which they are joined.
    private static func namespaces(of process: Int32) -> [(path: String, flag: Int32)] {
        let kinds: [(name: String, flag: Int32)] = [
            ("user", 0x1000_0000), ("pid", 0x2000_0000), ("net", 0x4000_0000), ("ipc", 0x0800_0000),
            ("uts", 0x0400_0000),
            ("cgroup", 0x0200_0000), ("time", 0x80), ("mnt", 0x0002_0000),
        ]
        return kinds.compactMap { kind in
            var theirs = stat()
            var ours = stat()
            let path = "/proc/\(process)/ns/\(kind.name)"
            guard unsafe stat(path, &theirs) == 0, unsafe stat("/proc/self/ns/\(kind.name)", &ours) == 0,
                theirs.st_ino != ours.st_ino || theirs.st_dev != ours.st_dev
            else { return nil }
            return (path, kind.flag)
        }
    }
}
