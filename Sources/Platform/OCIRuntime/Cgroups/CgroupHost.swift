internal import Glibc

/// The control-group hierarchies of a host, and where this process is in them.
public struct CgroupHost: Sendable {
    public enum Mode: Sendable {
        /// Hierarchies of version 1 alone.
        case legacy
        /// Version 1 for the controllers, version 2 without any beside it.
        case hybrid
        /// Version 2 alone.
        case unified
    }

    /// One mounted hierarchy.
    public struct Hierarchy: Hashable, Sendable {
        /// Those of version 1 that it has, such as `cpu` and `cpuacct`, or `name=systemd`; none for version 2.
        public var controllers: [String]
        public var mountPoint: String
        /// This process's group, as a path below the mount point; empty at the top.
        public var ownPath: String

        public init(controllers: [String], mountPoint: String, ownPath: String) {
            self.controllers = controllers
            self.mountPoint = mountPoint
            self.ownPath = ownPath
        }
    }

    /// Those of version 1.
    public var hierarchies: [Hierarchy]
    /// That of version 2.
    public var unified: Hierarchy?
    /// Whether systemd runs here, as `sd_booted(3)` tells it.
    public var hasSystemd: Bool
    public var mode: Mode { hierarchies.isEmpty ? .unified : unified == nil ? .legacy : .hybrid }

    public init(hierarchies: [Hierarchy], unified: Hierarchy?, hasSystemd: Bool = false) {
        self.hierarchies = hierarchies
        self.unified = unified
        self.hasSystemd = hasSystemd
    }

    /// Finds the hierarchies that are mounted at or below `root`.
    public static func detect(root: String = "/sys/fs/cgroup") throws(CgroupError) -> CgroupHost {
        var host = try CgroupHost(
            mountInfo: CgroupDirectory.contents(of: "/proc/self/mountinfo"),
            membership: CgroupDirectory.contents(of: "/proc/self/cgroup"),
            root: root
        )
        var status = stat()
        host.hasSystemd = unsafe lstat("/run/systemd/system", &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
        return host
    }

    /// The same from the texts of `/proc/self/mountinfo` and `/proc/self/cgroup` (proc(5), cgroups(7)).
    public init(mountInfo: String, membership: String, root: String) throws(CgroupError) {
        let own = Self.groups(in: membership)
        hierarchies = []
        hasSystemd = false
        for line in mountInfo.split(separator: "\n") {
            guard let mount = Mount(line), mount.point == root || mount.point.hasPrefix(root + "/") else { continue }
            if mount.type == "cgroup2" {
                // What is mounted last hides what is below it.
                guard unified == nil || unified?.mountPoint == mount.point else { continue }
                unified = Hierarchy(
                    controllers: [],
                    mountPoint: mount.point,
                    ownPath: mount.path(of: own.first { $0.controllers.isEmpty }?.path ?? "/")
                )
            } else if mount.type == "cgroup" {
                let named = own.first { group in
                    !group.controllers.isEmpty && group.controllers.allSatisfy { mount.options.contains($0) }
                }
                guard let named else { continue }
                hierarchies.removeAll { $0.mountPoint == mount.point }
                guard !hierarchies.contains(where: { $0.controllers == named.controllers }) else { continue }
                hierarchies.append(
                    Hierarchy(
                        controllers: named.controllers,
                        mountPoint: mount.point,
                        ownPath: mount.path(of: named.path)
                    )
                )
            }
        }
        guard unified != nil || !hierarchies.isEmpty else { throw .noHierarchy(root: root) }
    }

    /// The lines `hierarchy:controllers:path` of `/proc/PID/cgroup`; version 2's has no controllers.
    static func groups(in membership: String) -> [(controllers: [String], path: String)] {
        membership.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { return nil }
            return (fields[1].split(separator: ",").map(String.init), String(fields[2]))
        }
    }

    /// The hierarchy of version 1 that has the controller.
    func hierarchy(of controller: String) -> Hierarchy? { hierarchies.first { $0.controllers.contains(controller) } }
}

/// A line of `/proc/self/mountinfo`.
private struct Mount {
    /// What of the file system is seen at the mount point.
    var root: String
    var point: String
    var type: String
    var options: [String]

    init?(_ line: Substring) {
        let fields = line.split(separator: " ")
        guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count >= dash + 4 else { return nil }
        root = Self.unescaped(fields[3])
        point = Self.unescaped(fields[4])
        type = String(fields[dash + 1])
        options = fields[dash + 3].split(separator: ",").map(String.init)
    }

    /// A group's path in the hierarchy as a path below the mount point.
    ///
    /// In a container the mount shows only a part of the hierarchy; a group outside of it is taken for that part's top.
    func path(of group: String) -> String {
        let clean = CgroupPath.cleaned(group)
        guard !group.hasPrefix("/..") else { return "" }
        let top = CgroupPath.cleaned(root)
        if top.isEmpty { return clean }
        guard clean == top || clean.hasPrefix(top + "/") else { return "" }
        return String(clean.dropFirst(top.count))
    }

    /// White space and backslashes are written as three octal digits.
    private static func unescaped(_ field: Substring) -> String {
        guard field.utf8.contains(UInt8(ascii: "\\")) else { return String(field) }
        var bytes: [UInt8] = []
        var rest = field.utf8[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
