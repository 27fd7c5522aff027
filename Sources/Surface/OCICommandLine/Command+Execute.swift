internal import Glibc
internal import JSON
internal import OCIRuntime

extension Command {
    static let exec = Command(
        name: "exec",
        usage:
            "[--process FILE] [--tty] [--user UID[:GID]] [--cwd FOLDER] [--env NAME=VALUE]… [--detach] [--pid-file FILE] ID [PROGRAM [ARGUMENT…]]",
        summary: "start another process in a container",
        options: [
            Words.Option("console-socket"), Words.Option("cwd"), Words.Option("env", "e"), .flag("tty", "t"),
            Words.Option("user", "u"), Words.Option("additional-gids", "g"), Words.Option("process", "p"),
            .flag("detach", "d"),
            Words.Option("pid-file"), Words.Option("process-label"), Words.Option("apparmor"), .flag("no-new-privs"),
            Words.Option("cap", "c"), Words.Option("preserve-fds"), Words.Option("cgroup"), .flag("ignore-paused"),
        ],
        mixesOptions: false
    ) { runtime, words in
        guard let id = words.operands.first else { throw UsageError("container ID is missing") }
        var options = ExecuteOptions(process: try process(runtime, id, words))
        options.pidFile = words.value("pid-file")
        options.subgroup = words.value("cgroup") ?? ""
        options.ignoresPaused = words.flag("ignore-paused")
        options.preservedCount = words.value("preserve-fds").flatMap { UInt32($0) } ?? 0
        let isTerminal = options.process["terminal"] == .bool(true)
        return try Foreground.run(isDetached: words.flag("detach"), consoleSocket: words.value("console-socket")) {
            socket in
            options.consoleSocket = socket ?? words.value("console-socket")
            return try runtime.execute(id, options)
        } wantsTerminal: {
            isTerminal
        } finally: {
        }
    }

    /// The process that the words describe.
    private static func process(_ runtime: Runtime, _ id: String, _ words: Words) throws -> JSON {
        if let path = words.value("process") { return try runtime.document(path) }
        let own = try runtime.processConfiguration(id)
        guard words.operands.count > 1, case .object(var members) = own else {
            throw UsageError("process args cannot be empty")
        }
        func set(_ name: String, _ value: JSON) {
            members.removeAll { $0.name == name }
            members.append(JSON.Member(name, value))
        }
        set("args", .array(words.operands.dropFirst().map { .string($0) }))
        set("terminal", .bool(words.flag("tty")))
        if let folder = words.value("cwd") { set("cwd", .string(folder)) }
        if !words.all("env").isEmpty {
            var environment: [JSON] = []
            if case .array(let old)? = own["env"] { environment = old }
            set("env", .array(environment + words.all("env").map { .string($0) }))
        }
        if let label = words.value("process-label") { set("selinuxLabel", .string(label)) }
        if let profile = words.value("apparmor") { set("apparmorProfile", .string(profile)) }
        if words.flag("no-new-privs") { set("noNewPrivileges", true) }
        var user: [JSON.Member] = []
        if case .object(let old)? = own["user"] { user = old }
        if let text = words.value("user") {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { UInt32($0) }
            guard (1...2).contains(parts.count), parts.allSatisfy({ $0 != nil }) else {
                throw UsageError("--user is '\(text)', not UID[:GID]")
            }
            user.removeAll { $0.name == "uid" || parts.count > 1 && $0.name == "gid" }
            user.append(JSON.Member("uid", .integer(Int64(parts[0] ?? 0))))
            if parts.count > 1 { user.append(JSON.Member("gid", .integer(Int64(parts[1] ?? 0)))) }
        }
        let groups = words.all("additional-gids").compactMap { UInt32($0) }
        if !groups.isEmpty {
            user.removeAll { $0.name == "additionalGids" }
            user.append(JSON.Member("additionalGids", .array(groups.map { .integer(Int64($0)) })))
        }
        set("user", .object(user))
        let added = words.all("cap").map { JSON.string($0) }
        if !added.isEmpty, case .object(let sets)? = own["capabilities"] {
            set(
                "capabilities",
                .object(
                    sets.map { member in
                        guard member.name != "ambient", member.name != "inheritable",
                            case .array(let old) = member.value
                        else { return member }
                        return JSON.Member(member.name, .array(old + added))
                    }
                )
            )
        }
        return .object(members)
    }

    static let update = Command(
        name: "update",
        usage:
            "[--resources FILE|-] [--memory BYTES] [--memory-swap BYTES] [--cpu-quota N] [--cpu-period N] [--pids-limit N] … ID",
        summary: "change a container's limits",
        options: [Words.Option("resources", "r")] + limits.map { Words.Option($0.option) }
    ) { runtime, words in
        let id = try words.operands("container ID")[0]
        var document: JSON
        if let path = words.value("resources") {
            document = try runtime.document(path)
        } else {
            document = .object([])
            for limit in limits {
                guard let text = words.value(limit.option) else { continue }
                let value: JSON
                if limit.isText {
                    value = .string(text)
                } else {
                    guard let number = Int64(text) ?? Self.bytes(text) else {
                        throw UsageError("--\(limit.option) is '\(text)', no number")
                    }
                    value = .integer(number)
                }
                document = document.setting(limit.path, value)
            }
        }
        try runtime.update(id, document)
        return 0
    }

    private static let limits: [(option: String, path: [String], isText: Bool)] = [
        ("memory", ["memory", "limit"], false), ("memory-reservation", ["memory", "reservation"], false),
        ("memory-swap", ["memory", "swap"], false), ("cpu-shares", ["cpu", "shares"], false),
        ("cpu-share", ["cpu", "shares"], false), ("cpu-quota", ["cpu", "quota"], false),
        ("cpu-period", ["cpu", "period"], false),
        ("cpu-burst", ["cpu", "burst"], false), ("cpu-idle", ["cpu", "idle"], false),
        ("cpu-rt-period", ["cpu", "realtimePeriod"], false), ("cpu-rt-runtime", ["cpu", "realtimeRuntime"], false),
        ("cpuset-cpus", ["cpu", "cpus"], true), ("cpuset-mems", ["cpu", "mems"], true),
        ("pids-limit", ["pids", "limit"], false),
        ("blkio-weight", ["blockIO", "weight"], false),
    ]

    /// Bytes with a suffix: 64M.
    private static func bytes(_ text: String) -> Int64? {
        guard let unit = text.last, let power = ["k": 10, "m": 20, "g": 30, "t": 40][unit.lowercased()],
            let number = Int64(text.dropLast())
        else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << Int64(power))
        return overflow ? nil : bytes
    }
}

extension JSON {
    /// The same with a value at a path of members.
    fileprivate func setting(_ path: [String], _ value: JSON) -> JSON {
        guard let name = path.first, case .object(var members) = self else { return value }
        let old = self[name] ?? .object([])
        members.removeAll { $0.name == name }
        members.append(Member(name, old.setting(Array(path.dropFirst()), value)))
        return .object(members)
    }
}
