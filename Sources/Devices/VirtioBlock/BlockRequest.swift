internal import Virtio

/// The header of a request to a block device, and what may answer it (Virtio 1.3 §5.2.6).
struct BlockRequest: Hashable, Sendable {
    enum Kind: UInt32 {
        case read = 0
        case write = 1
        case flush = 4
        case identify = 8
        case discard = 11
        case writeZeroes = 13
    }
    enum Status: UInt8 {
        case ok = 0
        case ioError = 1
        case unsupported = 2
    }
    static let byteCount = 16
    static let sectorByteCount: UInt64 = 512

    /// Nil for a type that no specification has.
    let kind: Kind?
    let sector: UInt64

    init(_ chain: DescriptorChain) throws(VirtioQueueError) {
        kind = Kind(rawValue: try chain.load(UInt32.self, at: 0))
        sector = try chain.load(UInt64.self, at: 8)
    }

    /// The place of `byteCount` bytes at the request's sector, or nil where it overflows.
    var byteOffset: UInt64? {
        let (offset, overflow) = sector.multipliedReportingOverflow(by: Self.sectorByteCount)
        return overflow ? nil : offset
    }
}

/// One range of a discard or write-zeroes request (§5.2.6): sector, count, flags; 16 bytes.
struct BlockRange: Hashable, Sendable {
    static let byteCount = 16
    static let unmap: UInt32 = 1

    let sector: UInt64
    let sectorCount: UInt32
    let flags: UInt32

    init(_ chain: DescriptorChain, at offset: Int) throws(VirtioQueueError) {
        sector = try chain.load(UInt64.self, at: offset)
        sectorCount = try chain.load(UInt32.self, at: offset + 8)
        flags = try chain.load(UInt32.self, at: offset + 12)
    }
}
