import Glibc
import SystemCalls
import Testing

@Suite struct HostTimeTests {
    @Test func `Time goes on as the kernel's clock does, and never back`() {
        // Whoever is interrupted between two readings tries again.
        let agreed = (0..<20).contains { _ in
            let (clock, time) = (HostTime.monotonicClock, HostTime.nanoseconds)
            var last = time
            while HostTime.monotonicClock &- clock < 10_000_000 {
                let now = HostTime.nanoseconds
                #expect(now >= last)
                last = now
            }
            let (passed, wanted) = (Int64(HostTime.nanoseconds &- time), Int64(HostTime.monotonicClock &- clock))
            return abs(passed - wanted) < wanted / 1000
        }
        #expect(agreed)
    }

    @Test func `A counter is scaled by its multiplier, and moved by its offset`() {
        let half = HostCounter(multiplier: 1 << 63, offset: 1 << 62)
        let whole = HostCounter(multiplier: .max, offset: 0)
        let (first, second) = (half.nanoseconds, whole.nanoseconds)
        #expect(first >= 1 << 62)
        #expect((first - 1 << 62) <= second)
    }
}
