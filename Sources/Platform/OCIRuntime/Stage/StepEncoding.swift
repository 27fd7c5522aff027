internal import CContainer
internal import Glibc

/// Memory for the strings and arrays that C steps point to; lives until it is given up.
@safe
final class StepArena {
    private var blocks: [UnsafeMutableRawPointer] = unsafe []

    deinit { while let block = unsafe blocks.popLast() { unsafe free(block) } }

    func string(_ text: String) -> UnsafePointer<CChar>? {
        guard let copy = unsafe strdup(text) else { return nil }
        unsafe blocks.append(UnsafeMutableRawPointer(copy))
        return unsafe UnsafePointer(copy)
    }

    /// A list of strings with a null at its end.
    func strings(_ texts: [String]) -> UnsafePointer<UnsafeMutablePointer<CChar>?>? {
        let count = (texts.count + 1) * MemoryLayout<Int>.stride
        guard let block = unsafe calloc(1, count) else { return nil }
        unsafe blocks.append(block)
        let list = unsafe block.bindMemory(to: UnsafeMutablePointer<CChar>?.self, capacity: texts.count + 1)
        for (index, text) in texts.enumerated() { unsafe list[index] = UnsafeMutablePointer(mutating: string(text)) }
        return unsafe UnsafePointer(list)
    }

    func bytes(_ values: [UInt8]) -> UnsafeRawPointer? {
        guard let block = unsafe malloc(max(1, values.count)) else { return nil }
        unsafe blocks.append(block)
        unsafe values.withUnsafeBytes { if let base = $0.baseAddress { unsafe memcpy(block, base, $0.count) } }
        return UnsafeRawPointer(block)
    }
}

