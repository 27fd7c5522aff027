internal import Glibc

/// Writes the maps of a new user namespace: itself where it may, else by newuidmap(1) and newgidmap(1).
enum UserMap {
    static func write(_ plan: LaunchPlan, process: Int32) throws(ContainerError) {
        let isPrivileged = geteuid() == 0
        try write(plan.gidMap, process, file: "gid_map", program: "newgidmap", own: getegid(), isPrivileged) {
            () throws(ContainerError) in
            // Without the right to set groups, a map of one's own group is possible only where they cannot be dropped.
            try put("deny", "/proc/\(process)/setgroups")
        }
        try write(plan.uidMap, process, file: "uid_map", program: "newuidmap", own: geteuid(), isPrivileged) {}
    }

    private static func write(
        _ map: [IdentifierMapping],
        _ process: Int32,
        file: String,
        program: String,
        own: UInt32,
        _ isPrivileged: Bool,
        before: () throws(ContainerError) -> Void
    ) throws(ContainerError) {
        guard !map.isEmpty else { return }
        let lines = map.map { "\($0.containerID) \($0.hostID) \($0.count)\n" }.joined()
        if isPrivileged { return try put(lines, "/proc/\(process)/\(file)") }
        if map.count == 1, map[0].count == 1, map[0].hostID == own {
            try before()
            return try put(lines, "/proc/\(process)/\(file)")
        }
        let numbers = map.flatMap { ["\($0.containerID)", "\($0.hostID)", "\($0.count)"] }
        try Program.run("/usr/bin/\(program)", ["\(process)"] + numbers)
    }

    private static func put(_ text: String, _ path: String) throws(ContainerError) {
        let file = unsafe open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { throw .failed(action: "open \(path)", errno: errno) }
        defer { close(file) }
        let count = unsafe Glibc.write(file, text, text.utf8.count)
        guard count == text.utf8.count else {
            throw .failed(action: "write '\(text.dropLast())' to \(path)", errno: errno)
        }
    }
}
