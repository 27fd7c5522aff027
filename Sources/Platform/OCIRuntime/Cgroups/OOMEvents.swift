internal import CLinux
internal import Glibc
internal import SystemCalls

/// Tells when the kernel finds no memory for a group's processes within its limit.
///
/// Version 1 tells by an eventfd of `memory.oom_control`, version 2 by changes of `memory.events`.
public struct OOMEvents: ~Copyable, Sendable {
    public enum Event: Hashable, Sendable {
        case outOfMemory
        /// The group is gone, or has no processes any more.
        case ended
    }

    private let file: FileDescriptor
    private let directory: CgroupDirectory
    private let isLegacy: Bool
    /// How many processes of the group had been killed when it was last looked at (version 2).
    private var killCount: UInt64 = 0

    /// Readable when ``next()`` has something to tell.
    public var descriptor: Int32 { file.rawValue }

    init(legacy directory: CgroupDirectory) throws(CgroupError) {
        self.init(file: try Self.legacyEvent(directory), directory: directory, isLegacy: true)
    }

    init(unified directory: CgroupDirectory) throws(CgroupError) {
        self.init(file: try Self.unifiedWatch(directory), directory: directory, isLegacy: false)
        killCount = kills ?? 0
    }

    private init(file: consuming FileDescriptor, directory: CgroupDirectory, isLegacy: Bool) {
        self.file = file
        self.directory = directory
        self.isLegacy = isLegacy
    }

    private static func legacyEvent(_ directory: CgroupDirectory) throws(CgroupError) -> FileDescriptor {
        let path = directory / "memory.oom_control"
        let opened = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard opened >= 0 else { throw .unreadable(path: path, errno: errno) }
        let control = FileDescriptor(owning: opened)
        let event = clinux_eventfd()
        guard event >= 0 else { throw .callFailed(call: "eventfd", path: directory.path, errno: -event) }
        let file = FileDescriptor(owning: event)
        try directory.write("\(event) \(control.rawValue)", to: "cgroup.event_control")
        return file
    }

    private static func unifiedWatch(_ directory: CgroupDirectory) throws(CgroupError) -> FileDescriptor {
        let watch = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
        guard watch >= 0 else { throw .callFailed(call: "inotify_init1", path: directory.path, errno: errno) }
        let file = FileDescriptor(owning: watch)
        for name in ["memory.events", "cgroup.events"] {
            guard unsafe inotify_add_watch(watch, directory / name, UInt32(IN_MODIFY)) >= 0 else {
                throw .callFailed(call: "inotify_add_watch", path: directory / name, errno: errno)
            }
        }
        return file
    }

    private var kills: UInt64? { directory.table("memory.events").first { $0.key == "oom_kill" }?.value }

    /// What has happened since the last call, or nil; does not wait.
    public mutating func next() -> Event? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(file.rawValue, $0.baseAddress, $0.count) }
        guard count > 0 else { return nil }
        if isLegacy { return directory.has("cgroup.event_control") ? .outOfMemory : .ended }
        if let kills, kills > killCount {
            killCount = kills
            return .outOfMemory
        }
        let isPopulated = directory.table("cgroup.events").contains { $0 == ("populated", 1) }
        return isPopulated ? nil : .ended
    }
}
