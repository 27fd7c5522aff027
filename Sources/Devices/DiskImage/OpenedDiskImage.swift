internal import Glibc
internal import SystemCalls

/// An image of a file of the host, with the images below it.
public struct OpenedDiskImage: Sendable {
    public let path: String
    public let format: DiskImageFormat
    public let image: any DiskImage
    public let file: HostImageFile
    /// The image below; nil where there is none or it was not opened.
    public var backing: OpenedDiskImage? { below.first }
    private let below: [OpenedDiskImage]

    /// The image, where it is a qcow2 one.
    public var qcow2: QCOW2Image? { image as? QCOW2Image }

    /// How many images a chain may have below the first.
    static let depthLimit = 200

    public init(path: String, _ options: DiskImageOptions = DiskImageOptions()) throws(DiskImageError) {
        try self.init(path: path, options, above: [], mayFollow: true)
    }

    private init(
        path: String,
        _ options: DiskImageOptions,
        above: [HostImageFile.FileIdentity],
        mayFollow: Bool
    ) throws(DiskImageError) {
        // Before it is locked: this chain has the locks of the images above.
        if let identity = HostImageFile.identity(of: path), above.contains(identity) { throw .backingLoop(path: path) }
        let file = try HostImageFile(path: path, isReadOnly: options.isReadOnly, locking: options.locking)
        guard !above.contains(file.identity) else { throw .backingLoop(path: path) }
        guard above.count <= Self.depthLimit else { throw .backingTooDeep(path: path, limit: Self.depthLimit) }
        let format: DiskImageFormat
        if let given = options.format { format = given } else { format = try DiskImageFormat.probe(file) }
        self.path = path
        self.format = format
        self.file = file
        switch format {
        case .raw:
            image = try RawDiskImage(file, isReadOnly: options.isReadOnly)
            below = []
        case .qcow2:
            let header = try QCOW2Header(file)
            guard mayFollow || (header.backingPath == nil && header.dataFilePath == nil) else {
                // A guest can write such a header into a raw disk, to be shown any file of the host.
                throw .malformed(path: path, problem: "it names other files and its format was only guessed")
            }
            var backing: OpenedDiskImage?
            if options.opensBacking, let name = header.backingPath {
                let place = try Self.resolve(name, from: path, options.folder)
                var format: DiskImageFormat?
                if let given = header.backingFormat {
                    guard let known = DiskImageFormat(rawValue: given) else {
                        throw .unsupported(path: path, feature: "a backing file of format '\(given.prefix(32))'")
                    }
                    format = known
                }
                backing = try OpenedDiskImage(
                    path: place,
                    DiskImageOptions(
                        format: format,
                        isReadOnly: true,
                        locking: options.locking,
                        folder: options.folder
                    ),
                    above: above + [file.identity],
                    mayFollow: format != nil
                )
            }
            var data: HostImageFile?
            if header.hasExternalData {
                guard let name = header.dataFilePath else {
                    throw .malformed(path: path, problem: "its data file has no name")
                }
                let place = try Self.resolve(name, from: path, options.folder)
                data = try HostImageFile(path: place, isReadOnly: true, locking: options.locking)
            }
            below = backing.map { [$0] } ?? []
            image = try QCOW2Image(
                file,
                header: header,
                isReadOnly: options.isReadOnly,
                backing: backing?.image,
                dataFile: data,
                repairs: options.repairs
            )
        }
    }

    /// Where a name in an image leads: relative ones start at the image's folder.
    static func resolve(_ name: String, from path: String, _ folder: String?) throws(DiskImageError) -> String {
        let plain = name.hasPrefix("file:") ? String(name.dropFirst(5)) : name
        // "json:", "nbd:" and all others: what QEMU takes for a protocol is no file here.
        guard !plain.prefix(while: { $0 != "/" }).contains(":") else {
            throw .unsupported(path: path, feature: "a backing file '\(name.prefix(64))'")
        }
        var place = plain
        if !plain.hasPrefix("/"), let slash = path.lastIndex(of: "/") { place = path[...slash] + plain }
        if let folder {
            let real = try realPath(place)
            let root = try realPath(folder)
            guard real.hasPrefix(root.hasSuffix("/") ? root : root + "/") else {
                throw .escapes(path: place, folder: folder)
            }
            return real
        }
        return place
    }

    private static func realPath(_ path: String) throws(DiskImageError) -> String {
        guard let found = unsafe realpath(path, nil) else {
            throw .cannotOpen(path: path, cause: SystemCallError("realpath", errno: errno))
        }
        defer { unsafe free(found) }
        return unsafe String(cString: found)
    }
}
