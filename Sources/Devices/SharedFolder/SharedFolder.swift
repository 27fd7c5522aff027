internal import CLinux
internal import Glibc
internal import Synchronization
public import SystemCalls

/// A folder of the host's, served by the FUSE protocol (linux/fuse.h, 7.31 and later) to a guest that is not trusted.
///
/// No request reaches a file outside: an inode is an `O_PATH` descriptor, a name is one component and is not followed, and symbolic
/// links are only read, for the guest to follow in its own tree. So neither links nor `..` nor renames that race lead out.
/// Only regular files and folders are opened. Every request is answered, what makes no sense by an error.
///
/// For any thread; the lock is held for the tables only, not while the host's files are waited for.
public final class SharedFolder: Sendable {
    /// The largest read or write, in bytes.
    public static let dataLimit = 1 << 20
    static let headerByteCount = MemoryLayout<fuse_in_header>.size
    static let answerHeaderByteCount = MemoryLayout<fuse_out_header>.size
    /// Bytes of a request but for a write's data: two names, or an extended attribute.
    private static let requestLimit = 80 << 10
    /// Seconds for which the guest may believe names and attributes without asking again.
    static let validity: UInt64 = 1

    public let isReadOnly: Bool
    let root: FolderNode
    let state: Mutex<FolderState>
    /// New files get the guest's owners where the process may give files away; else they are the process's own.
    let givesOwnership = geteuid() == 0

    /// Opens the folder at `path`.
    ///
    /// `descriptorLimit`: How many descriptors the guest may make the process hold; nil takes most of what the process may have.
    /// The process's own soft limit is raised to its hard one.
    /// - Throws: `ENOTDIR`; `ENOENT` also where /proc is not mounted.
    public init(path: String, isReadOnly: Bool = false, descriptorLimit: Int? = nil) throws(SystemCallError) {
        let descriptor = unsafe clinux_openat(AT_FDCWD, path, clinux_o_path | O_DIRECTORY, 0)
        guard descriptor >= 0 else { throw SystemCallError("open", errno: -descriptor) }
        let file = FileDescriptor(owning: descriptor)
        let node: FolderNode
        do throws(FUSEError) {
            let status = try FolderNode.status(of: descriptor)
            node = FolderNode(id: FolderNode.rootID, status: status, file: file)
            try FUSEError.check(unsafe clinux_access(node.path, F_OK))
        } catch {
            throw SystemCallError("access", errno: error.errno)
        }
        root = node
        self.isReadOnly = isReadOnly
        let limit = descriptorLimit ?? Self.processLimit
        state = Mutex(FolderState(root: node, descriptorLimit: limit))
    }

    /// How many descriptors the folders of this process may hold together; some are left for the rest.
    public static var processLimit: Int { max(64, Int(clinux_raise_file_limit()) - 512) }

    /// The inodes that the guest knows, and what it has open.
    public var counts: (nodes: Int, handles: Int) { state.withLock { ($0.nodeCount, $0.handleCount) } }

    /// Whether a guest has mounted the folder.
    public var isMounted: Bool { state.withLock { $0.isMounted } }

    /// Closes everything; the guest starts anew.
    public func reset() { state.withLock { $0.clear() } }

    /// How many bytes of a request of `byteCount` bytes ``answer(_:replyByteLimit:_:)`` wants: all but the data of a write.
    ///
    /// `opcode`: The second word of the request.
    public static func wantedByteCount(opcode: UInt32, byteCount: Int) -> Int {
        let isWrite = fuse_opcode(rawValue: opcode) == FUSE_WRITE
        return min(byteCount, isWrite ? headerByteCount + MemoryLayout<fuse_write_in>.size : requestLimit)
    }

    /// Serves one request.
    ///
    /// `replyByteLimit`: The room for the answer. `transfer`: Where a read's data goes and a write's comes from.
    public func answer(_ request: [UInt8], replyByteLimit: Int, _ transfer: any FUSETransfer) -> FUSEAnswer {
        var arguments = FUSEArguments(request[...])
        guard let header = try? arguments.take(fuse_in_header.self) else { return .none }
        let opcode = fuse_opcode(rawValue: header.opcode)
        switch opcode {
        case FUSE_FORGET:
            if let forget = try? arguments.take(fuse_forget_in.self) {
                state.withLock { $0.forget(header.nodeid, lookups: forget.nlookup) }
            }
            return .none
        case FUSE_BATCH_FORGET:
            forgetAll(arguments)
            return .none
        case FUSE_INTERRUPT: return .none
        default: break
        }
        let room = replyByteLimit - Self.answerHeaderByteCount
        guard room >= 0 else { return .none }
        do throws(FUSEError) {
            if isReadOnly, Self.changes(opcode) { throw FUSEError(EROFS) }
            switch opcode {
            case FUSE_READ:
                let count = try read(&arguments, room: room, transfer)
                return .data(header: Self.header(header, error: 0, bodyByteCount: count), byteCount: count)
            case FUSE_WRITE:
                let body = try write(&arguments, transfer)
                return .bytes(Self.header(header, error: 0, bodyByteCount: body.bytes.count) + body.bytes)
            default:
                let body = try serve(opcode, header, &arguments, room: room)
                guard body.bytes.count <= room else { throw FUSEError(EINVAL) }
                return .bytes(Self.header(header, error: 0, bodyByteCount: body.bytes.count) + body.bytes)
            }
        } catch {
            return .bytes(Self.header(header, error: error.errno, bodyByteCount: 0))
        }
    }

