/// A kernel parameter of a container's own (runtime-spec 1.2 config-linux.md "Sysctl").
public struct SysctlSetting: Hashable, Sendable {
    /// Where it is written, below `/proc/sys`: `net/ipv4/ip_forward`.
    public let path: String
    public let value: String

    /// What it says about a container's namespaces.
    public enum Scope: Hashable, Sendable {
        /// Belongs to a namespace of that kind.
        case namespace(LinuxConfiguration.Namespace.Kind)
        /// Has a field of its own in the configuration, which might say something else.
        case field(String)
        /// Of the whole host.
        case host
    }

    /// Reads a name and checks that what it changes is the container's alone.
    ///
    /// As sysctl(8) has it, the first dot or slash of a name says which one separates its parts; the other one stands for
    /// itself: `net.ipv4.conf.eth0/1.rp_filter` and `net/ipv4/conf/eth0.1/rp_filter` are one parameter.
    /// `namespaces`: The kinds of which the container has a namespace other than the host's.
    public init(
        name: String,
        value: String,
        namespaces: Set<LinuxConfiguration.Namespace.Kind>
    ) throws(ValidationError) {
        let field = "linux.sysctl"
        guard let parts = Self.parts(of: name) else {
            throw .refused(field: field, value: name, reason: "it is no name of a kernel parameter")
        }
        switch Self.scope(of: parts) {
        case .namespace(let kind):
            guard namespaces.contains(kind) else {
                throw .refused(
                    field: field,
                    value: name,
                    reason: "it would change the host's, as the container has no \(kind.rawValue) namespace of its own"
                )
            }
        case .field(let other):
            throw .refused(field: field, value: name, reason: "it conflicts with the field '\(other)'")
        case .host:
            throw .refused(field: field, value: name, reason: "it belongs to no namespace: it would change the host's")
        }
        path = parts.joined(separator: "/")
        self.value = value
    }

    /// The names of the directories and the file; nil where one is empty or leads elsewhere.
    static func parts(of name: String) -> [String]? {
        let dot = UInt8(ascii: ".")
        let slash = UInt8(ascii: "/")
        guard let separator = name.utf8.first(where: { $0 == dot || $0 == slash }) else { return nil }
        let parts = name.utf8.split(separator: separator, omittingEmptySubsequences: false).map { part in
            // In a part, a slash stands for a dot. With slashes as separators there is none.
            String(decoding: part.map { $0 == slash ? dot : $0 }, as: UTF8.self)
        }
        return parts.contains { $0.isEmpty || $0 == "." || $0 == ".." || $0.utf8.contains(0) } ? nil : parts
    }

    static func scope(of parts: [String]) -> Scope {
        switch parts[0] {
        case "net": return .namespace(.network)
        case "user": return .namespace(.user)
        case "fs": return parts.count > 2 && parts[1] == "mqueue" ? .namespace(.ipc) : .host
        case "kernel" where parts.count == 2:
            switch parts[1] {
            case "msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced":
                return .namespace(.ipc)
            case "domainname": return .namespace(.uts)
            case "hostname": return .field("hostname")
            default: return .host
            }
        default: return .host
        }
    }
}
