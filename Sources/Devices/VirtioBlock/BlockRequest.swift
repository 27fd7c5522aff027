internal import Virtio

/// One request to a block device, taken from its queue and not given back yet (Virtio 1.3 §5.2.6).
struct BlockRequest: Sendable {
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
    static let headerByteCount = 16
    static let sectorByteCount: UInt64 = 512

    let queue: Int
    let chain: DescriptorChain
    /// Nil for a type that no specification has.
    let kind: Kind?
    let sector: UInt64
    /// Whether the host could not carry it out at least once.
    var hasFailed = false

    /// - Throws: ``VirtioQueueError/requestTooShort(byteCount:)`` for a chain without a header or room for the status.
    init(_ chain: DescriptorChain, queue: Int) throws(VirtioQueueError) {
        guard chain.readableByteCount >= Self.headerByteCount, chain.writableByteCount >= 1 else {
            throw .requestTooShort(byteCount: chain.readableByteCount)
        }
        self.queue = queue
        self.chain = chain
        kind = Kind(rawValue: try chain.load(UInt32.self, at: 0))
        sector = try chain.load(UInt64.self, at: 8)
    }

    /// The bytes that follow the header, or those before the status.
    var dataByteCount: Int {
        kind == .read || kind == .identify
            ? chain.writableByteCount - 1 : chain.readableByteCount - Self.headerByteCount
    }

    /// The sector's place in bytes, or nil where it overflows.
    var byteOffset: UInt64? {
        let (offset, overflow) = sector.multipliedReportingOverflow(by: Self.sectorByteCount)
        return overflow ? nil : offset
    }
}

/// One range of a discard or write-zeroes request (§5.2.6): sector, count, flags; 16 bytes.
struct BlockRange: Hashable, Sendable {
    static let byteCount = 16
    static let unmap: UInt32 = 1
    /// Sectors of one range, and ranges of one request.
    static let sectorLimit: UInt32 = 1 << 22
    static let countLimit: UInt32 = 16

    let sector: UInt64
    let sectorCount: UInt32
    let flags: UInt32

    init(_ chain: DescriptorChain, at offset: Int) throws(VirtioQueueError) {
        sector = try chain.load(UInt64.self, at: offset)
        sectorCount = try chain.load(UInt32.self, at: offset + 8)
        flags = try chain.load(UInt32.self, at: offset + 12)
    }
}
