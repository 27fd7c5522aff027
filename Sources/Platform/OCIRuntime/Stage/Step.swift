internal import CContainer

/// One thing that the new process does on its way to the program, carried out by the stage in C.
///
/// Places are paths below the container's root; they are resolved there and never lead out of it.
enum Step: Hashable, Sendable {
    /// Waits until the runtime has done its part.
    case sync(SyncPoint)
    case unshare(namespaces: UInt64)
    case newSession
    case hostname(String)
    case domainname(String)
    case loopback
    case write(path: String, text: String)
    case propagation(path: String, flags: UInt)
    /// `isMounted`: The folder is a mount already, and is taken as it is.
    case root(path: String, isMounted: Bool)
    case bind(Bind)
    case mount(source: String, place: String, type: String, flags: UInt, data: String)
    case placePropagation(place: String, flags: [UInt])
    case node(place: String, mode: UInt32, device: UInt64, uid: UInt32, gid: UInt32)
    case symbolicLink(target: String, place: String)
    case mask(place: String)
    case makeReadOnly(place: String)
    case changeRoot(RootChange)
    case rootReadOnly
    /// `socket`: Where the terminal's other end goes.
    case console(socket: Int32, rows: UInt16, columns: UInt16, isDevice: Bool, uid: UInt32)
    case hook(path: String, arguments: [String], environment: [String], input: String, timeout: UInt64)
    case limit(resource: Int32, name: String, soft: UInt64, hard: UInt64)
    case scheduler([UInt8])
    case ioPriority(UInt16)
    case personality(UInt32)
    case affinity([UInt64])
    case noNewPrivileges
    case groups([UInt32])
    case bounding(UInt64)
    case user(uid: UInt32, gid: UInt32)
    case capabilities(effective: UInt64, permitted: UInt64, inheritable: UInt64)
    case ambient(UInt64)
    case filter(program: [UInt8], flags: UInt32, listener: Int32, text: String)
    case umask(UInt32)
    case folder(String, makes: Bool)
    case closeDescriptors(from: UInt32)
    case find(arguments: [String], environment: [String])
    case awaitStart(socket: Int32)
    case execute(arguments: [String], environment: [String])

    struct Bind: Hashable, Sendable {
        var source: String
        var place: String
        var isRecursive: Bool
        /// MOUNT_ATTR_* of the mount, or of all below it too.
        var set: UInt64 = 0
        var clear: UInt64 = 0
        var hasRecursiveAttributes = false
        /// Nothing is made where the place is missing.
        var needsPlace = false
        /// A user namespace whose map the mount gets, or -1.
        var userNamespace: Int32 = -1
    }

    enum RootChange: UInt64, Hashable, Sendable {
        case pivot = 0
        case move = 1
        /// Without a mount namespace.
        case chroot = 2
    }
}

/// What the runtime does while the new process waits.
enum SyncPoint: UInt64, Hashable, Sendable {
    /// The process is in its namespaces: it is put into its cgroup.
    case cgroup = 1
    /// Its mounts are made, its root is not changed yet: hooks of the runtime's.
    case hooks = 2
}

extension Step: CustomStringConvertible {
    /// What fails where it fails: "mount proc at /proc".
    var description: String {
        switch self {
        case .sync: "wait for the runtime"
        case .unshare: "make a cgroup namespace"
        case .newSession: "make a session"
        case .hostname(let name): "set the hostname '\(name)'"
        case .domainname(let name): "set the domain name '\(name)'"
        case .loopback: "bring the loopback interface up"
        case .write(let path, let text): "write '\(text)' to \(path)"
        case .propagation(let path, _): "change the propagation of \(path)"
        case .root(let path, _): "take the root folder \(path)"
        case .bind(let bind): "bind \(bind.source) to \(bind.place)"
        case .mount(let source, let place, let type, _, let data):
            "mount \(source) of type '\(type)' at \(place)" + (data.isEmpty ? "" : " with '\(data)'")
        case .placePropagation(let place, _): "change the propagation of \(place)"
        case .node(let place, _, _, _, _): "make the device \(place)"
        case .symbolicLink(_, let place): "make the link \(place)"
        case .mask(let place): "mask \(place)"
        case .makeReadOnly(let place): "make \(place) read-only"
        case .changeRoot: "change the root"
        case .rootReadOnly: "make the root read-only"
        case .console: "open a terminal"
        case .hook(let path, _, _, _, _): "run the hook \(path)"
        case .limit(_, let name, let soft, let hard): "set \(name) to \(soft) and \(hard)"
        case .scheduler: "set the scheduler"
        case .ioPriority: "set the I/O priority"
        case .personality: "set the personality"
        case .affinity: "set the processors"
        case .noNewPrivileges: "give up new privileges"
        case .groups: "set the groups"
        case .bounding, .capabilities, .ambient: "set the capabilities"
        case .user(let uid, let gid): "become user \(uid) and group \(gid)"
        case .filter: "load the seccomp filter"
        case .umask: "set the umask"
        case .folder(let path, _): "chdir to cwd ('\(path)')"
        case .closeDescriptors: "close descriptors"
        case .find(let arguments, _), .execute(let arguments, _): "exec: '\(arguments.first ?? "")'"
        case .awaitStart: "wait for the start"
        }
    }
}