extension Step {
    /// The step's fields, before they are given to C.
    private var fields: StepFields {
        var step = StepFields()
        func set(_ operation: ccontainer_operation, _ first: String? = nil, _ second: String? = nil) {
            step.operation = Int32(operation.rawValue)
            step.first = first
            step.second = second
        }
        func lists(_ arguments: [String], _ environment: [String]) {
            step.list = arguments
            step.more = environment
        }
        func attach<T: BitwiseCopyable>(_ values: [T]) {
            step.bytes = unsafe values.withUnsafeBytes { unsafe [UInt8]($0) }
        }
        switch self {
        case .sync(let point):
            set(CCONTAINER_SYNC)
            step.number = point.rawValue
        case .unshare(let namespaces):
            set(CCONTAINER_UNSHARE)
            step.number = namespaces
        case .newSession: set(CCONTAINER_SESSION)
        case .hostname(let name): set(CCONTAINER_HOSTNAME, name)
        case .domainname(let name): set(CCONTAINER_DOMAINNAME, name)
        case .loopback: set(CCONTAINER_LOOPBACK)
        case .write(let path, let text): set(CCONTAINER_WRITE, path, text)
        case .propagation(let path, let flags):
            set(CCONTAINER_PROPAGATION, path)
            step.number = UInt64(flags)
        case .root(let path, let isMounted):
            set(CCONTAINER_ROOT, path)
            step.flag = isMounted ? 1 : 0
        case .bind(let bind):
            set(CCONTAINER_BIND, bind.source, bind.place)
            step.number = bind.set
            step.other = bind.clear
            step.flag = (bind.isRecursive ? 1 : 0) | (bind.hasRecursiveAttributes ? 2 : 0) | (bind.needsPlace ? 4 : 0)
            if bind.userNamespace >= 0 {
                step.flag |= 8
                step.descriptor = bind.userNamespace
            }
        case .mount(let source, let place, let type, let flags, let data):
            set(CCONTAINER_MOUNT, source, place)
            step.third = type
            if !data.isEmpty { step.bytes = Array(data.utf8) + [0] }
            step.number = UInt64(flags)
        case .placePropagation(let place, let flags):
            set(CCONTAINER_PLACE_FLAGS, nil, place)
            attach(flags.map { UInt64($0) })
        case .node(let place, let mode, let device, let uid, let gid):
            set(CCONTAINER_NODE, nil, place)
            step.number = UInt64(mode)
            step.other = device
            step.uid = uid
            step.gid = gid
        case .symbolicLink(let target, let place): set(CCONTAINER_SYMLINK, target, place)
        case .mask(let place): set(CCONTAINER_MASK, nil, place)
        case .makeReadOnly(let place): set(CCONTAINER_READONLY, nil, place)
        case .changeRoot(let change):
            set(CCONTAINER_PIVOT)
            step.number = change.rawValue
        case .rootReadOnly: set(CCONTAINER_ROOT_READONLY)
        case .console(let socket, let rows, let columns, let isDevice, let uid):
            set(CCONTAINER_CONSOLE, nil, "/dev/ptmx")
            step.descriptor = socket
            step.number = UInt64(rows) << 16 | UInt64(columns)
            step.flag = isDevice ? 1 : 0
            step.uid = uid
        case .hook(let path, let arguments, let environment, let input, let timeout):
            set(CCONTAINER_HOOK, path, input)
            lists(arguments, environment)
            step.number = timeout
        case .limit(let resource, _, let soft, let hard):
            set(CCONTAINER_LIMIT)
            step.number = UInt64(resource)
            step.other = soft
            step.limit = hard
        case .scheduler(let attributes):
            set(CCONTAINER_SCHEDULER)
            attach(attributes)
        case .ioPriority(let word):
            set(CCONTAINER_IO_PRIORITY)
            step.number = UInt64(word)
        case .personality(let domain):
            set(CCONTAINER_PERSONALITY)
            step.number = UInt64(domain)
        case .affinity(let mask):
            set(CCONTAINER_AFFINITY)
            attach(mask)
        case .noNewPrivileges: set(CCONTAINER_NO_NEW_PRIVILEGES)
        case .groups(let groups):
            set(CCONTAINER_GROUPS)
            attach(groups)
        case .bounding(let mask):
            set(CCONTAINER_BOUNDING)
            step.number = mask
        case .user(let uid, let gid):
            set(CCONTAINER_USER)
            step.uid = uid
            step.gid = gid
        case .capabilities(let effective, let permitted, let inheritable):
            set(CCONTAINER_CAPABILITIES)
            step.number = effective
            step.other = permitted
            step.limit = inheritable
        case .ambient(let mask):
            set(CCONTAINER_AMBIENT)
            step.number = mask
        case .filter(let program, let flags, let listener, let text):
            set(CCONTAINER_SECCOMP, nil, text)
            attach(program)
            step.number = UInt64(flags)
            step.descriptor = listener
        case .umask(let mask):
            set(CCONTAINER_UMASK)
            step.number = UInt64(mask)
        case .folder(let path, let makes):
            set(CCONTAINER_FOLDER, path)
            step.flag = makes ? 1 : 0
        case .closeDescriptors(let first):
            set(CCONTAINER_DESCRIPTORS)
            step.number = UInt64(first)
        case .find(let arguments, let environment):
            set(CCONTAINER_FIND)
            lists(arguments, environment)
        case .awaitStart(let socket):
            set(CCONTAINER_AWAIT_START)
            step.descriptor = socket
        case .execute(let arguments, let environment):
            set(CCONTAINER_EXECUTE)
            lists(arguments, environment)
        }
        return step
    }

    /// The step as C has it, with its strings and arrays in `arena`.
    func encoded(in arena: StepArena) -> ccontainer_step {
        let fields = fields
        var step = unsafe ccontainer_step()
        unsafe step.operation = fields.operation
        unsafe step.flag = fields.flag
        unsafe step.descriptor = fields.descriptor
        unsafe step.uid = fields.uid
        unsafe step.gid = fields.gid
        unsafe step.number = fields.number
        unsafe step.other = fields.other
        unsafe step.limit = fields.limit
        if let first = fields.first { unsafe step.first = arena.string(first) }
        if let second = fields.second { unsafe step.second = arena.string(second) }
        if let third = fields.third { unsafe step.third = arena.string(third) }
        if let bytes = fields.bytes { unsafe step.bytes = arena.bytes(bytes) }
        unsafe step.byte_count = fields.bytes?.count ?? 0
        if let list = fields.list { unsafe step.list = arena.strings(list) }
        if let more = fields.more { unsafe step.more = arena.strings(more) }
        return unsafe step
    }
}

/// A C step with Swift's strings and arrays.
private struct StepFields {
    var operation: Int32 = 0
    var flag: Int32 = 0
    var descriptor: Int32 = -1
    var uid: UInt32 = 0
    var gid: UInt32 = 0
    var number: UInt64 = 0
    var other: UInt64 = 0
    var limit: UInt64 = 0
    var first: String?
    var second: String?
    var third: String?
    var bytes: [UInt8]?
    var list: [String]?
    var more: [String]?
}
