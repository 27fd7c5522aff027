/// A file or block device that holds a disk byte for byte.
///
/// A file whose size is no multiple of 512 reads as if zeros followed; it grows to the sector's end when that sector is
/// written.
public final class RawDiskImage: DiskImage {
    public static let sectorByteCount: UInt64 = 512

    public let byteCount: UInt64
    public let isReadOnly: Bool
    public let file: any ImageFile

    public var path: String { file.name }
    public var fileDescriptor: CInt? { (file as? HostImageFile)?.fileDescriptor }

    /// - Throws: ``DiskImageError/cannotOpen(path:cause:)``, ``DiskImageError/notADisk(path:)``,
    ///   ``DiskImageError/inUse(path:)``.
    public convenience init(path: String, isReadOnly: Bool = false) throws(DiskImageError) {
        try self.init(HostImageFile(path: path, isReadOnly: isReadOnly), isReadOnly: isReadOnly)
    }

    public init(_ file: any ImageFile, isReadOnly: Bool) throws(DiskImageError) {
        self.file = file
        self.isReadOnly = isReadOnly
        let end = min(try file.byteCount, UInt64(Int64.max) - 511)
        byteCount = (end + Self.sectorByteCount - 1) / Self.sectorByteCount * Self.sectorByteCount
    }

    public func read(into bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(DiskImageError) {
        try checkRange(path, offset, UInt64(bytes.count))
        unsafe try file.read(into: bytes, at: offset)
    }

    public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskImageError) {
        try checkWrite(path, offset, UInt64(bytes.count))
        unsafe try file.write(bytes, at: offset)
    }

    public func flush() throws(DiskImageError) {
        if !isReadOnly { try file.flush() }
    }

    public func discard(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) {
        try checkWrite(path, offset, byteCount)
        _ = try file.punchHole(at: offset, byteCount: byteCount)
    }

    public func writeZeroes(at offset: UInt64, byteCount: UInt64, mayUnmap: Bool) throws(DiskImageError) {
        try checkWrite(path, offset, byteCount)
        if mayUnmap, try file.punchHole(at: offset, byteCount: byteCount) { return }
        try file.writeZeroBytes(at: offset, byteCount: byteCount)
    }

    public func extent(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) -> DiskExtent {
        try checkRange(path, offset, byteCount)
        let span = try file.span(at: offset)
        let end = min(span.end, offset + byteCount)
        return DiskExtent(
            span.isData ? .data : .zero,
            offset: offset,
            byteCount: max(1, end - offset),
            hostOffset: offset
        )
    }
}
