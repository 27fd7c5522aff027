/// The formats of disk images.
public enum DiskImageFormat: String, Hashable, Sendable, CaseIterable {
    case raw
    case qcow2

    public var name: String { rawValue }

    /// The format that the file's first bytes are of; raw where they are of none.
    static func probe(_ file: any ImageFile) throws(DiskImageError) -> DiskImageFormat {
        let start = ByteBuffer(count: 8)
        try file.read(start, at: 0)
        return start.load(UInt32.self, at: 0) == QCOW2Header.magic ? .qcow2 : .raw
    }
}

/// How an image and those below it are opened.
public struct DiskImageOptions: Sendable {
    /// Nil: what the first bytes say.
    public var format: DiskImageFormat?
    public var isReadOnly = false
    public var locking = ImageFileLocking.usual
    /// Backing and data files must lie in this folder, after symbolic links.
    public var folder: String?
    /// Whether the backing image is opened too; without it unallocated clusters read as zeros.
    public var opensBacking = true
    /// Whether an image that was not closed cleanly is repaired.
    public var repairs = true

    public init(
        format: DiskImageFormat? = nil,
        isReadOnly: Bool = false,
        locking: ImageFileLocking = .usual,
        folder: String? = nil,
        opensBacking: Bool = true,
        repairs: Bool = true
    ) {
        self.format = format
        self.isReadOnly = isReadOnly
        self.locking = locking
        self.folder = folder
        self.opensBacking = opensBacking
        self.repairs = repairs
    }
}
