/// A command that could not do its work: the one line that `viv` prints, and the status it ends with.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ message: String) {
        // A file name may hold a line break; the message stays one line.
        description = message.split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    init(_ cause: some Error) { self.init("\(cause)") }
}
