internal import Glibc

/// A container's control group, in all hierarchies of the host that it is in.
///
/// The order of a start: `paths` are saved, ``create()``, ``apply(_:)``, ``add(_:below:)``. What a killed runtime leaves is
/// deleted by the saved paths: ``CgroupHost/controlGroup(saved:isRootless:)``.
public protocol ControlGroup: Sendable {
    /// The folders by controller, as they are saved in the container's state; version 2's is under the empty name.
    var paths: [String: String] { get }

    /// Makes the group in all hierarchies; if that fails, nothing is left of it.
    ///
    /// Without the rights to make the group that nobody asked for, a rootless container goes without; ``apply(_:)`` then
    /// refuses limits.
    /// - Throws: ``CgroupError/notEmpty(path:processCount:)`` or ``CgroupError/frozen(path:)`` where a group is there already
    ///   that is not fresh.
    mutating func create() throws(CgroupError)

    /// Moves a process into the group, or by controller into groups `below` it; the empty name is for all not named.
    /// - Throws: ``CgroupError/badPath(_:reason:)`` for a controller that the group has not.
    func add(_ pid: Int32, below: [String: String]) throws(CgroupError)

    /// Moves a process into the group, or where that gives controllers to groups below it and so takes none, into the one
    /// below it that `member` is in.
    func add(_ pid: Int32, beside member: Int32) throws(CgroupError)

    /// Sets all limits and the device rules, with the devices that every container has.
    /// - Returns: What could not be set and is not needed, a sentence each.
    func apply(_ resources: ResourceConfiguration) throws(CgroupError) -> [String]

    /// Sets the limits that are given and leaves all others and the device rules.
    func update(_ resources: ResourceConfiguration) throws(CgroupError) -> [String]

    /// Stops all processes, and returns when they are stopped.
    func freeze() throws(CgroupError)
    func thaw() throws(CgroupError)
    var isFrozen: Bool { get throws(CgroupError) }

    /// The processes of this group and of all below it, as this process's namespace numbers them.
    func processes() throws(CgroupError) -> [Int32]

    /// Sends a signal to all processes; frozen ones are thawed for SIGKILL.
    func killAll(signal: Int32) throws(CgroupError)

    func statistics() throws(CgroupError) -> CgroupStatistics

    /// Watches for processes that the kernel kills for want of memory.
    func oomEvents() throws(CgroupError) -> OOMEvents

    /// Deletes the group and all below it, wherever it still is.
    func delete() throws(CgroupError)
}

extension ControlGroup {
    public func add(_ pid: Int32) throws(CgroupError) { try add(pid, below: [:]) }
    public func add(_ pid: Int32, below path: String) throws(CgroupError) { try add(pid, below: ["": path]) }
}

extension CgroupHost {
    /// The group of that path, which need not be there yet.
    ///
    /// `isRootless`: Device rules are left alone, and a group that cannot be made is done without if nobody asked for it.
    public func controlGroup(at path: CgroupPath, isRootless: Bool = false) -> any ControlGroup {
        if let unified, hierarchies.isEmpty {
            return UnifiedControlGroup(
                path: path.folder(in: unified, isBeside: true),
                mountPoint: unified.mountPoint,
                isOptional: isRootless && path.isDefault,
                isRootless: isRootless
            )
        }
        var paths: [String: String] = [:]
        for hierarchy in hierarchies {
            for controller in hierarchy.controllers { paths[controller] = path.folder(in: hierarchy) }
        }
        if let unified { paths[""] = path.folder(in: unified) }
        return LegacyControlGroup(
            host: self,
            paths: paths,
            isOptional: isRootless && path.isDefault,
            isRootless: isRootless
        )
    }

    /// The group whose ``ControlGroup/paths`` were saved; those that are in no hierarchy of this host are left out.
    public func controlGroup(saved paths: [String: String], isRootless: Bool = false) -> any ControlGroup {
        let mountPoints = (hierarchies + [unified].compactMap { $0 }).map(\.mountPoint)
        let paths = paths.filter { _, path in
            CgroupPath.cleaned(path) == path && mountPoints.contains { path == $0 || path.hasPrefix($0 + "/") }
        }
        if hierarchies.isEmpty, let unified {
            return UnifiedControlGroup(
                path: paths[""] ?? "",
                mountPoint: unified.mountPoint,
                isOptional: false,
                isRootless: isRootless
            )
        }
        return LegacyControlGroup(host: self, paths: paths, isOptional: false, isRootless: isRootless)
    }
}

/// Sends `signal` to all that `processes` lists, until it lists none that has not had it.
func signalAll(
    _ signal: Int32,
    listed processes: () throws(CgroupError) -> [Int32]
) throws(CgroupError) {
    var done: Set<Int32> = []
    var failure: CgroupError?
    // A process may fork between the list and its signal; what is frozen cannot.
    for _ in 0..<32 {
        let new = try processes().filter { !done.contains($0) }
        if new.isEmpty { break }
        for pid in new {
            done.insert(pid)
            if kill(pid, signal) != 0, errno != ESRCH {
                failure = .signalRefused(pid: pid, signal: signal, errno: errno)
            }
        }
    }
    if let failure { throw failure }
}
