public import ArgumentParser
public import VirtualMachine

/// The options of `viv boot` for what connects a guest with its host.
public struct ServiceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Reach the guest's vsock ports through a Unix socket: clients say 'CONNECT port'; the guest's own connections to"
                + " port P of the host go to PATH_P. The guest's address is 3 unless ',cid=N' follows.",
            valueName: "path[,cid=n]"
        )
    )
    public var vsock: GuestSocketConfiguration?

    @Option(
        defaultAsFlag: BalloonConfiguration(),
        help: ArgumentHelp(
            "Give memory that the guest does not use back to the host; with a size, take so much from the guest at first.",
            valueName: "size"
        )
    )
    public var balloon: BalloonConfiguration?

    @Option(
        help: ArgumentHelp(
            "Share a folder (mount -t virtiofs TAG …); TAG is 'share' unless ',tag=NAME' follows; ',ro': read only. Repeatable.",
            valueName: "folder[,tag=name][,ro]"
        )
    )
    public var share: [SharedFolderConfiguration] = []

    public init() {}

    public func validate() throws {
        if balloon == .noSize { throw ValidationError("--balloon: a size such as 64M, or none") }
        if let twice = share.indices.first(where: { index in share[..<index].contains { $0.tag == share[index].tag } })
        {
            throw ValidationError("--share: two folders have the tag '\(share[twice].tag)': give ',tag=NAME'")
        }
    }

    var configuration: ServiceConfiguration {
        var configuration = ServiceConfiguration()
        configuration.socket = vsock
        configuration.balloon = balloon
        configuration.folders = share
        return configuration
    }
}

extension GuestSocketConfiguration: ExpressibleByArgument {
    /// Reads `PATH` or `PATH,cid=N`; a comma that is part of the path is doubled.
    public init?(argument: String) {
        let parts = CommaList.parts(of: argument)
        guard let path = parts.first, !path.isEmpty else { return nil }
        self.init(path: path)
        for part in parts.dropFirst() {
            guard part.hasPrefix("cid="), let cid = UInt64(part.dropFirst(4)), (3...0xFFFF_FFFE).contains(cid) else {
                return nil
            }
            guestCID = cid
        }
    }
}

extension BalloonConfiguration: ExpressibleByArgument {
    /// What stands for a text that is no size: the option's parser would take its default instead, so validation refuses it.
    static let noSize = BalloonConfiguration(byteCount: .max)

    public init?(argument: String) {
        guard let size = ByteCount(parsing: argument), size.bytes >= 0 else {
            self = .noSize
            return
        }
        self.init(byteCount: UInt64(size.bytes))
    }
}

extension SharedFolderConfiguration: ExpressibleByArgument {
    /// Reads `FOLDER` and then any of `,tag=NAME` and `,ro`; a comma that is part of the path is doubled.
    public init?(argument: String) {
        let parts = CommaList.parts(of: argument)
        guard let path = parts.first, !path.isEmpty else { return nil }
        self.init(path: path)
        for part in parts.dropFirst() {
            if part == "ro" {
                isReadOnly = true
            } else if part.hasPrefix("tag="), (5...40).contains(part.utf8.count) {
                tag = String(part.dropFirst(4))
            } else {
                return nil
            }
        }
    }
}

/// The parts of an option's value, separated by commas; a doubled comma is one that belongs to its part.
enum CommaList {
    static func parts(of text: String) -> [String] {
        var parts = [""]
        var rest = text[...]
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
        return parts
    }
}
