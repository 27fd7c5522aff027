/// Where a conversion writes.
///
/// Calls come from several threads, for ranges that do not overlap.
protocol ConversionTarget: AnyObject, Sendable {
    /// Writes start at multiples of this, and have such lengths but at the disk's end.
    var granularity: Int { get }
    /// Runs of zeros at least as long are left out.
    var holeByteCount: Int { get }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskImageError)
    /// The bytes must read as zeros. Called for what the source says to be zeros, and for zeros found in data.
    func writeZeroes(at offset: UInt64, byteCount: UInt64) throws(DiskImageError)
    func finish() throws(DiskImageError)
}

/// A new qcow2 image.
final class BuilderTarget: ConversionTarget {
    let builder: QCOW2Builder
    var granularity: Int { builder.clusterByteCount }
    var holeByteCount: Int { builder.clusterByteCount }

    init(_ builder: QCOW2Builder) { self.builder = builder }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskImageError) {
        unsafe try builder.write(bytes, at: offset)
    }
    func writeZeroes(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) {
        try builder.writeZeroes(at: offset, byteCount: byteCount)
    }
    func finish() throws(DiskImageError) { try builder.finish() }
}

/// An image that exists: a raw file just made, whose bytes are zeros, or any image that is written over.
final class ImageTarget: ConversionTarget {
    let image: any DiskImage
    let granularity: Int
    let holeByteCount: Int
    private let isEmpty: Bool

    init(_ image: any DiskImage, isEmpty: Bool, holeByteCount: Int, granularity: Int = 4096) {
        self.granularity = granularity
        self.image = image
        self.isEmpty = isEmpty
        self.holeByteCount = max(4096, holeByteCount)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskImageError) {
        unsafe try image.write(bytes, at: offset)
    }
    func writeZeroes(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) {
        guard !isEmpty else { return }
        try image.writeZeroes(at: offset, byteCount: byteCount, mayUnmap: true)
    }
    func finish() throws(DiskImageError) {}
}
