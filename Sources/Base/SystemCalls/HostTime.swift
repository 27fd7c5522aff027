internal import CLinux
internal import Glibc

/// Time made from the host's time-stamp counter: `(counter · multiplier >> 64) + offset`, in nanoseconds.
public struct HostCounter: Equatable, Sendable {
    /// Nanoseconds a tick, in units of 2 to the power of -64.
    public var multiplier: UInt64
    public var offset: UInt64

    public init(multiplier: UInt64, offset: UInt64) {
        self.multiplier = multiplier
        self.offset = offset
    }

    /// What the counter says now.
    public var nanoseconds: UInt64 { multiplier.multipliedFullWidth(by: clinux_rdtsc()).high &+ offset }
}

/// The host's monotonic time in nanoseconds, the same on all threads.
///
/// Where the kernel itself trusts the time-stamp counter, it is read directly, so that generated code can read it too; its rate is
/// measured once, to some millionths. Elsewhere it is CLOCK_MONOTONIC.
public enum HostTime {
    /// How time is made from the counter; nil where it cannot be.
    public static let counter: HostCounter? = isCounterTrusted ? measureCounter() : nil

    public static var nanoseconds: UInt64 { counter?.nanoseconds ?? monotonicClock }

    /// CLOCK_MONOTONIC, for what waits until a time of the kernel's.
    public static var monotonicClock: UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// The counter's rate is constant (CPUID 80000007h EDX bit 8), the kernel keeps its time by it, and lets this process read it.
    private static var isCounterTrusted: Bool {
        var leaf: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
        unsafe withUnsafeMutableBytes(of: &leaf) { bytes in
            // SAFETY: the tuple is four integers of 32 bits.
            unsafe clinux_cpuid(0x8000_0007, 0, bytes.baseAddress?.assumingMemoryBound(to: UInt32.self))
        }
        return leaf.3 & 1 << 8 != 0 && clinux_may_read_counter() != 0 && clockSource == "tsc"
    }

    private static var clockSource: String {
        let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
        guard let file = unsafe fopen(path, "r") else { return "" }
        defer { unsafe fclose(file) }
        var line = [UInt8](repeating: 0, count: 64)
        let count = unsafe fread(&line, 1, line.count, file)
        return String(decoding: line.prefix(count).prefix { $0 > 0x20 }, as: UTF8.self)
    }

    /// A moment on both clocks: of some readings the one that was interrupted least.
    private static func moment() -> (counter: UInt64, nanoseconds: UInt64) {
        var best = (counter: 0 as UInt64, nanoseconds: 0 as UInt64)
        var least = UInt64.max
        for _ in 0..<8 {
            let before = clinux_rdtsc()
            let time = monotonicClock
            let width = clinux_rdtsc() &- before
            if width < least {
                least = width
                best = (before &+ width / 2, time)
            }
        }
        return best
    }

    private static func measureCounter() -> HostCounter? {
        let first = moment()
        usleep(5000)
        let last = moment()
        let (ticks, time) = (last.counter &- first.counter, last.nanoseconds &- first.nanoseconds)
        // A tick takes less than a nanosecond.
        guard ticks > time, time > 0 else { return nil }
        let multiplier = ticks.dividingFullWidth((time, 0)).quotient
        let scaled = multiplier.multipliedFullWidth(by: last.counter).high
        return HostCounter(multiplier: multiplier, offset: last.nanoseconds &- scaled)
    }
}
