/// A command that could not do its work: the one line that `viv` prints, and the status it ends with.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ message: String) {
        // A file name may hold a line break; the message stays one line, unless it is a table, whose rows are indented.
        let lines = message.split(whereSeparator: \.isNewline)
        let isTable = lines.count > 3 && lines.dropFirst().allSatisfy { $0.hasPrefix("  ") }
        description = lines.joined(separator: isTable ? "\n" : " ")
    }

    init(_ cause: some Error) { self.init("\(cause)") }
}
