internal import CContainer
internal import Glibc
public import JSON
internal import SystemCalls

/// The containers below one folder, and what can be done to them (runtime-spec 1.2 runtime.md).
public struct Runtime: Sendable {
    /// Where the containers' folders are.
    public var root: String
    public var usesSystemdCgroup = false
    public var host: HostFacts
    /// Gets messages that stop nothing.
    public var warn: @Sendable (String) -> Void

    public init(root: String, host: HostFacts = .current(), warn: @escaping @Sendable (String) -> Void) {
        self.root = root
        self.host = host
        self.warn = warn
    }

    static let version = "1.2.0"

    // MARK: State

    /// What the specification calls the state, with what `runc state` has beside.
    public func state(_ id: String) throws(RuntimeError) -> JSON {
        try RuntimeError.wrap { () throws(ContainerError) in
            let folder = try ContainerFolder.find(id, below: root)
            let container = try folder.load()
            return Self.state(container, status(of: container, folder))
        }
    }

    static func state(_ container: SavedContainer, _ status: ContainerStatus) -> JSON {
        let isStopped = status == .stopped
        return .object([
            JSON.Member("ociVersion", .string(version)), JSON.Member("id", .string(container.id)),
            JSON.Member("pid", .integer(isStopped ? 0 : Int64(container.process))),
            JSON.Member("status", .string(status.rawValue)), JSON.Member("bundle", .string(container.bundle)),
            JSON.Member("rootfs", .string(container.root)), JSON.Member("created", .string(container.created)),
            JSON.Member("annotations", .object(container.annotations.map { JSON.Member($0.name, .string($0.value)) })),
            JSON.Member("owner", .string(container.owner == 0 ? "root" : "\(container.owner)")),
        ])
    }

    func status(of container: SavedContainer, _ folder: ContainerFolder) -> ContainerStatus {
        guard HostProcess.isAlive(container.process, since: container.startTime) else { return .stopped }
        if unsafe access(folder.socketPath, F_OK) == 0 { return .created }
        return isFrozen(container) ? .paused : .running
    }

    private func isFrozen(_ container: SavedContainer) -> Bool {
        guard !container.cgroups.isEmpty, let host = try? CgroupHost.detect() else { return false }
        return (try? host.controlGroup(saved: container.cgroups, isRootless: container.isRootless).isFrozen) ?? false
    }

    /// All containers that can be read.
    public func list() -> [JSON] {
        identifiers.compactMap { try? state($0) }
    }

    var identifiers: [String] {
        guard let folder = unsafe opendir(root) else { return [] }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != "..", unsafe access(root + "/" + name + "/state.json", F_OK) == 0 {
                names.append(name)
            }
        }
        return names.sorted()
    }

    // MARK: Cgroups

    func withCgroup<Result>(
        _ container: SavedContainer,
        _ body: (any ControlGroup) throws(CgroupError) -> Result
    ) throws(ContainerError) -> Result {
        guard !container.cgroups.isEmpty else { throw .refused("the container has no control group") }
        do throws(CgroupError) {
            let host = try CgroupHost.detect()
            return try body(host.controlGroup(saved: container.cgroups, isRootless: container.isRootless))
        } catch {
            throw .refused("\(error)")
        }
    }
}

/// What a call of the runtime's could not do: one line.
public struct RuntimeError: Error, CustomStringConvertible, Sendable {
    public let description: String

    public init(_ description: String) { self.description = description }

    static func wrap<Result>(_ body: () throws(ContainerError) -> Result) throws(RuntimeError) -> Result {
        do throws(ContainerError) { return try body() } catch { throw RuntimeError("\(error)") }
    }
}
