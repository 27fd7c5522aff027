import NetworkFrames
import Testing

@Suite struct TokenBucketTests {
    @Test func `Over a second the rate passes, and the burst`() {
        var limit = RateLimit(bytesPerSecond: 1_000_000)
        var passed = 0
        for now in stride(from: 0, to: 1_000_000_000 as UInt64, by: 100_000) {
            while limit.opensAt <= now {
                limit.take(byteCount: 1500, now: now)
                passed += 1500
            }
        }
        #expect((1_000_000...1_060_000).contains(passed))
    }

    @Test func `Frames are counted on their own`() {
        var limit = RateLimit(framesPerSecond: 100)
        var passed = 0
        for now in stride(from: 0, to: 2_000_000_000 as UInt64, by: 1_000_000) {
            while limit.opensAt <= now {
                limit.take(byteCount: 60_000, now: now)
                passed += 1
            }
        }
        #expect((200...207).contains(passed))
    }

    @Test func `A frame larger than the bucket passes and is paid for after`() {
        var limit = RateLimit(bytesPerSecond: 1000)
        #expect(limit.opensAt == 0)
        limit.take(byteCount: 65_000, now: 0)
        #expect(limit.opensAt == 65_000_000_000 - 50_000_000)
    }

    @Test func `Without limits everything passes`() {
        var limit = RateLimit()
        limit.take(byteCount: .max, now: .max)
        #expect(!limit.isLimited && limit.opensAt == 0)
    }

    @Test(
        arguments: [("52:54:00:12:34:56", 0x5254_0012_3456), ("1:2:3:4:5:f", 0x0102_0304_050F)] as [(String, UInt64)]
    )
    func `An address is six numbers`(text: String, value: UInt64) { #expect(MACAddress(text)?.rawValue == value) }

    @Test(arguments: [
        "", "52:54:00:12:34", "52:54:00:12:34:56:78", "52:54:00:12:34:100", "52:54:00:12:34:g", "+1:2:3:4:5:6",
    ])
    func `What is no address is refused`(text: String) { #expect(MACAddress(text) == nil) }
}
