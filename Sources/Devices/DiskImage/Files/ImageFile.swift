/// The file under a format: bytes that may have holes.
///
/// Calls block and may come from any thread. The crash tests put their own one here.
public protocol ImageFile: AnyObject, Sendable {
    /// How messages call it.
    var name: String { get }
    /// The size now.
    var byteCount: UInt64 { get throws(DiskImageError) }
    /// What lies behind the end reads as zeros.
    func read(into bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(DiskImageError)
    /// Grows the file where the bytes lie behind its end.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskImageError)
    /// What was written before is on stable storage when this returns.
    func flush() throws(DiskImageError)
    func resize(to byteCount: UInt64) throws(DiskImageError)
    /// Makes bytes read as zeros and gives their space back.
    ///
    /// - Returns: Whether the file system could.
    func punchHole(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) -> Bool
    /// Whether data or a hole lies at `offset`, and where it ends (`.max` where it goes on to the end).
    func span(at offset: UInt64) throws(DiskImageError) -> FileSpan
}

/// Data or a hole of a file.
public struct FileSpan: Hashable, Sendable {
    public let isData: Bool
    public let end: UInt64

    public init(isData: Bool, end: UInt64) {
        self.isData = isData
        self.end = end
    }
}

extension ImageFile {
    func read(_ buffer: ByteBuffer, at offset: UInt64) throws(DiskImageError) {
        unsafe try read(into: buffer.bytes, at: offset)
    }
    func write(_ buffer: ByteBuffer, _ range: Range<Int>? = nil, at offset: UInt64) throws(DiskImageError) {
        unsafe try write(UnsafeRawBufferPointer(buffer.bytes(range ?? 0..<buffer.count)), at: offset)
    }
    /// Zeros as data, for file systems without holes and space that must stay allocated.
    func writeZeroBytes(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) {
        let zeros = ByteBuffer(count: Int(min(byteCount, 1 << 20)))
        var done: UInt64 = 0
        while done < byteCount {
            let count = Int(min(byteCount - done, UInt64(zeros.count)))
            try write(zeros, 0..<count, at: offset + done)
            done += UInt64(count)
        }
    }
}
