/// The contents of a disk, in whatever format.
///
/// Calls block and may come from any thread; calls for overlapping ranges at once have no order. Offsets and counts are
/// bytes and need no alignment. All but the properties throw ``DiskImageError``.
public protocol DiskImage: AnyObject, Sendable {
    /// A multiple of 512.
    var byteCount: UInt64 { get }
    var isReadOnly: Bool { get }
    /// A file of the host's that has the same bytes at the same places, and may be read and written past this object within
    /// ``byteCount``; nil where there is none.
    var fileDescriptor: CInt? { get }
    func read(into bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(DiskImageError)
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskImageError)
    /// What was written before is on stable storage when this returns.
    func flush() throws(DiskImageError)
    /// The bytes are not needed any more; what they read as is unspecified.
    func discard(at offset: UInt64, byteCount: UInt64) throws(DiskImageError)
    /// The bytes read as zeros.
    ///
    /// `mayUnmap`: Whether their space may be given back.
    func writeZeroes(at offset: UInt64, byteCount: UInt64, mayUnmap: Bool) throws(DiskImageError)
    /// What lies at `offset`, and how far it goes on alike within the next `byteCount` bytes (at least one, within the disk).
    func extent(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) -> DiskExtent
}

/// A run of bytes of a disk that are stored alike.
public struct DiskExtent: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        case data
        /// Reads as zeros and needs no reading.
        case zero
        /// No image of the chain says anything about these bytes, which read as zeros.
        case unallocated
    }
    public let kind: Kind
    public let offset: UInt64
    public let byteCount: UInt64
    /// Which image of the chain says so: 0 for the image itself, 1 for its backing image.
    public let depth: Int
    /// Where the bytes lie in that image's file, if they lie there as they are.
    public let hostOffset: UInt64?
    public let isCompressed: Bool

    public init(
        _ kind: Kind,
        offset: UInt64,
        byteCount: UInt64,
        depth: Int = 0,
        hostOffset: UInt64? = nil,
        isCompressed: Bool = false
    ) {
        self.kind = kind
        self.offset = offset
        self.byteCount = byteCount
        self.depth = depth
        self.hostOffset = hostOffset
        self.isCompressed = isCompressed
    }

    /// The same as seen by an image on top of this one.
    func deeper() -> DiskExtent {
        DiskExtent(
            kind,
            offset: offset,
            byteCount: byteCount,
            depth: depth + 1,
            hostOffset: hostOffset,
            isCompressed: isCompressed
        )
    }
}

extension DiskImage {
    public var fileDescriptor: CInt? { nil }

    /// Throws unless the bytes lie in the image.
    func checkRange(_ path: String, _ offset: UInt64, _ count: UInt64) throws(DiskImageError) {
        guard offset <= byteCount, count <= byteCount - offset else {
            throw .outOfRange(path: path, offset: offset, byteCount: count, capacity: byteCount)
        }
    }
    func checkWrite(_ path: String, _ offset: UInt64, _ count: UInt64) throws(DiskImageError) {
        guard !isReadOnly else { throw .readOnly(path: path) }
        try checkRange(path, offset, count)
    }
}
