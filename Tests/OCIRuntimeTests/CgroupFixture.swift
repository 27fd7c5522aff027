import Glibc
import JSON

@testable import OCIRuntime

/// What tests of control groups share.
enum CgroupFixture {
    /// `linux.resources` from its text.
    static func resources(_ text: String) throws -> ResourceConfiguration {
        try ResourceConfiguration(JSONPlace(JSON(parsing: Array(text.utf8)), path: "linux.resources"))
    }

    /// The host's hierarchies where this process may make groups of version 1.
    static let legacyHost: CgroupHost? = {
        guard getuid() == 0, let host = try? CgroupHost.detect(), host.hierarchy(of: "pids") != nil else { return nil }
        guard host.hierarchy(of: "freezer") != nil, host.hierarchy(of: "memory") != nil else { return nil }
        return access(host.hierarchy(of: "pids")?.mountPoint ?? "", W_OK) == 0 ? host : nil
    }()

    /// Version 2 alone, as far as this host has it.
    static let unifiedHost: CgroupHost? = {
        guard getuid() == 0, let unified = (try? CgroupHost.detect())?.unified else { return nil }
        guard access(unified.mountPoint, W_OK) == 0 else { return nil }
        return CgroupHost(hierarchies: [], unified: unified)
    }()

    static func uniqueName(_ name: String = "viv") -> String { "\(name)-\(getpid())-\(UInt32.random(in: 0...(.max)))" }

    /// A folder that looks like version 2's top, with a group `c` that has those files.
    static func fakeUnified(_ files: [String: String]) throws -> (host: CgroupHost, group: CgroupDirectory) {
        let top = "/tmp/" + uniqueName("cgroup2")
        let group = CgroupDirectory(top + "/c")
        mkdir(top, 0o755)
        mkdir(group.path, 0o755)
        for (name, value) in files { try write(value, to: group / name) }
        return (
            CgroupHost(hierarchies: [], unified: .init(controllers: [], mountPoint: top, ownPath: "/own/leaf")), group
        )
    }

    static func write(_ value: String, to path: String) throws {
        close(creat(path, 0o644))
        try CgroupDirectory.put(value, into: path)
    }

    static func removeFake(_ host: CgroupHost) {
        guard let top = host.unified?.mountPoint, top.hasPrefix("/tmp/cgroup2-") else { return }
        _ = try? Child(["/bin/rm", "-r", top]).wait()
    }
}

/// A program that waits, stopped, until it is let go.
struct Child {
    let pid: pid_t

    init(_ arguments: [String], isStopped: Bool = false) throws {
        let words = isStopped ? ["/bin/sh", "-c", "kill -STOP $$; exec \"$@\"", "sh"] + arguments : arguments
        var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        // The threads that run tests block signals, and their children then would.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigaddset(&signals, SIGTERM)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        var pid: pid_t = 0
        let result = posix_spawn(&pid, words[0], &actions, &attributes, &pointers, environ)
        guard result == 0 else { throw CgroupError.callFailed(call: "posix_spawn", path: words[0], errno: result) }
        self.pid = pid
        if isStopped {
            var status: Int32 = 0
            waitpid(pid, &status, WUNTRACED)
        }
    }

    func resume() { kill(pid, SIGCONT) }

    /// The exit code, or the signal that ended it as a negative number; below -1000 where there is no such child.
    func wait() -> Int32 {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 {
            guard errno == EINTR else { return -1000 - errno }
        }
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : -signal
    }
}

/// Runs `body` with a fresh group, and deletes it with all that is in it.
func withGroup(
    _ host: CgroupHost,
    _ body: (inout any ControlGroup) throws -> Void
) throws {
    var group = host.controlGroup(at: .absolute("/" + CgroupFixture.uniqueName()))
    try group.create()
    defer {
        try? group.killAll(signal: SIGKILL)
        try? group.delete()
    }
    try body(&group)
}
