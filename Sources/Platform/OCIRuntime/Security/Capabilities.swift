/// The capability sets of a process as the kernel's masks (capabilities(7)); bit N is the capability of number N.
public struct Capabilities: Hashable, Sendable {
    public private(set) var bounding: UInt64 = 0
    public private(set) var effective: UInt64 = 0
    public private(set) var inheritable: UInt64 = 0
    public private(set) var permitted: UInt64 = 0
    public private(set) var ambient: UInt64 = 0

    /// Messages about names that were left out.
    public private(set) var warnings: [String] = []

    /// No capability at all, which is what a process without `capabilities` gets.
    public init() {}

    /// Turns names into masks.
    ///
    /// Names that are none, or that a kernel lacks whose last capability is `lastCapability`, are left out with a warning.
    /// So are ambient ones that are not both permitted and inheritable, since the kernel would not raise them, and
    /// configurations with such (that of `runc spec`, too) are in use.
    /// - Throws: for effective ones that are not permitted, and inheritable ones outside of the bounding set.
    public init(
        _ configuration: ProcessConfiguration.Capabilities,
        lastCapability: Int = names.count - 1,
        place: String = "process.capabilities"
    ) throws(ValidationError) {
        var unknown: [String] = []
        func mask(_ list: [String]) -> UInt64 {
            var mask: UInt64 = 0
            for name in list {
                if let number = Self.number(of: name), number <= lastCapability {
                    mask |= 1 << UInt64(number)
                } else if !unknown.contains(name) {
                    unknown.append(name)
                }
            }
            return mask
        }
        bounding = mask(configuration.bounding)
        effective = mask(configuration.effective)
        inheritable = mask(configuration.inheritable)
        permitted = mask(configuration.permitted)
        ambient = mask(configuration.ambient)
        if !unknown.isEmpty {
            warnings.append(
                "\(place): ignoring unknown or unavailable capabilities: \(unknown.joined(separator: ", "))"
            )
        }
        if let name = Self.firstName(effective & ~permitted) {
            throw .refused(field: place + ".effective", value: name, reason: "it is not among the permitted ones")
        }
        if let name = Self.firstName(inheritable & ~bounding) {
            throw .refused(field: place + ".inheritable", value: name, reason: "it is not among the bounding ones")
        }
        let unraisable = ambient & ~(permitted & inheritable)
        if unraisable != 0 {
            ambient &= ~unraisable
            let list = Self.names(in: unraisable).joined(separator: ", ")
            warnings.append("\(place).ambient: ignoring what is not both permitted and inheritable: \(list)")
        }
    }

    /// The number of a capability by its name in capitals.
    public static func number(of name: String) -> Int? { names.firstIndex(of: name) }

    public static func names(in mask: UInt64) -> [String] {
        names.indices.filter { mask >> UInt64($0) & 1 != 0 }.map { names[$0] }
    }

    private static func firstName(_ mask: UInt64) -> String? {
        let number = mask.trailingZeroBitCount
        return number < names.count ? names[number] : nil
    }

    /// By number (`linux/capability.h`).
    public static let names = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
        "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST",
        "CAP_NET_ADMIN",
        "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
        "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
        "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
        "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
        "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
    ]
}
