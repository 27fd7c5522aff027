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
        let creation = try DiskCreationOptions(options)
        if let fromDirectory { return try createFromDirectory(fromDirectory, creation) }
        switch format {
        case .raw:
            guard backing == nil else { throw CommandFailure("raw images have no backing file") }
            let (preallocation, optionSize) = try creation.raw()
            guard let byteCount = size?.sectors ?? optionSize else { throw CommandFailure("\(path): a size is needed") }
            try diskFailing { () throws(DiskImageError) in
                try DiskImageOperation.create(path, rawByteCount: byteCount, preallocation: preallocation)
            }
        case .qcow2: try createQCOW2(creation)
        }
    }

    private func createQCOW2(_ creation: DiskCreationOptions) throws(CommandFailure) {
        var new = QCOW2CreateOptions(byteCount: size?.sectors ?? 0)
        try creation.apply(to: &new)
        if let backing { new.backingPath = backing }
        if let backingFormat { new.backingFormat = backingFormat }
        if let size { new.byteCount = size.sectors }
        if let backing = new.backingPath {
            guard new.backingFormat != nil || isUnsafe else {
                throw CommandFailure("the backing file's format is needed: -F raw or -F qcow2")
            }
            if !isUnsafe {
                let place = DiskPaths.backing(backing, of: path)
                let byteCount = try diskFailing { () throws(DiskImageError) in
                    try OpenedDiskImage(
                        path: place,
                        DiskImageOptions(format: new.backingFormat, isReadOnly: true, locking: .sharing)
                    ).image.byteCount
                }
                if new.byteCount == 0 { new.byteCount = byteCount }
            }
        }
        guard new.byteCount > 0 || size != nil else { throw CommandFailure("\(path): a size is needed") }
        try diskFailing { () throws(DiskImageError) in try DiskImageOperation.create(path, qcow2: new) }
    }

    private func createFromDirectory(_ folder: String, _ creation: DiskCreationOptions) throws(CommandFailure) {
        let byteCount: UInt64
        if let size { byteCount = size.sectors } else { byteCount = try Ext4Image.byteCount(of: folder) }
        guard format != .raw else { return try Ext4Image.make(path, from: folder, byteCount: byteCount) }
        let plain = path + ".ext4-\(getpid())"
        defer { unsafe unlink(plain) }
        try Ext4Image.make(plain, from: folder, byteCount: byteCount)
        var new = QCOW2CreateOptions(byteCount: byteCount)
        try creation.apply(to: &new)
        try diskFailing { () throws(DiskImageError) in
            let source = try OpenedDiskImage(path: plain, DiskImageOptions(format: .raw, isReadOnly: true))
            try DiskImageOperation.convert(source.image, toQCOW2: path, new)
        }
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
