/// What a new qcow2 image is like.
public struct QCOW2CreateOptions: Sendable {
    public enum Preallocation: String, Sendable, CaseIterable {
        case off
        /// All tables; the data is a hole.
        case metadata
        /// Space is reserved.
        case falloc
        /// Zeros are written.
        case full
    }

    public var byteCount: UInt64
    public var version: UInt32 = 3
    public var clusterBits: UInt32 = 16
    public var refcountBits = 16
    public var isLazy = false
    public var compression = ClusterCompression.zlib
    public var preallocation = Preallocation.off
    public var backingPath: String?
    public var backingFormat: DiskImageFormat?

    public init(byteCount: UInt64) { self.byteCount = byteCount }

    /// The header, with the L1 table behind it.
    ///
    /// - Throws: ``DiskImageError/invalidOption(_:)``.
    func header() throws(DiskImageError) -> QCOW2Header {
        func bad(_ text: String) -> DiskImageError { .invalidOption(text) }
        guard (9...21).contains(clusterBits) else { throw bad("the cluster size is not a power of two from 512 to 2M") }
        guard [1, 2, 4, 8, 16, 32, 64].contains(refcountBits) else {
            throw bad("refcount_bits=\(refcountBits) is not a power of two from 1 to 64")
        }
        guard version == 3 || refcountBits == 16 else { throw bad("refcount_bits needs compat=1.1") }
        guard version == 3 || !isLazy else { throw bad("lazy_refcounts needs compat=1.1") }
        guard version == 3 || compression == .zlib else { throw bad("compression_type=zstd needs compat=1.1") }
        guard preallocation == .off || backingPath == nil else {
            throw bad("preallocation does not go with a backing file")
        }
        guard byteCount % 512 == 0, byteCount <= UInt64(Int64.max) >> 1 else {
            throw bad("\(byteCount) bytes are no possible size")
        }
        var header = QCOW2Header()
        header.version = version
        header.clusterBits = clusterBits
        header.byteCount = byteCount
        header.refcountOrder = UInt32(refcountBits.trailingZeroBitCount)
        header.compression = compression
        if isLazy { header.compatible |= QCOW2Header.lazyRefcounts }
        if compression != .zlib { header.incompatible |= QCOW2Header.compressionType }
        header.backingPath = backingPath
        header.backingFormat = backingFormat?.name
        let count = header.l1CountNeeded(for: byteCount)
        guard count * 8 <= QCOW2Header.l1ByteLimit else {
            throw bad("\(byteCount) bytes are too many for clusters of \(header.clusterByteCount) bytes")
        }
        header.l1Count = UInt32(count)
        header.l1Offset = UInt64(header.clusterByteCount)
        return header
    }

    /// How many bytes an image takes that holds `dataClusters` clusters in `tables` L2 tables, and at most.
    public func measure(dataClusters: UInt64, tables: UInt64) throws(DiskImageError) -> UInt64 {
        let header = try header()
        let size = UInt64(header.clusterByteCount)
        let plain = 1 + (UInt64(header.l1Count) * 8 + size - 1) / size + dataClusters + tables
        var blocks: UInt64 = 0
        var table: UInt64 = 1
        while true {
            let total = plain + blocks + table
            let needed = (total + UInt64(header.refcountBlockEntryCount) - 1) / UInt64(header.refcountBlockEntryCount)
            let words = (needed * 8 + size - 1) / size
            if needed == blocks, words == table { return total * size }
            blocks = needed
            table = max(words, 1)
        }
    }
}
