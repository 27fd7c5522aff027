/// The contents of a disk, in whatever format.
///
/// Calls block and may come from any thread; calls for overlapping ranges at once have no order. Offsets and counts are
/// bytes and need no alignment. All but the properties throw ``DiskImageError``.
public protocol DiskImage: AnyObject, Sendable {
    /// A multiple of 512.
    var byteCount: UInt64 { get }
    var isReadOnly: Bool { get }
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
}
