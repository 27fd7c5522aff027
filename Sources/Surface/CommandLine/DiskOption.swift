public import ArgumentParser
internal import DiskImage
public import VirtioBlock
public import VirtualMachine

extension DiskConfiguration: ExpressibleByArgument {
    /// Reads `FILE`, then options in any order, each at most once; a comma that is part of a value is doubled.
    ///
    /// `readonly`, `format=raw|qcow2`, `serial=TEXT`, `queues=N`, `iops=N` (requests a second), `bps=N[K|M|G]` (bytes a second).
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
        self.init(path: parts[0])
        for part in parts.dropFirst() {
            let name = part.prefix { $0 != "=" }
            let value = part.count > name.count ? String(part.dropFirst(name.count + 1)) : nil
            guard take(String(name), value) else { return nil }
        }
    }

    /// - Returns: Whether the option exists, was not given before, and has a value that it can have.
    private mutating func take(_ name: String, _ value: String?) -> Bool {
        guard let value else {
            guard name == "readonly" else { return false }
            isReadOnly = true
            return true
        }
        switch name {
        case "format":
            guard format == nil, let known = DiskImageFormat(rawValue: value) else { return false }
            format = known
        case "serial":
            guard serial == nil, (1...20).contains(value.utf8.count) else { return false }
            serial = value
        case "queues":
            guard queueCount == nil, let count = Int(value), (1...VirtioBlockConfiguration.queueLimit).contains(count)
            else { return false }
            queueCount = count
        case "iops":
            guard requestsPerSecond == nil, let rate = UInt64(value), rate > 0 else { return false }
            requestsPerSecond = rate
        case "bps":
            // Plain digits are bytes here.
            guard bytesPerSecond == nil,
                let rate = UInt64(value) ?? ByteCount(parsing: value).map({ UInt64($0.bytes) }),
                rate > 0
            else { return false }
            bytesPerSecond = rate
        default: return false
        }
        return true
    }
}

extension DiskFailureReaction: ExpressibleByArgument {}
