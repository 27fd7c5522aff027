import ArgumentParser
import DiskImage
internal import Glibc

/// `viv disk create`.
struct DiskCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a new image: empty, over a backing file, or with the files of a folder.",
        discussion: """
            With --from-directory the image holds an ext4 file system with the folder's files, made by mke2fs (package e2fsprogs), \
            without root. Without SIZE it is as large as the files need.

            EXIT STATUS
              0      the image was made
              1      it could not be made: one line says why
              64     the command line was not understood
            """
    )

    @Option(name: .customShort("f"), help: ArgumentHelp("The new image's format.", valueName: "format"))
    var format: DiskImageFormat = .raw
    @Option(name: .customShort("o"), help: ArgumentHelp("Options of the format: name=value,…", valueName: "options"))
    var options: [String] = []
    @Option(name: .customShort("b"), help: ArgumentHelp("The backing file.", valueName: "file"))
    var backing: String?
    @Option(name: .customShort("F"), help: ArgumentHelp("The backing file's format.", valueName: "format"))
    var backingFormat: DiskImageFormat?
    @Flag(name: .customShort("u"), help: "Do not look at the backing file.")
    var isUnsafe = false
    @Flag(name: .customShort("q"), help: "Print nothing.")
    var isQuiet = false
    @Option(help: ArgumentHelp("Make an ext4 file system with the files of this folder.", valueName: "folder"))
    var fromDirectory: String?
    @Argument(help: "The image's path.")
    var path: String
    @Argument(help: "Its size: a number of bytes, or one with K, M, G, T.")
    var size: DiskByteCount?

    func run() throws {
        try DiskCreation(
            format: format,
            options: options,
            backing: backing,
            backingFormat: backingFormat,
            isUnsafe: isUnsafe,
            fromDirectory: fromDirectory,
            path: path,
            size: size
        ).run()
    }
}

/// Where names in images lead.
enum DiskPaths {
    /// A backing file's name is relative to the image's folder.
    static func backing(_ name: String, of path: String) -> String {
        guard !name.hasPrefix("/"), let slash = path.lastIndex(of: "/") else { return name }
        return path[...slash] + name
    }
}
