import ArgumentParser
import DiskImage
internal import Glibc

/// `viv disk measure`.
struct DiskMeasure: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "measure",
        abstract: "Tell how large a new image would be."
    )

    @Option(name: .customShort("f"), help: ArgumentHelp("The source's format.", valueName: "format"))
    var format: DiskImageFormat?
    @Option(name: .customShort("O"), help: ArgumentHelp("The new image's format.", valueName: "format"))
    var targetFormat: DiskImageFormat = .raw
    @Option(name: .customShort("o"), help: ArgumentHelp("Options of the new image's format.", valueName: "options"))
    var options: [String] = []
    @Option(help: ArgumentHelp("The size of the disk, instead of a source.", valueName: "size"))
    var size: DiskByteCount?
    @Option(name: .customLong("output"), help: "human or json.")
    var form: DiskOutputFormat = .human
    @Flag(name: [.customShort("U"), .customLong("force-share")], help: "Read even while another process writes to it.")
    var isShared = false
    @Argument(help: "The source's path.")
    var path: String?

    func run() throws {
        guard (size == nil) != (path == nil) else { throw ValidationError("either --size or a source is needed") }
        let (required, full) = try diskMeasured()
        if form == .json {
            let object = JSONText.object([("required", .count(required)), ("fully-allocated", .count(full))])
            Console.write(object.encoded() + "\n", to: STDOUT_FILENO)
        } else {
            Console.write("required size: \(required)\nfully allocated size: \(full)\n", to: STDOUT_FILENO)
        }
    }

    private func diskMeasured() throws -> (required: UInt64, full: UInt64) {
        var source: OpenedDiskImage?
        if let path {
            source = try diskFailing { () throws(DiskImageError) in
                try OpenedDiskImage(
                    path: path,
                    DiskImageOptions(format: format, isReadOnly: true, locking: isShared ? .sharing : .usual)
                )
            }
        }
        let byteCount = source?.image.byteCount ?? size?.sectors ?? 0
        let creation = try DiskCreationOptions(options)
        var new = QCOW2CreateOptions(byteCount: byteCount)
        if targetFormat == .qcow2 { try creation.apply(to: &new) } else { _ = try creation.raw() }
        let cluster = targetFormat == .qcow2 ? UInt64(1) << UInt64(new.clusterBits) : 512
        let span = cluster * cluster / 8
        var dataClusters: UInt64 = 0
        var tables: Set<UInt64> = []
        if let image = source?.image {
            try diskFailing { () throws(DiskImageError) in
                var place: UInt64 = 0
                var last: UInt64?
                while place < byteCount {
                    let extent = try image.extent(at: place, byteCount: byteCount - place)
                    let end = place + extent.byteCount
                    if extent.kind == .data {
                        var first = place / cluster
                        if let last, first <= last { first = last + 1 }
                        let final = (end - 1) / cluster
                        if final >= first { dataClusters += final - first + 1 }
                        last = max(last ?? 0, final)
                        if targetFormat == .qcow2 {
                            for table in place / span...(end - 1) / span { tables.insert(table) }
                        }
                    }
                    place = end
                }
            }
        }
        guard targetFormat == .qcow2 else { return (path == nil ? byteCount : dataClusters * 512, byteCount) }
        let allClusters = (byteCount + cluster - 1) / cluster
        let allTables = (byteCount + span - 1) / span
        return try diskFailing { () throws(DiskImageError) in
            let full = try new.measure(dataClusters: allClusters, tables: allTables)
            let isFull = new.preallocation == .falloc || new.preallocation == .full
            return (isFull ? full : try new.measure(dataClusters: dataClusters, tables: UInt64(tables.count)), full)
        }
    }
}
