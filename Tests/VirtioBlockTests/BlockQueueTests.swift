import DeviceModel
import DiskImage
import Glibc
import GuestMemory
import Testing
import Virtio
import VirtioBlock

@Suite struct BlockQueueTests {
    static let sector = [UInt8](repeating: 0x5A, count: 512)

    @Test func `Several queues are offered and told of`() throws {
        let rig = try BlockRig(ScriptedImage(), queues: 3)
        #expect(rig.device.queueSizes.count == 3)
        #expect(rig.device.offeredFeatures.contains(VirtioFeatures(bit: 12)))
        #expect(rig.device.readConfig(at: 34, width: .word) == 3)
        #expect(try !BlockRig(ScriptedImage()).device.offeredFeatures.contains(VirtioFeatures(bit: 12)))
    }

    @Test func `Reads of several queues are under way at once`() throws {
        let image = ScriptedImage(rendezvous: 4)
        let rig = try BlockRig(image, queues: 4)
        for queue in 0..<4 { try rig.offer(0, sector: UInt64(queue), reading: 512, slot: queue, queue: queue) }
        try rig.settle()
        #expect(image.mostReading == 4)
        for queue in 0..<4 {
            #expect(try rig.status(queue) == 0)
            #expect(try rig.usedCount(queue) == 1)
        }
    }

    @Test func `A request does not wait for an earlier one`() throws {
        let image = ScriptedImage()
        let rig = try BlockRig(image)
        image.close(0)
        try rig.offer(0, sector: 0, reading: 512, slot: 0)
        try rig.offer(0, sector: 9, reading: 512, slot: 1)
        try rig.process()
        try rig.wait("the second read never ended") { try rig.usedCount() == 1 }
        #expect(try rig.rings[0].takeUsed()?.head == 3)
        #expect(try rig.status(0) == 0xFF)
        image.open(0)
        #expect(rig.device.drain())
        #expect(try rig.rings[0].takeUsed()?.head == 0)
        #expect(try rig.status(0) == 0)
    }

    @Test func `A flush comes after the writes that were given back before it`() throws {
        let image = ScriptedImage()
        let rig = try BlockRig(image, queues: 2)
        for slot in 0..<8 {
            try rig.offer(1, sector: UInt64(slot), writing: Self.sector, slot: slot, queue: slot % 2)
        }
        try rig.settle()
        try rig.offer(4, slot: 8)
        try rig.settle()
        #expect(image.log.count == 9)
        #expect(image.log.last == "flush")
        #expect(try rig.status(8) == 0)
    }

    @Test func `Without a flush in reach, or with the cache off, a write is flushed before it is given back`() throws {
        let image = ScriptedImage()
        let rig = try BlockRig(image, features: .version1)
        try rig.offer(1, writing: Self.sector, slot: 0)
        try rig.settle()
        #expect(image.log == ["write 0", "flush"])

        let other = ScriptedImage()
        let cached = try BlockRig(other)
        #expect(cached.device.readConfig(at: 32, width: .byte) == 1)
        try cached.offer(1, writing: Self.sector, slot: 0)
        try cached.settle()
        cached.device.writeConfig(0, at: 32, width: .byte)
        #expect(cached.device.readConfig(at: 32, width: .byte) == 0)
        try cached.offer(1, sector: 1, writing: Self.sector, slot: 1)
        try cached.settle()
        #expect(other.log == ["write 0", "write 512", "flush"])
    }

    @Test func `Buffers that are cut small reach the image as one access`() throws {
        let image = ScriptedImage()
        let rig = try BlockRig(image)
        try rig.memory.store(1 as UInt32, at: GuestAddress(rig.header(0)))
        try rig.memory.store(0 as UInt64, at: GuestAddress(rig.header(0) + 8))
        let content = (0..<4096).map { UInt8(truncatingIfNeeded: $0 / 16) }
        try rig.memory.copyIn(content, at: GuestAddress(rig.data(0)))
        var buffers: [(address: UInt64, byteCount: Int, isWritable: Bool)] = [(rig.header(0), 16, false)]
        for part in 0..<32 { buffers.append((rig.data(0) + UInt64(part * 128), 128, false)) }
        buffers.append((rig.header(0) + 0x100, 1, true))
        try rig.rings[0].offer(buffers)
        try rig.settle()
        #expect(image.log == ["write 0"])
        #expect(Array(image.bytes[..<4096]) == content)
    }

    @Test func `Discards and zeroes reach the image as they were asked for`() throws {
        let image = ScriptedImage()
        let rig = try BlockRig(image)
        try rig.offerRange(11, sector: 8, count: 16, slot: 0)
        try rig.settle()
        try rig.offerRange(13, sector: 32, count: 8, flags: 1, slot: 1)
        try rig.settle()
        #expect(image.log == ["discard 4096 8192", "zero 16384 4096"])
    }

