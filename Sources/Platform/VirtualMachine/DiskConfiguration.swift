public import DiskImage

/// An image file as a virtio block device.
public struct DiskConfiguration: Hashable, Sendable {
    public var path: String
    public var isReadOnly: Bool
    /// Nil: what the name's end says, ``suffixes``; raw without one of these.
    public var format: DiskImageFormat?
    /// What the guest reads as the disk's serial number, up to 20 bytes; nil for `disk` and its number.
    public var serial: String?
    /// Nil: one for each processor, up to four.
    public var queueCount: Int?
    public var requestsPerSecond: UInt64?
    public var bytesPerSecond: UInt64?

    /// Ends of names that say a format.
    public static let suffixes: [(suffix: String, format: DiskImageFormat)] = [(".qcow2", .qcow2), (".qcow", .qcow2)]

    public init(path: String, isReadOnly: Bool = false, format: DiskImageFormat? = nil) {
        self.path = path
        self.isReadOnly = isReadOnly
        self.format = format
    }

    /// Opens the image in the format that the user or the file's name says, never in one that only its bytes say.
    ///
    /// A guest can write any first bytes into a raw disk, and those of other formats name files of the host: a raw disk that
    /// looks like one of these is refused until `format=` says what it is.
    func open() throws(DiskImageError) -> any DiskImage {
        let named = format ?? Self.suffixes.first { path.hasSuffix($0.suffix) }?.format
        if named == nil {
            let probe = DiskImageOptions(isReadOnly: true, locking: .none, opensBacking: false, repairs: false)
            let looks: DiskImageFormat
            do throws(DiskImageError) { looks = try OpenedDiskImage(path: path, probe).format } catch {
                switch error {
                case .malformed, .unsupported: looks = .qcow2
                default: throw error
                }
            }
            guard looks == .raw else {
                throw .invalidOption(
                    "disk image \(path) looks like \(looks.name): say --disk \(path),format=\(looks.name) if it is, or format=raw"
                )
            }
        }
        return try OpenedDiskImage(path: path, DiskImageOptions(format: named ?? .raw, isReadOnly: isReadOnly)).image
    }
}
