import ArgumentParser
import DiskImage
internal import Glibc

/// `viv disk map`.
struct DiskMap: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "map",
        abstract: "List the extents of an image and which image of the chain holds each."
    )

    @Option(name: .customShort("f"), help: ArgumentHelp("The image's format.", valueName: "format"))
    var format: DiskImageFormat?
    @OptionGroup var output: DiskOutputOption
    @Option(help: ArgumentHelp("Where to start.", valueName: "offset"))
    var startOffset: DiskByteCount?
    @Option(help: ArgumentHelp("How far to go.", valueName: "length"))
    var maxLength: DiskByteCount?
    @Flag(name: [.customShort("U"), .customLong("force-share")], help: "Look even while another process writes to it.")
    var isShared = false
    @Argument(help: "The image's path.")
    var path: String

    func run() throws {
        let opened = try diskFailing { () throws(DiskImageError) in
            try OpenedDiskImage(
                path: path,
                DiskImageOptions(format: format, isReadOnly: true, locking: isShared ? .sharing : .usual)
            )
        }
        var files: [(path: String, isRaw: Bool)] = []
        var next: OpenedDiskImage? = opened
        while let image = next {
            files.append((image.path, image.format == .raw))
            next = image.backing
        }
        var lines: [String] = []
        if output.form == .human { lines.append("Offset          Length          Mapped to       File") }
        var place = min(startOffset?.bytes ?? 0, opened.image.byteCount)
        let length = min(maxLength?.bytes ?? .max, opened.image.byteCount - place)
        let end = place + length
        var objects: [String] = []
        while place < end {
            var extent = try extent(opened.image, place, end)
            while extent.offset + extent.byteCount < end {
                let following = try self.extent(opened.image, extent.offset + extent.byteCount, end)
                guard let joined = Self.join(extent, following) else { break }
                extent = joined
            }
            place = extent.offset + extent.byteCount
            let file = extent.depth < files.count ? files[extent.depth] : files[0]
            if output.form == .json {
                objects.append(Self.object(extent, isRaw: file.isRaw, depth: extent.depth))
            } else if extent.kind == .data {
                let host = extent.hostOffset.map { "0x" + String($0, radix: 16) } ?? "compressed"
                let columns = [
                    "0x" + String(extent.offset, radix: 16), "0x" + String(extent.byteCount, radix: 16), host,
                ]
                lines.append(
                    columns.map { $0 + String(repeating: " ", count: max(1, 16 - $0.count)) }.joined() + file.path
                )
            }
        }
        if output.form == .json { lines.append("[" + objects.joined(separator: ",\n") + "]") }
        Console.write(lines.joined(separator: "\n") + "\n", to: STDOUT_FILENO)
    }

    private func extent(_ image: any DiskImage, _ place: UInt64, _ end: UInt64) throws(CommandFailure) -> DiskExtent {
        try diskFailing { () throws(DiskImageError) in try image.extent(at: place, byteCount: end - place) }
    }

    /// One extent of two that follow each other, in the file too.
    private static func join(_ one: DiskExtent, _ two: DiskExtent) -> DiskExtent? {
        guard one.kind == two.kind, one.depth == two.depth, one.isCompressed == two.isCompressed else { return nil }
        if one.hostOffset.map({ $0 + one.byteCount }) != two.hostOffset { return nil }
        return DiskExtent(
            one.kind,
            offset: one.offset,
            byteCount: one.byteCount + two.byteCount,
            depth: one.depth,
            hostOffset: one.hostOffset,
            isCompressed: one.isCompressed
        )
    }

    private static func object(_ extent: DiskExtent, isRaw: Bool, depth: Int) -> String {
        let isData = extent.kind == .data
        var text = "{ \"start\": \(extent.offset), \"length\": \(extent.byteCount), \"depth\": \(depth), "
        text += "\"present\": \(extent.kind != .unallocated), \"zero\": \(!isData), \"data\": \(isData)"
        if isData { text += ", \"compressed\": \(extent.isCompressed)" }
        if let host = extent.hostOffset, isData || isRaw { text += ", \"offset\": \(host)" }
        return text + "}"
    }
}
