internal import CContainer
internal import Glibc
public import JSON
internal import SystemCalls

extension Runtime {
    /// Lets the program of a created container begin.
    public func start(_ id: String) throws(RuntimeError) {
        try RuntimeError.wrap { () throws(ContainerError) in
            let folder = try ContainerFolder.find(id, below: root)
            let container = try folder.load()
            switch status(of: container, folder) {
            case .created: break
            case .stopped: throw .refused("cannot start a container that has stopped")
            default: throw .refused("cannot start an already running container")
            }
            let socket = try Self.connect(folder.socketPath)
            unsafe unlink(folder.socketPath)
            var failure: Int32 = 0
            while true {
                let count = unsafe recv(socket.rawValue, &failure, 4, 0)
                if count < 0, errno == EINTR { continue }
                // The program closes it.
                guard count == 4 else { break }
                throw .failed(action: "start the program", errno: failure)
            }
            let state = Self.hookState(container, .running)
            let configuration = try folder.loadConfiguration()
            for hook in configuration.hooks.poststart {
                do throws(ContainerError) { try Self.run(hook, state) } catch { warn("\(error)") }
            }
        }
    }

    /// Sends a signal to the container's first process, or to all.
    public func kill(_ id: String, signal: Int32, all: Bool) throws(RuntimeError) {
        try RuntimeError.wrap { () throws(ContainerError) in
            let folder = try ContainerFolder.find(id, below: root)
            let container = try folder.load()
            let status = status(of: container, folder)
            if all, !container.cgroups.isEmpty {
                return try withCgroup(container) { (group) throws(CgroupError) in try group.killAll(signal: signal) }
            }
            guard status != .stopped else { throw .refused("container not running") }
            let handle = ccontainer_pidfd_open(container.process)
            guard handle >= 0 else { throw .failed(action: "signal process \(container.process)", errno: -handle) }
            defer { close(handle) }
            // The number may be another's by now.
            guard HostProcess.isAlive(container.process, since: container.startTime) else {
                throw .refused("container not running")
            }
            let result = ccontainer_pidfd_send_signal(handle, signal)
            guard result == 0 else { throw .failed(action: "signal process \(container.process)", errno: -result) }
            if signal == SIGKILL, status == .paused {
                try? withCgroup(container) { (group) throws(CgroupError) in try group.thaw() }
            }
        }
    }

    /// Forgets a container that has stopped, or with `force` one that has not.
    public func delete(_ id: String, force: Bool) throws(RuntimeError) {
        try RuntimeError.wrap { () throws(ContainerError) in
            let folder: ContainerFolder
            do throws(ContainerError) { folder = try ContainerFolder.find(id, below: root) } catch {
                if force, case .refused("container does not exist") = error { return }
                throw error
            }
            let container: SavedContainer
            do throws(ContainerError) { container = try folder.load() } catch {
                // A runtime that was killed before it had saved anything.
                guard force else { throw error }
                return try folder.remove()
            }
            let status = status(of: container, folder)
            if status != .stopped {
                guard force || status == .created else {
                    throw .refused("cannot delete container \(id) that is not stopped: \(status.rawValue)")
                }
                _ = Glibc.kill(container.process, SIGKILL)
                if !container.cgroups.isEmpty {
                    try? withCgroup(container) { (group) throws(CgroupError) in try group.killAll(signal: SIGKILL) }
                }
                for _ in 0..<1000 where HostProcess.isAlive(container.process, since: container.startTime) {
                    usleep(10_000)
                }
            } else if !container.cgroups.isEmpty, container.namespaces & 0x2000_0000 == 0 {
                // Without a PID namespace of its own, others may be left.
                try? withCgroup(container) { (group) throws(CgroupError) in try group.killAll(signal: SIGKILL) }
            }
            if !container.cgroups.isEmpty {
                try withCgroup(container) { (group) throws(CgroupError) in try group.delete() }
            }
            let hooks = (try? folder.loadConfiguration())?.hooks.poststop ?? []
            try folder.remove()
            let state = Self.hookState(container, .stopped)
            for hook in hooks { do throws(ContainerError) { try Self.run(hook, state) } catch { warn("\(error)") } }
        }
    }

    public func pause(_ id: String) throws(RuntimeError) {
        try change(id, from: [.created, .running]) { (group) throws(CgroupError) in try group.freeze() }
    }
    public func resume(_ id: String) throws(RuntimeError) {
        try change(id, from: [.paused]) { (group) throws(CgroupError) in try group.thaw() }
    }

    private func change(
        _ id: String,
        from allowed: Set<ContainerStatus>,
        _ body: (any ControlGroup) throws(CgroupError) -> Void
    ) throws(RuntimeError) {
        try RuntimeError.wrap { () throws(ContainerError) in
            let folder = try ContainerFolder.find(id, below: root)
            let container = try folder.load()
            let status = status(of: container, folder)
            guard allowed.contains(status) else { throw .refused("the container is \(status.rawValue)") }
            try withCgroup(container, body)
        }
    }

    /// The processes of a container, as the host numbers them.
    public func processes(_ id: String) throws(RuntimeError) -> [Int32] {
        try RuntimeError.wrap { () throws(ContainerError) in
            let container = try ContainerFolder.find(id, below: root).load()
            return try withCgroup(container) { (group) throws(CgroupError) in try group.processes() }
        }
    }

    /// Changes limits.
    public func update(_ id: String, _ document: JSON) throws(RuntimeError) {
        try RuntimeError.wrap { () throws(ContainerError) in
            let container = try ContainerFolder.find(id, below: root).load()
            let resources: ResourceConfiguration
            do throws(JSONError) { resources = try ResourceConfiguration(JSONPlace(document)) } catch {
                throw .refused("\(error)")
            }
            let lines = try withCgroup(container) { (group) throws(CgroupError) in try group.update(resources) }
            for line in lines { warn(line) }
        }
    }

    /// One line of `events --stats`.
    public func statistics(_ id: String) throws(RuntimeError) -> JSON {
        try RuntimeError.wrap { () throws(ContainerError) in
            let container = try ContainerFolder.find(id, below: root).load()
            let statistics = try withCgroup(container) { (group) throws(CgroupError) in try group.statistics() }
            return .object([
                JSON.Member("type", "stats"), JSON.Member("id", .string(id)), JSON.Member("data", statistics.json),
            ])
        }
    }
}
