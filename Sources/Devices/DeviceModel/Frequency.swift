/// The rate of a counter, in ticks a second, with exact conversions to and from nanoseconds.
public struct Frequency: Hashable, Sendable {
    public let hertz: UInt64

    private static let nanosecondsPerSecond: UInt64 = 1_000_000_000

    /// - Parameter hertz: Not zero.
    public init(hertz: UInt64) { self.hertz = max(hertz, 1) }

    /// How many whole ticks pass in `nanoseconds`; saturates.
    public func ticks(in nanoseconds: UInt64) -> UInt64 {
        let product = nanoseconds.multipliedFullWidth(by: hertz)
        guard product.high < Self.nanosecondsPerSecond else { return .max }
        return Self.nanosecondsPerSecond.dividingFullWidth(product).quotient
    }

    /// The nanoseconds after which `ticks` ticks have passed, rounded up; saturates.
    public func nanoseconds(for ticks: UInt64) -> UInt64 {
        let product = ticks.multipliedFullWidth(by: Self.nanosecondsPerSecond)
        guard product.high < hertz else { return .max }
        let (quotient, remainder) = hertz.dividingFullWidth(product)
        return remainder == 0 || quotient == .max ? quotient : quotient + 1
    }
}
