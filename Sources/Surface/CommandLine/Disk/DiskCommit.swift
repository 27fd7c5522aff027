import ArgumentParser
import DiskImage

/// `viv disk commit`.
struct DiskCommit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "commit",
        abstract: "Write what an image holds into its backing file, and empty it."
    )

    @Option(name: .customShort("f"), help: ArgumentHelp("The image's format.", valueName: "format"))
    var format: DiskImageFormat?
    @Flag(name: .customShort("d"), help: "Leave the image as it is.")
    var keepsImage = false
    @Flag(name: .customShort("p"), help: "Print the progress.")
    var showsProgress = false
    @Flag(name: .customShort("q"), help: "Print nothing.")
    var isQuiet = false
    @Option(name: .customShort("t"), help: .hidden)
    var cache: String?
    @Argument(help: "The image's path.")
    var path: String

    func run() throws {
        let progress = DiskProgress(isAsked: showsProgress, isQuiet: isQuiet)
        try diskFailing { () throws(DiskImageError) in
            // Both are locked as written to; the chain is then read beside the locks.
            let overlay = try OpenedDiskImage(path: path, DiskImageOptions(format: format, opensBacking: false))
            guard let image = overlay.qcow2, let name = image.facts.backingPath else {
                throw .invalidOption("\(path) has no backing file")
            }
            let backingPath = DiskPaths.backing(name, of: path)
            let backing = try OpenedDiskImage(
                path: backingPath,
                DiskImageOptions(format: image.facts.backingFormat.flatMap(DiskImageFormat.init(rawValue:)))
            )
            let chain = try OpenedDiskImage(
                path: path,
                DiskImageOptions(format: .qcow2, isReadOnly: true, locking: .none)
            )
            if image.byteCount > backing.image.byteCount {
                if let qcow2 = backing.qcow2 {
                    try qcow2.resize(to: image.byteCount)
                } else {
                    try backing.file.resize(to: image.byteCount)
                }
            }
            let target: any DiskImage =
                backing.qcow2 == nil ? try RawDiskImage(backing.file, isReadOnly: false) : backing.image
            try DiskImageOperation.commit(chain.image, into: target, progress: progress.show)
            try backing.qcow2?.close()
            if !keepsImage {
                try image.makeEmpty()
                try image.close()
            }
        }
        progress.finish()
        if !isQuiet { print("Image committed.") }
    }
}
