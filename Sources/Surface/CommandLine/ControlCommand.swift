public import ArgumentParser
internal import Glibc
internal import SystemCalls
internal import VirtualMachine

/// `viv control`: asks something of a machine that was started with `--control`.
public struct ControlCommand: ParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "control",
        abstract: "Pause, save or end a running machine.",
        discussion: """
            The machine is one that `viv boot --control SOCKET` has started.

            COMMANDS
            \(ControlCommand.commands)

            EXIT STATUS
              0      it was done
              1      the machine refused, or is not there; one line says why
              64     the command line was not understood
            """
    )

    @Argument(help: ArgumentHelp("The machine's control socket.", valueName: "socket"))
    var socket: String

    @Argument(help: ArgumentHelp("What to do, with its file.", valueName: "command"))
    var command: [String]

    @Option(
        help: ArgumentHelp("How to print the answer: text, or json for the machine's own line.", valueName: "format")
    )
    var format = ControlFormat.text

    public init() {}

    private static var commands: String {
        let width = ControlRequest.help.map(\.usage.count).max() ?? 0
        return ControlRequest.help.map { row in
            "  " + row.usage + String(repeating: " ", count: width - row.usage.count + 2) + row.meaning
        }.joined(separator: "\n")
    }

    public func validate() throws {
        guard let word = command.first else { throw ValidationError("a command is missing: see viv control --help") }
        if word == "help" { return }
        guard let request = ControlRequest(line: words) else {
            throw ValidationError("there is no command '\(command.joined(separator: " "))': see viv control --help")
        }
        if request == .save(path: "") { throw ValidationError("a file is missing: save FILE") }
    }

    public func run() throws {
        if command.first == "help", format == .text { return print(Self.commands) }
        let answer: String
        do throws(SystemCallError) { answer = try ControlClient.send(line, to: socket) } catch {
            throw CommandFailure("\(socket): no machine answers: \(error)")
        }
        if format == .json {
            print(answer)
            if !answer.hasPrefix("{\"ok\":true") { Glibc.exit(ExitStatus.failure) }
            return
        }
        let text = ControlText(answer)
        if let error = text.error { throw CommandFailure(error) }
        for line in text.lines { print(line) }
    }

    /// The command with its sizes in bytes.
    private var words: String {
        if command.count == 2, command[0] == "balloon", let size = ByteCount(parsing: command[1]) {
            return "balloon \(size.bytes)"
        }
        return command.joined(separator: " ")
    }

    /// The request; a file's name counts from here, not from where the machine was started.
    private var line: String {
        let line = words
        guard case .save(let path) = ControlRequest(line: line), !path.hasPrefix("/") else { return line }
        var buffer = [CChar](repeating: 0, count: 4096)
        guard unsafe getcwd(&buffer, buffer.count) != nil else { return line }
        let folder = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return "save \(folder)/\(path)"
    }
}

/// What `--format` names.
public enum ControlFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case text
    case json
}
