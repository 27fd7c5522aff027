import ArgumentParser
import DiskImage
internal import Glibc

/// `viv disk info`.
struct DiskInfo: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Tell what an image is: format, sizes, backing file, snapshots."
    )

    @Option(name: .customShort("f"), help: ArgumentHelp("The image's format.", valueName: "format"))
    var format: DiskImageFormat?
    @OptionGroup var output: DiskOutputOption
    @Flag(name: .customLong("backing-chain"), help: "Tell of the images below it too.")
    var isChain = false
    @Flag(name: [.customShort("U"), .customLong("force-share")], help: "Look even while another process writes to it.")
    var isShared = false
    @Argument(help: "The image's path.")
    var path: String

    func run() throws {
        var next: (path: String, format: DiskImageFormat?)? = (path, format)
        var objects: [JSONText] = []
        var texts: [String] = []
        var seen: Set<String> = []
        while let (path, format) = next {
            guard seen.insert(path).inserted else {
                throw CommandFailure(DiskImageError.backingLoop(path: path))
            }
            let opened = try diskFailing { () throws(DiskImageError) in
                try OpenedDiskImage(
                    path: path,
                    DiskImageOptions(
                        format: format,
                        isReadOnly: true,
                        locking: isShared ? .sharing : .usual,
                        opensBacking: false
                    )
                )
            }
            let facts = opened.qcow2?.facts
            objects.append(Self.object(opened, facts))
            texts.append(Self.text(opened, facts))
            next = nil
            if isChain, let backing = facts?.backingPath {
                next = (
                    DiskPaths.backing(backing, of: path), facts?.backingFormat.flatMap(DiskImageFormat.init(rawValue:))
                )
            }
        }
        switch output.form {
        case .json:
            let all = isChain ? JSONText.list(objects) : objects[0]
            Console.write(all.encoded() + "\n", to: STDOUT_FILENO)
        case .human: Console.write(texts.joined(separator: "\n"), to: STDOUT_FILENO)
        }
    }

    private static func object(_ opened: OpenedDiskImage, _ facts: QCOW2Facts?) -> JSONText {
        var fields: [(String, JSONText)] = []
        if let format = facts?.backingFormat { fields.append(("backing-filename-format", .text(format))) }
        if let qcow2 = opened.qcow2, !qcow2.snapshotList.isEmpty {
            fields.append(("snapshots", .list(qcow2.snapshotList.map(DiskSnapshots.object))))
        }
        fields.append(("virtual-size", .count(opened.image.byteCount)))
        fields.append(("filename", .text(opened.path)))
        if let facts { fields.append(("cluster-size", .number(Int64(facts.clusterByteCount)))) }
        fields.append(("format", .text(opened.format.name)))
        fields.append(("actual-size", .count(opened.file.allocatedByteCount)))
        if let facts {
            var data: [(String, JSONText)] = [("compat", .text(facts.version == 2 ? "0.10" : "1.1"))]
            data.append(("compression-type", .text(facts.compression.name)))
            if facts.version >= 3 { data.append(("lazy-refcounts", .boolean(facts.isLazy))) }
            data.append(("refcount-bits", .number(Int64(facts.refcountBits))))
            if facts.version >= 3 {
                data.append(("corrupt", .boolean(facts.isCorrupt)))
                data.append(("extended-l2", .boolean(facts.hasExtendedL2)))
            }
            if let file = facts.dataFilePath {
                data.append(("data-file", .text(file)))
                data.append(("data-file-raw", .boolean(facts.isDataFileRaw)))
            }
            fields.append(("format-specific", .object([("type", .text("qcow2")), ("data", .object(data))])))
            if let backing = facts.backingPath {
                fields.append(("full-backing-filename", .text(DiskPaths.backing(backing, of: opened.path))))
                fields.append(("backing-filename", .text(backing)))
            }
        }
        fields.append(("dirty-flag", .boolean(facts?.isDirty ?? false)))
        return .object(fields)
    }

    private static func text(_ opened: OpenedDiskImage, _ facts: QCOW2Facts?) -> String {
        let size = opened.image.byteCount
        var lines = [
            "image: \(opened.path)",
            "file format: \(opened.format.name)",
            "virtual size: \(DiskByteCount.text(size)) (\(size) bytes)",
            "disk size: \(DiskByteCount.text(opened.file.allocatedByteCount))",
        ]
        guard let facts else { return lines.joined(separator: "\n") + "\n" }
        if facts.isDirty { lines.append("cleanly shut down: no") }
        lines.append("cluster_size: \(facts.clusterByteCount)")
        if let backing = facts.backingPath {
            let full = DiskPaths.backing(backing, of: opened.path)
            lines.append("backing file: \(backing)" + (full == backing ? "" : " (actual path: \(full))"))
            if let format = facts.backingFormat { lines.append("backing file format: \(format)") }
        }
        if let snapshots = opened.qcow2?.snapshotList, !snapshots.isEmpty {
            lines += DiskSnapshots.table(snapshots)
        }
        lines.append("Format specific information:")
        lines.append("    compat: \(facts.version == 2 ? "0.10" : "1.1")")
        lines.append("    compression type: \(facts.compression.name)")
        if facts.version >= 3 { lines.append("    lazy refcounts: \(facts.isLazy)") }
        lines.append("    refcount bits: \(facts.refcountBits)")
        if let file = facts.dataFilePath {
            lines.append("    data file: \(file)")
            lines.append("    data file raw: \(facts.isDataFileRaw)")
        }
        if facts.version >= 3 {
            lines.append("    corrupt: \(facts.isCorrupt)")
            lines.append("    extended l2: \(facts.hasExtendedL2)")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
