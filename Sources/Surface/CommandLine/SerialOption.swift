public import ArgumentParser
public import VirtualMachine

extension SerialPort: ExpressibleByArgument {
    /// Reads `stdio`, `none`, `pty`, `file:PATH` or `unix:PATH`.
    public init?(argument: String) {
        switch argument {
        case "stdio": self = .standardIO
        case "none": self = .disconnected
        case "pty": self = .pseudoTerminal
        default:
            guard let colon = argument.firstIndex(of: ":") else { return nil }
            let path = String(argument[argument.index(after: colon)...])
            guard !path.isEmpty else { return nil }
            switch argument[..<colon] {
            case "file": self = .file(path: path)
            case "unix": self = .unixSocket(path: path)
            default: return nil
            }
        }
    }

    public var defaultValueDescription: String { "stdio" }
}
