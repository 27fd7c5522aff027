internal import Glibc
internal import JSON
internal import OCIRuntime
internal import SystemCalls

/// The command line of a container runtime, with runc's contract.
public enum OCICommandLine {
    /// Runs one command and returns the exit status; `words` are those behind the program's name.
    public static func run(_ words: [String]) -> Int32 {
        var log = Log()
        do throws(UsageError) {
            let global = try Words(words[...], globalOptions)
            if let path = global.value("log") { log.path = path }
            log.isJSON = global.value("log-format") == "json"
            log.isDebugging = global.flag("debug")
            if global.flag("version") || global.operands.first == "version" {
                Output.line(versionText)
                return 0
            }
            guard let name = global.operands.first, name != "help", !global.flag("help") else {
                Output.line(Help.text)
                return 0
            }
            guard let command = Command.all.first(where: { $0.name == name }) else {
                throw UsageError("No help topic for '\(name)'")
            }
            let arguments = global.operands.dropFirst()
            if arguments.prefix(while: { $0 != "--" }).contains(where: { $0 == "--help" || $0 == "-h" }) {
                Output.line(Help.text(of: command))
                return 0
            }
            let root = global.value("root") ?? defaultRoot
            let copy = log
            var runtime = Runtime(root: root.hasPrefix("/") ? root : currentFolder + "/" + root) {
                copy.write("warning", $0)
            }
            runtime.usesSystemdCgroup = global.flag("systemd-cgroup")
            let parsed = try Words(arguments, command.options, mixes: command.mixesOptions)
            do throws(RuntimeError) { return try command.run(runtime, parsed) } catch {
                throw UsageError("\(error)")
            }
        } catch {
            log.write("error", error.text)
            return 1
        }
    }

    static let versionText = """
        viv-oci version 1.2.0
        spec: 1.2.0
        """

    private static let globalOptions = [
        Words.Option("root"), Words.Option("log"), Words.Option("log-format"), Words.Option("criu"),
        Words.Option("rootless"),
        Words.Option.flag("debug"), Words.Option.flag("systemd-cgroup"), Words.Option.flag("version", "v"),
        Words.Option.flag("help", "h"),
    ]

    private static var defaultRoot: String {
        guard geteuid() != 0, let folder = Environment.runtimeFolder else { return "/run/viv-oci" }
        return folder + "/viv-oci"
    }

    static var currentFolder: String {
        guard let folder = unsafe getcwd(nil, 0) else { return "/" }
        defer { unsafe free(folder) }
        return unsafe String(cString: folder)
    }
}

enum Environment {
    static var runtimeFolder: String? {
        guard let text = unsafe getenv("XDG_RUNTIME_DIR") else { return nil }
        return unsafe String(cString: text)
    }
}

/// Standard output.
enum Output {
    static func line(_ text: String) { write(text + "\n", to: 1) }

    static func write(_ text: String, to file: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}

/// Messages: on standard error, and in the file of `--log` in the form of `--log-format`.
struct Log: Sendable {
    var path: String?
    var isJSON = false
    var isDebugging = false

    func write(_ level: String, _ text: String) {
        let line: String
        if isJSON {
            line = JSON.object([
                JSON.Member("level", .string(level)), JSON.Member("msg", .string(text)),
                JSON.Member("time", .string(Self.time)),
            ]).text()
        } else {
            line = "time=\"\(Self.time)\" level=\(level) msg=\(JSON.string(text).text())"
        }
        if let path {
            let file = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
            if file >= 0 {
                Output.write(line + "\n", to: file)
                close(file)
            }
        }
        if path == nil || level == "error" { Output.write((path == nil ? line : text) + "\n", to: 2) }
    }

    private static var time: String { Runtime.timestamp() }
}
