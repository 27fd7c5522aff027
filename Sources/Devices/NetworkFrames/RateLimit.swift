public import DeviceModel

/// What may pass in one direction of a port.
public struct RateLimit: Hashable, Sendable {
    public var bytes: TokenBucket?
    public var frames: TokenBucket?

    /// Rates a second; nil stands for no limit.
    public init(bytesPerSecond: UInt64? = nil, framesPerSecond: UInt64? = nil) {
        bytes = bytesPerSecond.map { TokenBucket(rate: $0) }
        frames = framesPerSecond.map { TokenBucket(rate: $0) }
    }

    public var isLimited: Bool { bytes != nil || frames != nil }
    /// When the next frame may pass.
    public var opensAt: UInt64 { max(bytes?.opensAt ?? 0, frames?.opensAt ?? 0) }

    /// A frame has passed.
    public mutating func take(byteCount: Int, now: UInt64) {
        bytes?.take(byteCount, now: now)
        frames?.take(1, now: now)
    }
}
