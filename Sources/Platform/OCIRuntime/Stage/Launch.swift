internal import CContainer
internal import Glibc
internal import SystemCalls

/// What a new process of a container is made of: its namespaces and its steps.
struct LaunchPlan: Sendable {
    /// Namespaces that are joined, in this order: their files and CLONE_NEW flags.
    var joined: [(path: String, flag: Int32)] = []
    /// Namespaces that are made, as CLONE_NEW flags.
    var made: UInt64 = 0
    /// What goes to `timens_offsets`, or nothing.
    var timeOffsets = ""
    var uidMap: [IdentifierMapping] = []
    var gidMap: [IdentifierMapping] = []
    var steps: [Step] = []
}

/// Starts a plan and follows it up to the program.
enum Launch {
    /// The process that this gives is this one's child, and waits for its start or has become the program.
    ///
    /// `synchronize`: Does the runtime's part for a waiting process.
    static func run(
        _ plan: LaunchPlan,
        synchronize: (SyncPoint, _ process: Int32) throws(ContainerError) -> Void
    ) throws(ContainerError) -> Int32 {
        var ends: [Int32] = [-1, -1]
        guard unsafe socketpair(AF_UNIX, CInt(SOCK_SEQPACKET.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0, &ends) == 0
        else {
            throw .failed(action: "make a socket", errno: errno)
        }
        let ours = FileDescriptor(owning: ends[0])
        let maker = try start(plan, FileDescriptor(owning: ends[1]))
        var process: Int32 = 0
        do throws(ContainerError) {
            while let message = receive(ours) {
                switch ccontainer_message_kind(rawValue: UInt32(bitPattern: message.kind)) {
                case CCONTAINER_TELLS_USER:
                    try UserMap.write(plan, process: maker)
                    answer(ours)
                case CCONTAINER_TELLS_PROCESS:
                    process = message.value
                    reap(maker)
                case CCONTAINER_TELLS_SYNC:
                    // The process may be faster than the one that names it.
                    if process == 0 { process = try awaitName(ours, maker) }
                    if let point = SyncPoint(rawValue: UInt64(message.value)) { try synchronize(point, process) }
                    answer(ours)
                case CCONTAINER_TELLS_READY:
                    if process == 0 { process = try awaitName(ours, maker) }
                    return process
                default: throw failure(message, plan)
                }
            }
            throw .failed(action: "start the container's process", errno: ECHILD)
        } catch {
            if process > 0 {
                kill(process, SIGKILL)
                reap(process)
            } else {
                kill(maker, SIGKILL)
                reap(maker)
            }
            throw error
        }
    }

    /// Whether a process that was ready became its program: nil, or what went wrong with that.
    static func failure(_ message: ccontainer_message, _ plan: LaunchPlan) -> ContainerError {
        guard plan.steps.indices.contains(Int(message.step)) else {
            return .failed(action: "make the namespaces", errno: message.value)
        }
        return .step(plan.steps[Int(message.step)], errno: message.value)
    }

    private static func start(_ plan: LaunchPlan, _ channel: consuming FileDescriptor) throws(ContainerError) -> Int32 {
        var files: [Int32] = []
        defer { for file in files { close(file) } }
        for namespace in plan.joined {
            let file = unsafe open(namespace.path, O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { throw .failed(action: "open the namespace \(namespace.path)", errno: errno) }
            files.append(file)
        }
        let arena = StepArena()
        let steps = unsafe plan.steps.map { unsafe $0.encoded(in: arena) }
        let flags = plan.joined.map(\.flag)
        let number = channel.rawValue
        let result: Int32 = unsafe files.withUnsafeBufferPointer { files in
            unsafe flags.withUnsafeBufferPointer { flags in
                unsafe steps.withUnsafeBufferPointer { steps in
                    var launch = unsafe ccontainer_launch_plan()
                    unsafe launch.channel = number
                    unsafe launch.made = plan.made
                    unsafe launch.joined_count = files.count
                    unsafe launch.joined = files.baseAddress
                    unsafe launch.joined_kinds = flags.baseAddress
                    if !plan.timeOffsets.isEmpty { unsafe launch.time_offsets = arena.string(plan.timeOffsets) }
                    unsafe launch.step_count = steps.count
                    unsafe launch.steps = steps.baseAddress
                    return unsafe ccontainer_launch(&launch)
                }
            }
        }
        _ = arena
        _ = channel.rawValue
        guard result > 0 else { throw .failed(action: "fork", errno: -result) }
        return result
    }

    private static func receive(_ channel: borrowing FileDescriptor) -> ccontainer_message? {
        var message = ccontainer_message()
        while true {
            let count = unsafe recv(channel.rawValue, &message, MemoryLayout<ccontainer_message>.size, 0)
            if count < 0, errno == EINTR { continue }
            return count == MemoryLayout<ccontainer_message>.size ? message : nil
        }
    }

    private static func awaitName(_ channel: borrowing FileDescriptor, _ maker: Int32) throws(ContainerError) -> Int32 {
        guard let message = receive(channel), message.kind == Int32(CCONTAINER_TELLS_PROCESS.rawValue) else {
            throw .failed(action: "learn of the container's process", errno: EPROTO)
        }
        reap(maker)
        return message.value
    }

    private static func answer(_ channel: borrowing FileDescriptor) {
        var yes: UInt8 = 1
        while unsafe send(channel.rawValue, &yes, 1, CInt(MSG_NOSIGNAL)) < 0, errno == EINTR {}
    }

    static func reap(_ process: Int32) {
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
    }
}
