public import ArgumentParser
public import VirtualMachine

extension DiskConfiguration: ExpressibleByArgument {
    /// Reads `FILE` or `FILE,readonly`; a comma that is part of a name is doubled.
    public init?(argument: String) {
        var parts: [String] = [""]
        var rest = argument[...]
        while let character = rest.popFirst() {
            if character != "," {
                parts[parts.count - 1].append(character)
            } else if rest.first == "," {
                rest.removeFirst()
                parts[parts.count - 1].append(",")
            } else {
                parts.append("")
            }
        }
        guard !parts[0].isEmpty, parts.count <= 2, parts.count == 1 || parts[1] == "readonly" else { return nil }
        self.init(path: parts[0], isReadOnly: parts.count == 2)
    }
}
