internal import Glibc

/// A group in each of version 1's hierarchies, and in version 2's where that is mounted beside them.
struct LegacyControlGroup: ControlGroup {
    let host: CgroupHost
    private(set) var paths: [String: String]
    /// Whether the container starts also where the group cannot be made.
    let isOptional: Bool
    let isRootless: Bool
    /// Why a controller's group could not be made.
    private var withheld: [String: String] = [:]

    init(host: CgroupHost, paths: [String: String], isOptional: Bool, isRootless: Bool) {
        self.host = host
        self.paths = paths
        self.isOptional = isOptional
        self.isRootless = isRootless
    }

    /// Each folder once: controllers that are mounted together share one.
    private var folders: [String] { Set(paths.values).sorted() }

    /// The folder of a controller's group.
    /// - Throws: ``CgroupError/controllerAbsent(_:reason:)``.
    func directory(_ controller: String) throws(CgroupError) -> CgroupDirectory {
        guard let path = paths[controller] else { throw .controllerAbsent(controller, reason: withheld[controller]) }
        return CgroupDirectory(path)
    }

    /// The folder whose processes are the container's.
    private var members: CgroupDirectory? {
        for controller in ["devices", "pids", "freezer", "memory"] {
            if let path = paths[controller] { return CgroupDirectory(path) }
        }
        return folders.first.map { CgroupDirectory($0) }
    }

    // MARK: Making

    mutating func create() throws(CgroupError) {
        if let members, members.exists {
            let count = try members.processes().count
            guard count == 0 else { throw .notEmpty(path: members.path, processCount: count) }
        }
        if let path = paths["freezer"], try isFrozen { throw .frozen(path: path) }
        var made: [CgroupDirectory] = []
        for hierarchy in host.hierarchies + [host.unified].compactMap({ $0 }) {
            let names = hierarchy.controllers.isEmpty ? [""] : hierarchy.controllers
            guard let path = names.compactMap({ paths[$0] }).first else { continue }
            let directory = CgroupDirectory(path)
            let isCPUSet = hierarchy.controllers.contains("cpuset")
            do throws(CgroupError) {
                made += try directory.create(below: hierarchy.mountPoint) { ancestor in
                    if isCPUSet, ancestor.path != hierarchy.mountPoint { Self.inheritCPUSet(ancestor) }
                }
                if isCPUSet { Self.inheritCPUSet(directory) }
            } catch {
                // What the runtime does without: a group that nobody asked for, and version 2's, which has no limits.
                if isOptional || hierarchy.controllers.isEmpty, case .cannotCreate(_, let cause) = error,
                    [EACCES, EPERM, EROFS].contains(cause)
                {
                    for name in names {
                        paths[name] = nil
                        withheld[name] = "\(error)"
                    }
                    continue
                }
                for directory in made.reversed() { _ = unsafe rmdir(directory.path) }
                throw error
            }
        }
    }

    /// Gives a group that has no processors or no memory nodes those of the group above it: it can hold no process without.
    private static func inheritCPUSet(_ directory: CgroupDirectory) {
        let parent = CgroupDirectory(directory / "..")
        for file in ["cpuset.cpus", "cpuset.mems"] where directory.readIfPresent(file) == "" {
            // Where this fails, adding a process says so.
            if let value = parent.readIfPresent(file) { try? directory.write(value, to: file) }
        }
    }

    func add(_ pid: Int32, beside member: Int32) throws(CgroupError) { try add(pid, below: [:]) }

    func add(_ pid: Int32, below: [String: String]) throws(CgroupError) {
        for (controller, path) in below where !controller.isEmpty && paths[controller] == nil {
            throw .badPath(path, reason: "the container is in no control group of \(controller)")
        }
        let places = paths.map { controller, path in
            path + CgroupPath.cleaned(below[controller] ?? below[""] ?? "")
        }
        for path in Set(places).sorted() {
            let directory = CgroupDirectory(path)
            var attempts = 5
            while true {
                do throws(CgroupError) {
                    try directory.write("\(pid)", to: "cgroup.procs")
                    break
                } catch {
                    // A process that is just being made cannot be moved yet.
                    attempts -= 1
                    guard case .refused(_, _, let cause) = error, cause == EINVAL, attempts > 0 else { throw error }
                    usleep(30_000)
                }
            }
        }
    }

    func delete() throws(CgroupError) {
        var failure: CgroupError?
        for folder in folders {
            do throws(CgroupError) { try CgroupDirectory(folder).delete() } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }

    // MARK: Processes

    func processes() throws(CgroupError) -> [Int32] { try members?.processes() ?? [] }

    func freeze() throws(CgroupError) {
        let directory = try directory("freezer")
        for attempt in 0..<1000 {
            if attempt % 50 == 49 {
                // Two processes that wait for each other may never both stop; another try finds them elsewhere.
                try directory.write("THAWED", to: "freezer.state")
                usleep(10_000)
            }
            try directory.write("FROZEN", to: "freezer.state")
            if attempt % 25 == 24 { usleep(10) }
            let state = try directory.read("freezer.state")
            if state == "FROZEN" { return }
            guard state == "FREEZING" else { throw .unexpected(path: directory / "freezer.state", text: state) }
            usleep(attempt < 10 ? 100 : 1000)
        }
        try directory.write("THAWED", to: "freezer.state")
        throw .stuck(path: directory.path, wanted: "frozen")
    }

    func thaw() throws(CgroupError) { try directory("freezer").write("THAWED", to: "freezer.state") }

    var isFrozen: Bool {
        get throws(CgroupError) {
            guard let path = paths["freezer"] else { return false }
            let state = CgroupDirectory(path).readIfPresent("freezer.state")
            return state == "FROZEN" || state == "FREEZING"
        }
    }

    func killAll(signal: Int32) throws(CgroupError) {
        guard let members, members.exists else { return }
        let wasFrozen = try isFrozen
        let freezes = paths["freezer"] != nil
        // What is frozen cannot fork while it is listed; without a freezer the list is read again.
        if freezes, !wasFrozen { try? freeze() }
        var failure: CgroupError?
        do throws(CgroupError) {
            try signalAll(signal) { () throws(CgroupError) in try members.processes() }
        } catch { failure = error }
        if freezes, !wasFrozen || signal == SIGKILL { try thaw() }
        if let failure { throw failure }
    }

    func oomEvents() throws(CgroupError) -> OOMEvents { try OOMEvents(legacy: directory("memory")) }
}
