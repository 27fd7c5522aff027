public import ArgumentParser
internal import Glibc

/// The `viv` command.
public struct Viv: ParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "viv",
        abstract: "Run Linux workloads behind the isolation you pick.",
        discussion: """
            `viv boot` starts an unmodified kernel or disk on an emulated PC, in software, as an ordinary user. \
            `viv help COMMAND` tells all about a command.
            """,
        version: "viv 0.1.0",
        subcommands: [BootCommand.self, DiskCommand.self, Disasm.self, InitramfsCommand.self, ControlCommand.self]
    )

    public init() {}

    /// Runs the command line and ends the process: 0 and what was asked for, or one line on standard error and its status.
    public static func start() -> Never {
        // A reader that goes away must not end a machine: writes answer for it.
        signal(SIGPIPE, SIG_IGN)
        do {
            if let creation = DiskCreation(plainWords: Swift.CommandLine.arguments.dropFirst()) {
                try creation.run()
            } else {
                var command = try parseAsRoot()
                try command.run()
            }
        } catch let failure as CommandFailure {
            Console.say("viv: \(failure)")
            Glibc.exit(ExitStatus.failure)
        } catch {
            // Help, version and statuses are `error`s too; only a bad command line is told in one line.
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            let lines = message(for: error).split(whereSeparator: \.isNewline)
            Console.say("viv: " + lines.joined(separator: " ") + " (see viv --help)")
            Glibc.exit(ExitStatus.usage)
        }
        Glibc.exit(ExitStatus.success)
    }
}