    private func serve(
        _ opcode: fuse_opcode,
        _ header: fuse_in_header,
        _ arguments: inout FUSEArguments,
        room: Int
    ) throws(FUSEError) -> FUSEBody {
        switch opcode {
        case FUSE_INIT: return try start(&arguments)
        case FUSE_DESTROY:
            reset()
            return FUSEBody()
        case FUSE_LOOKUP: return FUSEBody(try entry(try node(header), try arguments.takeName()))
        case FUSE_GETATTR: return try attributes(header)
        case FUSE_SETATTR: return try setAttributes(header, &arguments)
        case FUSE_READLINK: return try readLink(header)
        case FUSE_ACCESS: return try access(header, &arguments)
        case FUSE_STATFS: return try fileSystemStatus(header)
        case FUSE_SYNCFS: return try synchronize()
        case FUSE_SYMLINK: return try makeLink(header, &arguments)
        case FUSE_MKNOD: return try makeNode(header, &arguments)
        case FUSE_MKDIR: return try makeDirectory(header, &arguments)
        case FUSE_LINK: return try link(header, &arguments)
        case FUSE_UNLINK: return try remove(header, &arguments, flags: 0)
        case FUSE_RMDIR: return try remove(header, &arguments, flags: Self.removesDirectory)
        case FUSE_RENAME: return try rename(header, &arguments, hasFlags: false)
        case FUSE_RENAME2: return try rename(header, &arguments, hasFlags: true)
        case FUSE_OPEN: return try open(header, &arguments)
        case FUSE_CREATE: return try create(header, &arguments)
        case FUSE_RELEASE, FUSE_RELEASEDIR: return try release(&arguments)
        case FUSE_FLUSH: return FUSEBody()
        case FUSE_FSYNC: return try flush(&arguments, isDirectory: false)
        case FUSE_FSYNCDIR: return try flush(&arguments, isDirectory: true)
        case FUSE_FALLOCATE: return try allocate(&arguments)
        case FUSE_LSEEK: return try seek(&arguments)
        case FUSE_COPY_FILE_RANGE: return try copyRange(&arguments)
        case FUSE_OPENDIR: return try openDirectory(header)
        case FUSE_READDIR: return try readDirectory(header, &arguments, room: room, withAttributes: false)
        case FUSE_READDIRPLUS: return try readDirectory(header, &arguments, room: room, withAttributes: true)
        case FUSE_GETXATTR: return try extendedAttribute(header, &arguments)
        case FUSE_LISTXATTR: return try listExtendedAttributes(header, &arguments)
        case FUSE_SETXATTR: return try setExtendedAttribute(header, &arguments)
        case FUSE_REMOVEXATTR: return try removeExtendedAttribute(header, &arguments)
        default: throw FUSEError(ENOSYS)
        }
    }

    /// Whether a request would change something; opening is looked at apart.
    private static func changes(_ opcode: fuse_opcode) -> Bool {
        switch opcode {
        case FUSE_SETATTR, FUSE_SYMLINK, FUSE_MKNOD, FUSE_MKDIR, FUSE_UNLINK, FUSE_RMDIR, FUSE_RENAME, FUSE_RENAME2,
            FUSE_LINK, FUSE_WRITE, FUSE_CREATE, FUSE_FALLOCATE, FUSE_COPY_FILE_RANGE, FUSE_SETXATTR, FUSE_REMOVEXATTR:
            true
        default: false
        }
    }

    func node(_ header: fuse_in_header) throws(FUSEError) -> FolderNode {
        try state.withLock { state throws(FUSEError) in try state.node(header.nodeid) }
    }

    private static func header(_ request: fuse_in_header, error: CInt, bodyByteCount: Int) -> [UInt8] {
        var header = fuse_out_header()
        header.len = UInt32(truncatingIfNeeded: answerHeaderByteCount + bodyByteCount)
        header.error = -error
        header.unique = request.unique
        return FUSEBody(header).bytes
    }

    private func forgetAll(_ arguments: FUSEArguments) {
        var arguments = arguments
        guard let list = try? arguments.take(fuse_batch_forget_in.self) else { return }
        for _ in 0..<list.count {
            guard let one = try? arguments.take(fuse_forget_one.self) else { return }
            state.withLock { $0.forget(one.nodeid, lookups: one.nlookup) }
        }
    }

    // MARK: Start

    /// Agrees on the version and on what both sides can do.
    private func start(_ arguments: inout FUSEArguments) throws(FUSEError) -> FUSEBody {
        let major = try arguments.take(UInt32.self)
        let minor = try arguments.take(UInt32.self)
        var answer = fuse_init_out()
        answer.major = UInt32(FUSE_KERNEL_VERSION)
        answer.minor = major == answer.major ? min(minor, Self.minor) : Self.minor
        // A newer driver comes back with our version.
        if major > answer.major { return FUSEBody(answer) }
        guard major == answer.major, minor >= Self.oldestMinor else { throw FUSEError(EPROTO) }
        let readAhead = try arguments.take(UInt32.self)
        let flags = try arguments.take(UInt32.self)
        reset()
        state.withLock { $0.isMounted = true }
        answer.max_readahead = readAhead
        answer.flags = flags & Self.features
        answer.max_background = 64
        answer.congestion_threshold = 48
        answer.max_write = UInt32(Self.dataLimit)
        answer.time_gran = 1
        answer.max_pages = UInt16(Self.dataLimit / 4096)
        return FUSEBody(answer)
    }

    private static let minor: UInt32 = 38
    private static let oldestMinor: UInt32 = 31
    private static let features = [
        FUSE_ASYNC_READ, FUSE_BIG_WRITES, FUSE_AUTO_INVAL_DATA, FUSE_DO_READDIRPLUS, FUSE_READDIRPLUS_AUTO,
        FUSE_ASYNC_DIO, FUSE_PARALLEL_DIROPS, FUSE_MAX_PAGES, FUSE_CACHE_SYMLINKS,
    ].reduce(0 as UInt32) { $0 | UInt32(bitPattern: $1) }
}
