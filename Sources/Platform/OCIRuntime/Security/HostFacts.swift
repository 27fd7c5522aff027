internal import Glibc

/// What a host has of that which a configuration may ask for.
public struct HostFacts: Sendable {
    /// The kinds of namespaces that its kernel knows.
    public var namespaces: Set<LinuxConfiguration.Namespace.Kind>
    public var lastCapability: Int
    public var hasSELinux: Bool
    public var hasAppArmor: Bool
    /// Whether the processor's resource control is there and mounted.
    public var hasResourceControl: Bool
    /// Whether all controllers are in one tree (cgroup v2).
    public var hasUnifiedCgroups: Bool
    /// Whether the runtime runs as another user than the superuser.
    public var isRootless: Bool
    /// Whether a namespace that is joined by its path is the runtime's own.
    public var isOwn: @Sendable (LinuxConfiguration.Namespace) -> Bool

    public init(
        namespaces: Set<LinuxConfiguration.Namespace.Kind> = Set(LinuxConfiguration.Namespace.Kind.allCases),
        lastCapability: Int = Capabilities.names.count - 1,
        hasSELinux: Bool = false,
        hasAppArmor: Bool = false,
        hasResourceControl: Bool = false,
        hasUnifiedCgroups: Bool = true,
        isRootless: Bool = false,
        isOwn: @escaping @Sendable (LinuxConfiguration.Namespace) -> Bool = { _ in false }
    ) {
        self.namespaces = namespaces
        self.lastCapability = lastCapability
        self.hasSELinux = hasSELinux
        self.hasAppArmor = hasAppArmor
        self.hasResourceControl = hasResourceControl
        self.hasUnifiedCgroups = hasUnifiedCgroups
        self.isRootless = isRootless
        self.isOwn = isOwn
    }

    /// Looks at the host that this runs on.
    public static func current() -> HostFacts {
        func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }
        return HostFacts(
            namespaces: Set(LinuxConfiguration.Namespace.Kind.allCases.filter { exists($0.ownPath) }),
            lastCapability: start(of: "/proc/sys/kernel/cap_last_cap").flatMap { Int($0) } ?? Capabilities.names.count
                - 1,
            hasSELinux: exists("/sys/fs/selinux/enforce"),
            hasAppArmor: start(of: "/sys/module/apparmor/parameters/enabled") == "Y",
            hasResourceControl: exists("/sys/fs/resctrl/info"),
            hasUnifiedCgroups: exists("/sys/fs/cgroup/cgroup.controllers"),
            isRootless: geteuid() != 0,
            isOwn: { namespace in
                guard let path = namespace.path else { return false }
                var own = stat()
                var other = stat()
                guard unsafe stat(namespace.kind.ownPath, &own) == 0, unsafe stat(path, &other) == 0 else {
                    return false
                }
                return own.st_dev == other.st_dev && own.st_ino == other.st_ino
            }
        )
    }

    /// The first line of a small file.
    private static func start(of path: String) -> String? {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = unsafe read(file, &bytes, bytes.count)
        guard count > 0 else { return nil }
        return String(decoding: bytes.prefix(count).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }
}

extension LinuxConfiguration.Namespace.Kind {
    /// The calling process's own namespace of that kind (namespaces(7)).
    public var ownPath: String {
        switch self {
        case .network: "/proc/self/ns/net"
        case .mount: "/proc/self/ns/mnt"
        default: "/proc/self/ns/" + rawValue
        }
    }
}
