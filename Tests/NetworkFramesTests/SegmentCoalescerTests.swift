import Testing

@testable import NetworkFrames

@Suite struct SegmentCoalescerTests {
    /// Segments of 1000 bytes and a shorter one.
    private func stream(_ count: Int, isIPv6: Bool = false, port: UInt16 = 80, last: Int = 10) -> [[UInt8]] {
        (0..<count).map { index in
            Packets.tcp(
                sequence: 0xFFFF_F000 &+ UInt32(index * 1000),
                flags: index == count - 1 ? 0x18 : 0x10,
                port: port,
                identification: UInt16(index),
                isIPv6: isIPv6,
                payload: Packets.bytes(index == count - 1 ? last : 1000)
            )
        }
    }

    @Test(arguments: [false, true])
    func `Segments become one frame that cuts into them again`(isIPv6: Bool) {
        let segments = stream(12, isIPv6: isIPv6)
        var coalescer = SegmentCoalescer(.all)
        for segment in segments { coalescer.add(segment) }
        let frames = coalescer.take()
        #expect(frames.count == 1)
        #expect(frames.first?.offload.segmentation == (isIPv6 ? .tcp6 : .tcp4))
        #expect(frames.first?.segmented().map(\.bytes) == segments)
        // The open checksum is right as well.
        var whole = frames.first
        whole?.offload.segmentation = .none
        whole?.completeChecksum()
        #expect(Packets.isRight(whole?.bytes ?? []))
        #expect(coalescer.isEmpty)
    }

    @Test func `Without the guest's consent every segment stays alone`() {
        for offloads in [[], .checksum, .tcp6] as [Offloads] {
            var coalescer = SegmentCoalescer(offloads)
            for segment in stream(3) { coalescer.add(segment) }
            let frames = coalescer.take()
            #expect(frames.map(\.bytes) == stream(3))
        }
    }

    @Test func `Connections are joined beside each other`() {
        let (a, b) = (stream(4, port: 80), stream(4, port: 81))
        var coalescer = SegmentCoalescer(.all)
        for (one, other) in zip(a, b) {
            coalescer.add(one)
            coalescer.add(other)
        }
        let frames = coalescer.take()
        #expect(frames.count == 2)
        #expect(frames.flatMap { $0.segmented().map(\.bytes) } == a + b)
    }

    @Test func `A gap, another flag, a longer segment or other options end a frame`() {
        let first = Packets.tcp(sequence: 0, payload: Packets.bytes(100))
        let others = [
            Packets.tcp(sequence: 101, payload: Packets.bytes(100)),
            Packets.tcp(sequence: 100, flags: 0x14, payload: Packets.bytes(100)),
            Packets.tcp(sequence: 100, payload: Packets.bytes(101)),
            Packets.tcp(sequence: 100, options: [1, 1, 1, 1], payload: Packets.bytes(100)),
            Packets.tcp(sequence: 100, payload: []),
        ]
        for other in others {
            var coalescer = SegmentCoalescer(.all)
            coalescer.add(first)
            coalescer.add(other)
            let frames = coalescer.take()
            #expect(frames.map(\.bytes) == [first, other])
        }
    }

    @Test func `A frame stays below 64 KiB`() {
        var coalescer = SegmentCoalescer(.all)
        for segment in stream(100) { coalescer.add(segment) }
        let frames = coalescer.take()
        #expect(frames.allSatisfy { $0.bytes.count <= Frame.byteLimit })
        #expect(frames.count == 2)
    }

    @Test func `Frames that are no packets pass unchanged, of any length`() {
        var coalescer = SegmentCoalescer(.all)
        let whole = Packets.tcp(payload: [1, 2, 3, 4])
        let frames = (0...whole.count).map { Array(whole[..<$0]) }
        for frame in frames { coalescer.add(frame) }
        let taken = coalescer.take()
        #expect(taken.map(\.bytes) == frames)
    }
}
