/// A bucket that fills at a constant rate and is emptied by what passes.
///
/// Kept as one moment, when the bucket would be full (the virtual scheduling of ITU-T I.371). What passes may overdraw the bucket once, so
/// that a frame larger than it is not stuck.
public struct TokenBucket: Hashable, Sendable {
    /// Tokens a second.
    public let rate: UInt64
    /// How long an empty bucket takes to fill, in nanoseconds.
    public let fillTime: UInt64
    private var fullAt: UInt64 = 0

    public init(rate: UInt64, fillTime: UInt64 = 50_000_000) {
        self.rate = max(1, rate)
        self.fillTime = fillTime
    }

    /// When there are tokens again: `now` or earlier if there are.
    public var opensAt: UInt64 { fullAt > fillTime ? fullAt - fillTime : 0 }

    /// Takes tokens, at `now` nanoseconds.
    public mutating func take(_ count: Int, now: UInt64) {
        let (scaled, overflow) = UInt64(clamping: count).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, late) = max(now, fullAt).addingReportingOverflow((overflow ? .max : scaled) / rate)
        fullAt = late ? .max : sum
    }
}

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
