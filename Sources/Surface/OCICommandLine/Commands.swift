internal import Glibc
internal import JSON
internal import OCIRuntime

extension Command {
    static let all = [
        create, start, run, state, kill, delete, exec, list, processes, pause, resume, update, events, spec, features,
    ]

    private static let bundleOptions = [
        Words.Option("bundle", "b"), Words.Option("console-socket"), Words.Option("pid-file"),
        Words.Option("preserve-fds"),
        Words.Option.flag("no-pivot"), Words.Option.flag("no-new-keyring"), Words.Option.flag("keep"),
        Words.Option.flag("no-subreaper"), Words.Option.flag("detach", "d"),
    ]

    private static func createOptions(_ words: Words) throws(UsageError) -> CreateOptions {
        var options = CreateOptions(bundle: words.value("bundle") ?? OCICommandLine.currentFolder)
        options.consoleSocket = words.value("console-socket")
        options.pidFile = words.value("pid-file")
        options.usesNoPivot = words.flag("no-pivot")
        options.preservedCount = try preserved(words)
        return options
    }

    /// Descriptors that whoever called hands on: those of `--preserve-fds`, and of sd_listen_fds(3).
    private static func preserved(_ words: Words) throws(UsageError) -> UInt32 {
        guard let text = words.value("preserve-fds") else { return 0 }
        guard let count = UInt32(text), count < 1 << 16 else {
            throw UsageError("--preserve-fds is '\(text)', no number of descriptors")
        }
        return count
    }

    private static let create = Command(
        name: "create",
        usage: "[--bundle FOLDER] [--console-socket SOCKET] [--pid-file FILE] [--no-pivot] [--preserve-fds N] ID",
        summary: "create a container, whose program waits for start",
        options: bundleOptions
    ) { runtime, words in
        let id = try words.operands("container ID")[0]
        try runtime.create(id, try createOptions(words))
        return 0
    }

    private static let start = Command(
        name: "start",
        usage: "ID",
        summary: "let the program of a created container begin",
        options: []
    ) { runtime, words in
        try runtime.start(try words.operands("container ID")[0])
        return 0
    }

    private static let run = Command(
        name: "run",
        usage: "[--bundle FOLDER] [--detach] [--keep] [--console-socket SOCKET] [--pid-file FILE] ID",
        summary: "create, start, and wait for a container, and delete it",
        options: bundleOptions
    ) { runtime, words in
        let id = try words.operands("container ID")[0]
        let isDetached = words.flag("detach")
        return try Foreground.run(isDetached: isDetached, consoleSocket: words.value("console-socket")) { socket in
            var options = try createOptions(words)
            if let socket { options.consoleSocket = socket }
            let process = try runtime.create(id, options)
            do { try runtime.start(id) } catch {
                try? runtime.delete(id, force: true)
                throw error
            }
            return process
        } wantsTerminal: {
            try runtime.wantsTerminal(bundle: words.value("bundle") ?? OCICommandLine.currentFolder)
        } finally: {
            if !words.flag("keep") { try runtime.delete(id, force: true) }
        }
    }

    private static let state = Command(name: "state", usage: "ID", summary: "print a container's state", options: []) {
        runtime,
        words in
        Output.line(try runtime.state(try words.operands("container ID")[0]).text(indentation: 2))
        return 0
    }

    private static let kill = Command(
        name: "kill",
        usage: "[--all] ID [SIGNAL]",
        summary: "send a signal to a container's first process (SIGTERM)",
        options: [.flag("all", "a")]
    ) { runtime, words in
        guard let id = words.operands.first, words.operands.count <= 2 else {
            throw UsageError("container ID is missing")
        }
        let name = words.operands.count > 1 ? words.operands[1] : "SIGTERM"
        guard let signal = Signals.number(name) else { throw UsageError("unknown signal \"\(name)\"") }
        try runtime.kill(id, signal: signal, all: words.flag("all"))
        return 0
    }

    private static let delete = Command(
        name: "delete",
        usage: "[--force] ID",
        summary: "forget a container that has stopped",
        options: [.flag("force", "f")]
    ) { runtime, words in
        try runtime.delete(try words.operands("container ID")[0], force: words.flag("force"))
        return 0
    }

