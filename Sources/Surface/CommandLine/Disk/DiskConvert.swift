import ArgumentParser
import DiskImage
internal import Glibc

/// `viv disk convert`.
struct DiskConvert: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Copy an image to another format; holes and zeros are left out.",
        discussion: """
            EXIT STATUS
              0      the new image is complete
              1      it is not: one line says why
              64     the command line was not understood
            """
    )

    @Option(name: .customShort("f"), help: ArgumentHelp("The source's format.", valueName: "format"))
    var format: DiskImageFormat?
    @Option(name: .customShort("O"), help: ArgumentHelp("The target's format.", valueName: "format"))
    var targetFormat: DiskImageFormat = .raw
    @Option(name: .customShort("o"), help: ArgumentHelp("Options of the target's format.", valueName: "options"))
    var options: [String] = []
    @Option(
        name: [.customShort("B"), .customShort("b")],
        help: ArgumentHelp("The target's backing file.", valueName: "file")
    )
    var backing: String?
    @Option(name: .customShort("F"), help: ArgumentHelp("The backing file's format.", valueName: "format"))
    var backingFormat: DiskImageFormat?
    @Flag(name: .customShort("c"), help: "Compress the clusters.")
    var isCompressed = false
    @Flag(name: .customShort("p"), help: "Print the progress.")
    var showsProgress = false
    @Flag(name: .customShort("n"), help: "Write to an image that exists.")
    var isExisting = false
    @Flag(name: .customShort("q"), help: "Print nothing.")
    var isQuiet = false
    @Flag(name: [.customShort("U"), .customLong("force-share")], help: "Read even while another process writes to it.")
    var isShared = false
    @Flag(name: .customShort("W"), help: "Accepted as qemu-img does; parts are always written as they come.")
    var isUnordered = false
    @Option(
        name: .customShort("S"),
        help: ArgumentHelp("The shortest run of zeros that becomes a hole.", valueName: "size")
    )
    var holeSize: DiskByteCount?
    @Option(name: .customShort("m"), help: ArgumentHelp("How many threads.", valueName: "count"))
    var threadCount: Int?
    @Flag(name: .customLong("target-is-zero"), help: "With -n: the image that exists reads as zeros.")
    var isTargetZero = false
    @Option(name: .customShort("l"), help: ArgumentHelp("Copy this snapshot of the source.", valueName: "snapshot"))
    var snapshot: String?
    @Option(name: .customShort("t"), help: .hidden)
    var cache: DiskCacheMode?
    @Option(name: .customShort("T"), help: .hidden)
    var sourceCache: DiskCacheMode?
    @Argument(help: "The source and the target.")
    var paths: [String]

    func validate() throws {
        guard paths.count == 2 else { throw ValidationError("one source and one target are needed") }
        if isCompressed, targetFormat != .qcow2 { throw ValidationError("only qcow2 images are compressed") }
        if isTargetZero, !isExisting { throw ValidationError("--target-is-zero goes with -n") }
        if let threadCount, !(1...64).contains(threadCount) { throw ValidationError("-m takes 1 to 64") }
    }

    func run() throws {
        let creation = try DiskCreationOptions(options)
        let source = try diskFailing { () throws(DiskImageError) in
            try OpenedDiskImage(
                path: paths[0],
                DiskImageOptions(format: format, isReadOnly: true, locking: isShared ? .sharing : .usual)
            )
        }
        if let snapshot {
            guard let image = source.qcow2 else { throw CommandFailure("\(paths[0]): this format has no snapshots") }
            try diskFailing { () throws(DiskImageError) in try image.show(snapshot: Self.snapshotName(snapshot)) }
        }
        let progress = DiskProgress(isAsked: showsProgress, isQuiet: isQuiet)
        defer { progress.finish() }
        if isExisting { return try convertInto(source, progress) }
        switch targetFormat {
        case .raw:
            let preallocation = try creation.raw().preallocation
            let hole = holeSize.map { Int(clamping: $0.bytes) } ?? 4096
            try diskFailing { () throws(DiskImageError) in
                try DiskImageOperation.convert(
                    source.image,
                    toRaw: paths[1],
                    preallocation: preallocation,
                    holeByteCount: hole == 0 ? .max : hole,
                    threadCount: threadCount,
                    progress: progress.show
                )
            }
        case .qcow2: try convertToQCOW2(source, creation, progress)
        }
    }

    /// A snapshot's name or identifier, also in qemu-img's long form.
    static func snapshotName(_ text: String) -> String {
        for prefix in ["snapshot.id=", "snapshot.name="] where text.hasPrefix(prefix) {
            return String(text.dropFirst(prefix.count))
        }
        return text
    }

    private func convertToQCOW2(
        _ source: OpenedDiskImage,
        _ creation: DiskCreationOptions,
        _ progress: DiskProgress
    ) throws(CommandFailure) {
        var new = QCOW2CreateOptions(byteCount: source.image.byteCount)
        try creation.apply(to: &new)
        if let backing { new.backingPath = backing }
        if let backingFormat { new.backingFormat = backingFormat }
        guard new.byteCount == source.image.byteCount else {
            throw CommandFailure("the target is as large as the source; viv disk resize changes that")
        }
        var base: OpenedDiskImage?
        if let backing = new.backingPath {
            guard new.backingFormat != nil else {
                throw CommandFailure("the backing file's format is needed: -F raw or -F qcow2")
            }
            base = try diskFailing { () throws(DiskImageError) in
                try OpenedDiskImage(
                    path: DiskPaths.backing(backing, of: paths[1]),
                    DiskImageOptions(format: new.backingFormat, isReadOnly: true)
                )
            }
        }
        // What the two have in common below is left to the backing file.
        var depth = Int.max
        if base != nil {
            var next = source.backing
            var number = 1
            depth = 1
            while let image = next, image.file.identityText != base?.file.identityText {
                number += 1
                next = image.backing
            }
            guard next != nil else {
                throw CommandFailure("\(new.backingPath ?? "") is not below \(paths[0])")
            }
            depth = number
        }
        try diskFailing { () throws(DiskImageError) in
            try DiskImageOperation.convert(
                source.image,
                toQCOW2: paths[1],
                new,
                isCompressed: isCompressed,
                depthLimit: depth,
                threadCount: threadCount,
                progress: progress.show
            )
        }
    }

    private func convertInto(_ source: OpenedDiskImage, _ progress: DiskProgress) throws(CommandFailure) {
        try diskFailing { () throws(DiskImageError) in
            let target = try OpenedDiskImage(path: paths[1], DiskImageOptions(format: targetFormat))
            try DiskImageOperation.convert(
                source.image,
                into: target.image,
                isZero: isTargetZero,
                progress: progress.show
            )
            try target.qcow2?.close()
        }
    }
}
