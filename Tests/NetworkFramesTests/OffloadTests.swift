import Testing

@testable import NetworkFrames

@Suite struct OffloadTests {
    @Test(arguments: [0, 1, 2, 7, 8, 9, 15, 16, 20, 63, 1459, 1460, 65_535])
    func `The quick sum is that of RFC 1071`(count: Int) {
        let bytes = [UInt8](Packets.bytes(count).reversed())
        var sum = InternetChecksum()
        sum.add(bytes[...])
        #expect(sum.value == ~Packets.slowSum(bytes) || (sum.partial == 0xFFFF && Packets.slowSum(bytes) == 0))
    }

    @Test func `Parts of even length and words add up to the whole`() {
        let bytes = Packets.bytes(1001)
        var sum = InternetChecksum()
        sum.add(bytes[..<10])
        sum.add(word: UInt16(bytes[10]) << 8 | UInt16(bytes[11]))
        sum.add(bytes[12...])
        #expect(sum.partial == Packets.slowSum(bytes))
    }

    @Test(arguments: [false, true])
    func `A checksum that was left open is completed`(isIPv6: Bool) {
        let right = Packets.tcp(isIPv6: isIPv6, payload: Packets.bytes(333))
        let transport = isIPv6 ? 54 : 34
        var open = right
        let addresses = Array(isIPv6 ? open[22..<54] : open[26..<34])
        let partial = Packets.slowSum(addresses + Packets.words([0, UInt16(right.count - transport), 0, 6]))
        open[transport + 16] = UInt8(partial >> 8)
        open[transport + 17] = UInt8(partial & 0xFF)
        let checksum = FrameOffload.Checksum(start: transport, offset: 16)
        var frame = Frame(open, offload: FrameOffload(checksum: checksum))
        frame.completeChecksum()
        #expect(frame.bytes == right)
        #expect(frame.offload.isVerified && frame.offload.checksum == nil)
    }

    @Test(arguments: [false, true], [1, 535, 536, 537, 1460, 5000, 60_000])
    func `A large segment is cut into right ones that make it up`(isIPv6: Bool, count: Int) {
        let payload = Packets.bytes(count)
        let large = Packets.tcp(
            flags: 0x99,  // CWR, ACK, PSH, FIN
            isIPv6: isIPv6,
            options: [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8],
            payload: payload
        )
        let headers = large.count - count
        let offload = FrameOffload(
            checksum: FrameOffload.Checksum(start: isIPv6 ? 54 : 34, offset: 16),
            segmentation: isIPv6 ? .tcp6 : .tcp4,
            segmentByteCount: 536
        )
        let segments = Frame(large, offload: offload).segmented()
        #expect(segments.count == (count + 535) / 536)
        #expect(segments.flatMap { $0.bytes[headers...] } == payload)
        #expect(segments.allSatisfy { Packets.isRight($0.bytes) && $0.offload == FrameOffload(isVerified: true) })
        let transport = isIPv6 ? 54 : 34
        for (index, segment) in segments.enumerated() {
            #expect(segment.bytes.bigEndian32(at: transport + 4) == 1000 + UInt32(index * 536))
            if !isIPv6 { #expect(segment.bytes.bigEndian16(at: 18) == 7 + UInt16(index)) }
            let isLast = index == segments.count - 1
            #expect(segment.bytes[transport + 13] == (isLast ? 0x19 : 0x10) | (index == 0 ? 0x80 : 0))
        }
    }

    @Test func `A large segment becomes one right packet for those who take it whole`() {
        var open = Packets.tcp(payload: Packets.bytes(40_000))
        let right = open
        open[16] = 0  // total length
        open[50] = 0x55  // checksum
        var frame = Frame(open, offload: FrameOffload(segmentation: .tcp4, segmentByteCount: 1460))
        let isDone = frame.completeWithoutSegmentation()
        #expect(isDone)
        #expect(frame.bytes == right)
    }

    @Test func `What is no TCP is neither cut nor completed`() {
        let offload = FrameOffload(
            checksum: FrameOffload.Checksum(start: 14, offset: 2),
            segmentation: .tcp4,
            segmentByteCount: 100
        )
        for bytes in [[], [UInt8](repeating: 0, count: 13), [UInt8](repeating: 0, count: 200)] {
            var frame = Frame(bytes, offload: offload)
            #expect(frame.segmented().isEmpty)
            let isDone = frame.completeWithoutSegmentation()
            #expect(!isDone)
        }
        // An IPv4 packet is not cut as IPv6.
        let other = FrameOffload(segmentation: .tcp6, segmentByteCount: 100)
        #expect(Frame(Packets.tcp(payload: [1]), offload: other).segmented().isEmpty)
        // One byte a segment would be tens of thousands.
        let tiny = FrameOffload(segmentation: .tcp4, segmentByteCount: 1)
        #expect(Frame(Packets.tcp(payload: Packets.bytes(60_000)), offload: tiny).segmented().isEmpty)
    }

    @Test func `A header reads as it was written`() {
        let offloads = [
            FrameOffload(), FrameOffload(isVerified: true),
            FrameOffload(checksum: FrameOffload.Checksum(start: 34, offset: 16)),
            FrameOffload(
                checksum: FrameOffload.Checksum(start: 54, offset: 16),
                segmentation: .tcp6,
                segmentByteCount: 1440,
                headerByteCount: 74,
                hasCongestionNotice: true
            ),
        ]
        for offload in offloads { #expect(FrameOffload(offload.encoded(), frameByteCount: 100) == offload) }
        #expect(FrameOffload().encoded(bufferCount: 0x203)[10...] == [3, 2])
    }

    @Test(
        arguments: [
            [1, 0, 0, 0, 0, 0, 34, 0, 65, 0, 0, 0],  // checksum behind the end
            [1, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0],
            [1, 0, 0, 0, 0, 0, 2, 0, 2, 0, 0, 0],  // in the Ethernet header
            [1, 3, 0, 0, 100, 0, 34, 0, 16, 0, 0, 0],  // UDP fragments
            [1, 1, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0],  // segments of no bytes
            [0, 1, 0, 0, 100, 0, 34, 0, 16, 0, 0, 0],  // segments without checksum
            [1, 1, 0, 0, 100, 0, 34],
        ] as [[UInt8]]
    )
    func `A header that makes no sense is refused`(bytes: [UInt8]) {
        #expect(FrameOffload(bytes, frameByteCount: 100) == nil)
    }

    @Test func `A flow has one number in both directions`() {
        let frame = Frame(Packets.tcp(payload: [1, 2, 3]))
        var back = frame.bytes
        back.replaceSubrange(26..<34, with: Array(frame.bytes[30..<34] + frame.bytes[26..<30]))
        back.replaceSubrange(34..<38, with: Array(frame.bytes[36..<38] + frame.bytes[34..<36]))
        #expect(Frame(back).flowHash == frame.flowHash)
        #expect(Frame(Packets.tcp(port: 81, payload: [1])).flowHash != frame.flowHash)
    }
}
