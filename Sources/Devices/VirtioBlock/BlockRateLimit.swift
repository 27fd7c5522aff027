public import DeviceModel

/// How much of a disk may be used, reads and writes together.
public struct BlockRateLimit: Hashable, Sendable {
    public var bytes: TokenBucket?
    public var requests: TokenBucket?

    /// Rates a second; nil stands for no limit.
    public init(bytesPerSecond: UInt64? = nil, requestsPerSecond: UInt64? = nil) {
        bytes = bytesPerSecond.map { TokenBucket(rate: $0) }
        requests = requestsPerSecond.map { TokenBucket(rate: $0) }
    }

    var isLimited: Bool { bytes != nil || requests != nil }
    /// When the next request may begin.
    var opensAt: UInt64 { max(bytes?.opensAt ?? 0, requests?.opensAt ?? 0) }

    mutating func take(byteCount: Int, now: UInt64) {
        bytes?.take(byteCount, now: now)
        requests?.take(1, now: now)
    }
}