    @Test func `A limit lets pass its rate and a short burst, over all queues together`() throws {
        let rig = try BlockRig(ScriptedImage(), queues: 2, limit: BlockRateLimit(requestsPerSecond: 100))
        for slot in 0..<40 { try rig.offer(0, reading: 512, slot: slot, queue: slot % 2) }
        func done() throws -> Int { try rig.usedCount(0) + rig.usedCount(1) }
        try rig.settle()
        #expect((1...6).contains(try done()))
        for _ in 0..<20 {
            rig.timers.advance(by: 10_000_000)
            for queue in Set(rig.wakes.take()) { try rig.device.process(queue: queue) }
            #expect(rig.device.drain())
        }
        #expect((20...27).contains(try done()))
        for _ in 0..<30 {
            rig.timers.advance(by: 10_000_000)
            for queue in Set(rig.wakes.take()) { try rig.device.process(queue: queue) }
            #expect(rig.device.drain())
        }
        #expect(try done() == 40)
    }

    @Test func `A limit counts bytes`() throws {
        let rig = try BlockRig(ScriptedImage(), limit: BlockRateLimit(bytesPerSecond: 1 << 20))
        for slot in 0..<8 { try rig.offer(0, reading: 65536, slot: slot) }
        try rig.settle()
        #expect(try rig.usedCount() == 1)
        rig.timers.advance(by: 250_000_000)
        for queue in rig.wakes.take() { try rig.device.process(queue: queue) }
        #expect(rig.device.drain())
        #expect((2...5).contains(try rig.usedCount()))
    }

    @Test func `A driver that offers more than its queue holds is made to wait`() throws {
        let image = ScriptedImage()
        let rig = try BlockRig(image, ringSize: 8)
        image.close(0)
        try rig.offer(0, sector: 0, reading: 512, slot: 0)
        // The same chain again and again, without waiting for its end.
        for _ in 0..<7 { try rig.rings[0].offer(0) }
        try rig.process()
        for _ in 0..<5 { try rig.rings[0].offer(0) }
        try rig.process()
        #expect(rig.wakes.take().isEmpty)
        image.open(0)
        #expect(rig.device.drain())
        #expect(try rig.usedCount() == 8)
        #expect(rig.wakes.take() == [0])
        try rig.settle()
        #expect(try rig.usedCount() == 13)
    }

    @Test func `A reset waits for what is under way, and gives nothing back afterwards`() throws {
        let image = ScriptedImage()
        let rig = try BlockRig(image)
        image.close(0)
        try rig.offer(0, reading: 512, slot: 0)
        try rig.process()
        try rig.wait("the read never began") { image.mostReading == 1 }
        let device = rig.device
        let opener = Thread {
            usleep(20_000)
            image.note("opened")
            image.open(0)
        }
        device.reset()
        image.note("reset")
        opener.join()
        #expect(image.log == ["opened", "read 0", "reset"])
        let used = try rig.usedCount()
        try rig.offer(0, reading: 512, slot: 1)
        try rig.process()
        #expect(try rig.usedCount() == used)
    }

    @Test func `Requests of chance never trap, and each is answered or refused`() throws {
        for seed in 0..<200 as Range<UInt64> {
            var numbers = SeededNumbers(state: seed)
            let rig = try BlockRig(ScriptedImage(byteCount: 1 << 16), queues: 2)
            var offered = 0
            do {
                for slot in 0..<12 {
                    let type = ([0, 1, 4, 8, 11, 13, 2, .max] as [UInt32]).randomElement(using: &numbers) ?? 0
                    let sector = ([0, 3, 127, 128, 1 << 55, .max] as [UInt64]).randomElement(using: &numbers) ?? 0
                    let bytes = (0..<Int.random(in: 0..<600, using: &numbers)).map { _ in
                        UInt8.random(in: .min ... .max, using: &numbers)
                    }
                    try rig.offer(
                        type,
                        sector: sector,
                        writing: bytes,
                        reading: Bool.random(using: &numbers) ? Int.random(in: 0..<1100, using: &numbers) : 0,
                        slot: slot,
                        queue: slot % 2
                    )
                    offered += 1
                    try rig.process()
                }
                #expect(rig.device.drain())
                #expect(try rig.usedCount(0) + rig.usedCount(1) == offered)
            } catch is VirtioQueueError {
                #expect(rig.device.drain())
            }
        }
    }
}

/// A thread of the host's that is waited for.
final class Thread {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    private var thread = pthread_t()

    init(_ body: @escaping @Sendable () -> Void) {
        let argument = Unmanaged.passRetained(Body(body)).toOpaque()
        pthread_create(
            &thread,
            nil,
            { argument in
                if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            },
            argument
        )
    }
    func join() { pthread_join(thread, nil) }
}
