/// Where a container's control group is asked to be (`linux.cgroupsPath`; config-linux.md "Cgroups Path").
public enum CgroupPath: Hashable, Sendable {
    /// From the top of each hierarchy, with a `/` before each name.
    case absolute(String)
    /// Below this process's own group, or on version 2 beside it. `isDefault`: Nothing was asked for.
    case relative(String, isDefault: Bool)

    /// Reads `linux.cgroupsPath`, of which no `..` leads out of the hierarchy.
    ///
    /// Where no path is asked for, the group has the name of the container, `id`.
    public init(_ text: String?, id: String) throws(CgroupError) {
        guard let text, !text.isEmpty else {
            self = .relative(Self.cleaned(id), isDefault: true)
            return
        }
        let clean = Self.cleaned(text)
        self = text.hasPrefix("/") ? .absolute(clean) : .relative(clean, isDefault: false)
        guard !clean.isEmpty else { throw .badPath(text, reason: "it is the top of the hierarchy") }
    }

    /// Reads `slice:prefix:name`, the form of `--systemd-cgroup`, as the place of the unit `prefix-name.scope` in that slice.
    ///
    /// Where none is named the slice is `system.slice`, or for rootless containers `user.slice`.
    public init(systemd text: String?, id: String, isRootless: Bool, host: CgroupHost) throws(CgroupError) {
        let wanted = text ?? ""
        guard host.hasSystemd else { throw .badPath(wanted, reason: "systemd does not run on this host") }
        var fields: [Substring] = ["", "runc", Substring(id)]
        if !wanted.isEmpty {
            fields = wanted.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count == 3 else { throw .badPath(wanted, reason: "it is not of the form slice:prefix:name") }
        }
        guard !fields[2].isEmpty, !wanted.contains("/") else {
            throw .badPath(wanted, reason: "it names no unit of systemd's")
        }
        let slice = fields[0].isEmpty ? (isRootless ? "user.slice" : "system.slice") : fields[0]
        let unit =
            if fields[2].hasSuffix(".slice") { String(fields[2]) } else if fields[1].isEmpty {
                "\(fields[2]).scope"
            } else {
                "\(fields[1])-\(fields[2]).scope"
            }
        self = .absolute(try Self.folder(ofSlice: slice) + "/" + unit)
    }

    /// `a-b.slice` is in `a.slice`; `-.slice` is the top (systemd.slice(5)).
    static func folder(ofSlice slice: Substring) throws(CgroupError) -> String {
        guard slice.hasSuffix(".slice") else { throw .badPath(String(slice), reason: "it is not a slice") }
        let name = slice.dropLast(".slice".count)
        if name == "-" { return "" }
        var folder = ""
        var prefix = ""
        for part in name.split(separator: "-", omittingEmptySubsequences: false) {
            guard !part.isEmpty else { throw .badPath(String(slice), reason: "it is not a slice") }
            prefix += prefix.isEmpty ? part : "-" + part
            folder += "/" + prefix + ".slice"
        }
        return folder
    }

    /// The path with `.`, `..` and empty names resolved as if its start were the top: `/a/b`, or empty for the top.
    static func cleaned(_ path: some StringProtocol) -> String {
        var names: [Substring] = []
        for name in String(path).split(separator: "/") where name != "." {
            if name == ".." { _ = names.popLast() } else { names.append(name) }
        }
        return names.map { "/" + $0 }.joined()
    }

    /// The group's folder in a hierarchy.
    ///
    /// `isBeside`: A relative path starts in the group above this process's own, as a group of version 2 that has processes
    /// can give no controllers to groups below it.
    func folder(in hierarchy: CgroupHost.Hierarchy, isBeside: Bool = false) -> String {
        switch self {
        case .absolute(let path): return hierarchy.mountPoint + path
        case .relative(let path, _):
            var parent = hierarchy.ownPath[...]
            if isBeside { parent = parent[..<(parent.lastIndex(of: "/") ?? parent.startIndex)] }
            return hierarchy.mountPoint + parent + path
        }
    }

    var isDefault: Bool { if case .relative(_, true) = self { true } else { false } }
}