    private static let list = Command(
        name: "list",
        usage: "[--format table|json] [--quiet]",
        summary: "list containers",
        options: [Words.Option("format", "f"), .flag("quiet", "q")]
    ) { runtime, words in
        let all = runtime.list()
        if words.flag("quiet") {
            for state in all { Output.line(state.text("id")) }
        } else if words.value("format") == "json" {
            Output.line(JSON.array(all).text())
        } else {
            var rows = [["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]]
            for state in all {
                rows.append(["id", "pid", "status", "bundle", "created", "owner"].map { state.text($0) })
            }
            Output.table(rows)
        }
        return 0
    }

    private static let processes = Command(
        name: "ps",
        usage: "[--format table|json] ID [PS OPTIONS]",
        summary: "list the processes of a container",
        options: [Words.Option("format", "f")],
        mixesOptions: false
    ) { runtime, words in
        guard let id = words.operands.first else { throw UsageError("container ID is missing") }
        let processes = try runtime.processes(id)
        if words.value("format") == "json" {
            Output.line(JSON.array(processes.map { .integer(Int64($0)) }).text())
            return 0
        }
        let options = words.operands.dropFirst()
        try runtime.printProcesses(processes, options.isEmpty ? ["-ef"] : Array(options))
        return 0
    }

    private static let pause = Command(
        name: "pause",
        usage: "ID",
        summary: "freeze all processes of a container",
        options: []
    ) {
        runtime,
        words in
        try runtime.pause(try words.operands("container ID")[0])
        return 0
    }

    private static let resume = Command(
        name: "resume",
        usage: "ID",
        summary: "let a frozen container go on",
        options: []
    ) {
        runtime,
        words in
        try runtime.resume(try words.operands("container ID")[0])
        return 0
    }

    private static let events = Command(
        name: "events",
        usage: "[--stats] [--interval DURATION] ID",
        summary: "print what a container uses",
        options: [.flag("stats"), Words.Option("interval")]
    ) { runtime, words in
        let id = try words.operands("container ID")[0]
        let text = words.value("interval") ?? "5s"
        guard let seconds = Double(text.hasSuffix("s") ? String(text.dropLast()) : text), seconds > 0 else {
            throw UsageError("--interval is '\(text)', no time such as 5s")
        }
        while true {
            Output.line(try runtime.statistics(id).text())
            if words.flag("stats") { return 0 }
            usleep(UInt32(min(seconds, 3600) * 1_000_000))
        }
    }

    private static let spec = Command(
        name: "spec",
        usage: "[--bundle FOLDER] [--rootless]",
        summary: "write a config.json to start from",
        options: [Words.Option("bundle", "b"), .flag("rootless")]
    ) { _, words in
        let path = (words.value("bundle") ?? ".") + "/config.json"
        let text = DefaultConfiguration.json(rootless: words.flag("rootless"), uid: geteuid(), gid: getegid()).text(
            indentation: 4
        )
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard file >= 0 else {
            throw UsageError(errno == EEXIST ? "File config.json exists. Remove it first" : "cannot create \(path)")
        }
        Output.write(text + "\n", to: file)
        close(file)
        return 0
    }

    private static let features = Command(
        name: "features",
        usage: "",
        summary: "print what this runtime can do",
        options: []
    ) {
        _,
        _ in
        Output.line(FeatureReport.json.text(indentation: 2))
        return 0
    }
}

extension JSON {
    /// A member as text for a table.
    func text(_ name: String) -> String {
        switch self[name] {
        case .string(let text): text
        case .integer(let number): "\(number)"
        default: ""
        }
    }
}

extension Output {
    static func table(_ rows: [[String]]) {
        var widths = rows.first.map { $0.map(\.count) } ?? []
        for row in rows { for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.count) } }
        for row in rows {
            let cells = row.enumerated().map { column, cell in
                column == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count + 3)
            }
            line(cells.joined())
        }
    }
}

/// Signals by name and number.
enum Signals {
    private static let names = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT",
        "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR",
        "SYS",
    ]

    static func number(_ text: String) -> Int32? {
        if let number = Int32(text) { return (0...64).contains(number) ? number : nil }
        let upper = text.uppercased()
        let name = upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
        if let index = names.firstIndex(of: name) { return Int32(index + 1) }
        if name.hasPrefix("RTMIN+"), let more = Int32(name.dropFirst(6)), (0...30).contains(more) { return 34 + more }
        if name.hasPrefix("RTMAX-"), let less = Int32(name.dropFirst(6)), (0...30).contains(less) { return 64 - less }
        return ["RTMIN": 34, "RTMAX": 64, "POLL": 29, "IOT": 6, "CLD": 17][name]
    }
}
