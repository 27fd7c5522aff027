internal import Glibc
public import JSON

extension Runtime {
    /// The JSON of a file, or of standard input for `-`.
    public func document(_ path: String) throws(RuntimeError) -> JSON {
        guard let bytes = HostText.bytes(path == "-" ? "/dev/stdin" : path) else {
            throw RuntimeError("cannot read \(path)")
        }
        do throws(JSONError) { return try JSON(parsing: bytes) } catch { throw RuntimeError("\(path): \(error)") }
    }

    /// Whether the process of a bundle has a terminal.
    public func wantsTerminal(bundle: String) throws(RuntimeError) -> Bool {
        try RuntimeError.wrap { () throws(ContainerError) in
            try ContainerFolder.readConfiguration(bundle + "/config.json").process?.hasTerminal ?? false
        }
    }

    /// Prints what ps(1) says of some processes.
    public func printProcesses(_ processes: [Int32], _ options: [String]) throws(RuntimeError) {
        try RuntimeError.wrap { () throws(ContainerError) in
            let list = processes.map { "\($0)" }.joined(separator: ",")
            try Program.run("/usr/bin/ps", options + (list.isEmpty ? [] : ["-p", list]))
        }
    }
}
