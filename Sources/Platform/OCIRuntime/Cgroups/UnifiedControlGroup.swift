internal import Glibc

/// A group of version 2 (Linux: Documentation/admin-guide/cgroup-v2.rst).
struct UnifiedControlGroup: ControlGroup {
    let mountPoint: String
    /// Whether the container starts also where the group cannot be made.
    let isOptional: Bool
    let isRootless: Bool
    private var path: String
    /// Why a controller could not be given to the group.
    private var withheld: [String: String] = [:]

    init(path: String, mountPoint: String, isOptional: Bool, isRootless: Bool) {
        self.path = path
        self.mountPoint = mountPoint
        self.isOptional = isOptional
        self.isRootless = isRootless
    }

    var paths: [String: String] { path.isEmpty ? [:] : ["": path] }

    /// The group's folder.
    /// - Throws: ``CgroupError/controllerAbsent(_:reason:)`` where there is none.
    func directory(for limit: String) throws(CgroupError) -> CgroupDirectory {
        guard !path.isEmpty else { throw .controllerAbsent(limit, reason: withheld[""]) }
        return CgroupDirectory(path)
    }

    /// The group's folder, if it has the controller.
    func directory(_ controller: String) throws(CgroupError) -> CgroupDirectory {
        let directory = try directory(for: controller)
        guard Self.words(directory, "cgroup.controllers").contains(controller) else {
            throw .controllerAbsent(controller, reason: withheld[controller])
        }
        return directory
    }

    private static func words(_ directory: CgroupDirectory, _ file: String) -> [String] {
        (directory.readIfPresent(file) ?? "").split(separator: " ").map(String.init)
    }

    // MARK: Making

    mutating func create() throws(CgroupError) {
        let directory = CgroupDirectory(path)
        if directory.exists {
            let count = try directory.processes().count
            guard count == 0 else { throw .notEmpty(path: path, processCount: count) }
            if try isFrozen { throw .frozen(path: path) }
        }
        do throws(CgroupError) {
            var refusals: [String: String] = [:]
            _ = try directory.create(below: mountPoint) { ancestor in
                for (name, reason) in Self.delegate(ancestor) { refusals[name] = reason }
            }
            withheld = refusals
        } catch {
            guard isOptional, case .cannotCreate(_, let cause) = error, [EACCES, EPERM, EROFS].contains(cause) else {
                throw error
            }
            withheld[""] = "\(error)"
            path = ""
        }
    }

    /// Gives the groups below all controllers of this one.
    /// - Returns: Those that cannot be given, and why.
    private static func delegate(_ directory: CgroupDirectory) -> [(name: String, reason: String)] {
        let given = words(directory, "cgroup.subtree_control")
        let missing = words(directory, "cgroup.controllers").filter { !given.contains($0) }
        guard !missing.isEmpty else { return [] }
        let all = missing.map { "+" + $0 }.joined(separator: " ")
        if (try? directory.write(all, to: "cgroup.subtree_control")) != nil { return [] }
        return missing.compactMap { name in
            do throws(CgroupError) {
                try directory.write("+" + name, to: "cgroup.subtree_control")
                return nil
            } catch { return (name, "\(error)") }
        }
    }

    func add(_ pid: Int32, below: [String: String]) throws(CgroupError) {
        if let (controller, path) = below.first(where: { !$0.key.isEmpty }) {
            throw .badPath(path, reason: "version 2 has no control group of \(controller) alone")
        }
        guard !path.isEmpty else { return }
        let directory = CgroupDirectory(path + CgroupPath.cleaned(below[""] ?? ""))
        try directory.write("\(pid)", to: "cgroup.procs")
    }

    func add(_ pid: Int32, beside member: Int32) throws(CgroupError) {
        do throws(CgroupError) { try add(pid, below: [:]) } catch {
            guard case .refused(_, _, let cause) = error, cause == EBUSY,
                let membership = try? CgroupDirectory.contents(of: "/proc/\(member)/cgroup"),
                let group = CgroupHost.groups(in: membership).first(where: { $0.controllers.isEmpty })
            else { throw error }
            let place = mountPoint + CgroupPath.cleaned(group.path)
            guard place.hasPrefix(path + "/") else { throw error }
            try CgroupDirectory(place).write("\(pid)", to: "cgroup.procs")
        }
    }

    func delete() throws(CgroupError) {
        guard !path.isEmpty else { return }
        try CgroupDirectory(path).delete()
    }

    // MARK: Processes

    func processes() throws(CgroupError) -> [Int32] { path.isEmpty ? [] : try CgroupDirectory(path).processes() }

    func freeze() throws(CgroupError) {
        let directory = try directory(for: "freezer")
        try directory.write("1", to: "cgroup.freeze")
        var pause: UInt32 = 100
        var waited: UInt32 = 0
        while waited < 5_000_000 {
            if directory.table("cgroup.events").contains(where: { $0 == ("frozen", 1) }) { return }
            usleep(pause)
            waited += pause
            pause = min(pause * 2, 10_000)
        }
        try directory.write("0", to: "cgroup.freeze")
        throw .stuck(path: path, wanted: "frozen")
    }

    /// Processes run from now on; `cgroup.events` may still say otherwise while some of them end.
    func thaw() throws(CgroupError) { try directory(for: "freezer").write("0", to: "cgroup.freeze") }

    var isFrozen: Bool {
        get throws(CgroupError) {
            guard !path.isEmpty else { return false }
            return CgroupDirectory(path).readIfPresent("cgroup.freeze") == "1"
        }
    }

    func killAll(signal: Int32) throws(CgroupError) {
        let directory = CgroupDirectory(path)
        guard !path.isEmpty, directory.exists else { return }
        let wasFrozen = try isFrozen
        if signal == SIGKILL, (try? directory.write("1", to: "cgroup.kill")) != nil {
            // The kernel kills frozen ones too; the group shall not stay frozen.
            if wasFrozen { try thaw() }
            return
        }
        if !wasFrozen { try? freeze() }
        var failure: CgroupError?
        do throws(CgroupError) {
            try signalAll(signal) { () throws(CgroupError) in try directory.processes() }
        } catch { failure = error }
        if !wasFrozen || signal == SIGKILL { try thaw() }
        if let failure { throw failure }
    }

    func oomEvents() throws(CgroupError) -> OOMEvents { try OOMEvents(unified: directory("memory")) }
}
