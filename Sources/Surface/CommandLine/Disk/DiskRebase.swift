import ArgumentParser
import DiskImage

/// `viv disk rebase`.
struct DiskRebase: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebase",
        abstract: "Give an image another backing file; it reads the same as before.",
        discussion: "With -u only the name changes. -b '' leaves the image without a backing file."
    )

    @Option(name: .customShort("f"), help: ArgumentHelp("The image's format.", valueName: "format"))
    var format: DiskImageFormat?
    @Option(name: .customShort("b"), help: ArgumentHelp("The new backing file.", valueName: "file"))
    var backing: String
    @Option(name: .customShort("F"), help: ArgumentHelp("Its format.", valueName: "format"))
    var backingFormat: DiskImageFormat?
    @Flag(name: .customShort("u"), help: "Change the name only.")
    var isUnsafe = false
    @Flag(name: .customShort("p"), help: "Print the progress.")
    var showsProgress = false
    @Flag(name: .customShort("q"), help: "Print nothing.")
    var isQuiet = false
    @Option(name: .customShort("t"), help: .hidden)
    var cache: String?
    @Option(name: .customShort("T"), help: .hidden)
    var sourceCache: String?
    @Argument(help: "The image's path.")
    var path: String

    func run() throws {
        let progress = DiskProgress(isAsked: showsProgress, isQuiet: isQuiet)
        let new = backing.isEmpty ? nil : backing
        guard new == nil || backingFormat != nil else {
            throw CommandFailure("the backing file's format is needed: -F raw or -F qcow2")
        }
        try diskFailing { () throws(DiskImageError) in
            let opened = try OpenedDiskImage(path: path, DiskImageOptions(format: format, opensBacking: !isUnsafe))
            guard let image = opened.qcow2 else { throw .invalidOption("\(path): raw images have no backing file") }
            if !isUnsafe {
                let below = try new.map { (name: String) throws(DiskImageError) in
                    try OpenedDiskImage(
                        path: DiskPaths.backing(name, of: path),
                        DiskImageOptions(format: backingFormat, isReadOnly: true)
                    )
                }
                try DiskImageOperation.rebase(image, onto: below?.image, progress: progress.show)
            }
            try image.setBacking(path: new, format: new == nil ? nil : backingFormat?.name)
            try image.close()
        }
        progress.finish()
    }
}
