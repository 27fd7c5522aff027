/// Bits of L1 and L2 entries (qcow2 specification, "Cluster mapping").
///
///     L1, standard L2:  63 copied | 62 compressed | 61:56 0 | 55:9 host offset | 8:1 0 | 0 reads as zeros (version 3)
///     compressed L2:    62 = 1    | 61:x sectors behind the first | x-1:0 host offset,  x = 62 - (cluster_bits - 8)
enum QCOW2Entry {
    static let copied: UInt64 = 1 << 63
    static let compressed: UInt64 = 1 << 62
    static let zero: UInt64 = 1
    static let offsetMask: UInt64 = 0x00FF_FFFF_FFFF_FE00

    /// Where a compressed cluster's bytes lie.
    struct Compressed: Hashable, Sendable {
        var hostOffset: UInt64
        /// The bytes up to the end of the last 512-byte sector; the stream may end before.
        var byteCount: Int

        init(_ entry: UInt64, clusterBits: UInt32) {
            let shift = UInt64(62 - (clusterBits - 8))
            hostOffset = entry & ((1 << shift) - 1)
            let sectors = (entry & (QCOW2Entry.compressed - 1)) >> shift
            byteCount = (Int(sectors) + 1) * 512 - Int(hostOffset & 511)
        }

        /// `byteCount`: What the stream takes.
        init(hostOffset: UInt64, streamByteCount: Int) {
            self.hostOffset = hostOffset
            let sectors = (Int(hostOffset & 511) + streamByteCount - 1) / 512
            byteCount = (sectors + 1) * 512 - Int(hostOffset & 511)
        }

        func entry(clusterBits: UInt32) -> UInt64 {
            let shift = UInt64(62 - (clusterBits - 8))
            let sectors = UInt64((Int(hostOffset & 511) + byteCount) / 512 - 1)
            return QCOW2Entry.compressed | sectors << shift | hostOffset
        }
    }

    /// What an entry says about its cluster.
    enum Meaning: Hashable, Sendable {
        case unallocated
        /// Reads as zeros; the host cluster, if there is one, is kept for writing.
        case zero(UInt64?)
        case data(UInt64)
        case compressed(Compressed)
    }

    static func meaning(of entry: UInt64, _ header: QCOW2Header) -> Meaning {
        if entry & compressed != 0 { return .compressed(Compressed(entry, clusterBits: header.clusterBits)) }
        let offset = entry & offsetMask
        // With external raw data, offset 0 is a place like others.
        let isAllocated = offset != 0 || (header.hasExternalData && entry & copied != 0)
        if header.version >= 3, !header.hasExtendedL2, entry & zero != 0 { return .zero(isAllocated ? offset : nil) }
        return isAllocated ? .data(offset) : .unallocated
    }
}
