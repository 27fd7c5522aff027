internal import Virtio

/// What a guest tells about its memory (Virtio 1.3 §5.5.6.3), in bytes or counts; nil for what it never told.
public struct BalloonStatistics: Hashable, Sendable {
    public var swappedIn: UInt64?
    public var swappedOut: UInt64?
    public var majorFaults: UInt64?
    public var minorFaults: UInt64?
    public var freeByteCount: UInt64?
    public var totalByteCount: UInt64?
    public var availableByteCount: UInt64?
    public var diskCacheByteCount: UInt64?

    /// A tag and a value, packed.
    static let entryByteCount = 10
    /// Entries read of one buffer; there are ten tags.
    static let entryLimit = 64

    public init() {}

    /// Takes over what a buffer of the statistics queue holds; unknown tags are passed over.
    mutating func merge(_ chain: DescriptorChain) throws(VirtioQueueError) {
        let count = min(chain.readableByteCount / Self.entryByteCount, Self.entryLimit)
        for index in 0..<count {
            let value = try chain.load(UInt64.self, at: index * Self.entryByteCount + 2)
            switch try chain.load(UInt16.self, at: index * Self.entryByteCount) {
            case 0: swappedIn = value
            case 1: swappedOut = value
            case 2: majorFaults = value
            case 3: minorFaults = value
            case 4: freeByteCount = value
            case 5: totalByteCount = value
            case 6: availableByteCount = value
            case 7: diskCacheByteCount = value
            default: break
            }
        }
    }
}
