/// A bucket that fills at a constant rate and is emptied by what passes.
///
/// Kept as one moment, when the bucket would be full (the virtual scheduling of ITU-T I.371). What passes may overdraw the bucket once, so
/// that a frame or request larger than it is not stuck.
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
