internal import OCIRuntime

/// One word of the runtime's command line.
struct Command: Sendable {
    let name: String
    let usage: String
    let summary: String
    let options: [Words.Option]
    /// Options may follow operands; not where operands are somebody's program.
    var mixesOptions = true
    let body: @Sendable (Runtime, Words) throws -> Int32

    /// - Throws: ``RuntimeError``; what is wrong with the words, too.
    func run(_ runtime: Runtime, _ words: Words) throws(RuntimeError) -> Int32 {
        do { return try body(runtime, words) } catch let error as RuntimeError { throw error } catch let error
            as UsageError
        {
            throw RuntimeError(error.text)
        } catch {
            throw RuntimeError("\(error)")
        }
    }
}

/// The text of `help`.
enum Help {
    static var text: String {
        let width = Command.all.map(\.name.count).max() ?? 0
        let rows = Command.all.map {
            "   \($0.name)" + String(repeating: " ", count: width - $0.name.count + 2) + $0.summary
        }
        return """
            NAME:
               viv-oci - run containers as the Open Container Initiative's runtime specification says

            USAGE:
               viv-oci [global options] command [command options] [arguments...]

            COMMANDS:
            \(rows.joined(separator: "\n"))

            GLOBAL OPTIONS:
               --root FOLDER          where containers are remembered (/run/viv-oci, or below $XDG_RUNTIME_DIR)
               --log FILE             where messages go, instead of standard error
               --log-format FORMAT    text or json
               --systemd-cgroup       cgroupsPath is of the form slice:prefix:name
               --debug, --version, --help

            EXIT STATUS:
               0 for what was done, 1 with one line for what was not; run and exec: the program's own, or 128 and its signal
            """
    }

    static func text(of command: Command) -> String {
        """
        NAME:
           viv-oci \(command.name) - \(command.summary)

        USAGE:
           viv-oci \(command.name) \(command.usage)
        """
    }
}
