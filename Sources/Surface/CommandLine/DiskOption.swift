public import ArgumentParser
internal import DiskImage
public import VirtualMachine

extension DiskConfiguration: ExpressibleByArgument {
    /// Reads `FILE`, then `,readonly` and `,format=raw` or `,format=qcow2`; a comma that is part of a name is doubled.
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
        guard !parts[0].isEmpty, Set(parts.dropFirst()).count == parts.count - 1 else { return nil }
        var isReadOnly = false
        var format: DiskImageFormat?
        for part in parts.dropFirst() {
            if part == "readonly" {
                isReadOnly = true
            } else if part.hasPrefix("format="), format == nil,
                let known = DiskImageFormat(rawValue: String(part.dropFirst(7)))
            {
                format = known
            } else {
                return nil
            }
        }
        self.init(path: parts[0], isReadOnly: isReadOnly, format: format)
    }
}
