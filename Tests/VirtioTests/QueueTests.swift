import GuestMemory
import Testing
import Virtio

@Suite struct QueueTests {
    let memory: GuestMemory
    let ring: DriverRing

    init() throws {
        memory = try GuestMemory(byteCount: 0x10_0000)
        ring = DriverRing(memory)
    }

    @Test func `Buffers cut anywhere read and write as one`() throws {
        let queue = try ring.queue()
        try memory.copyIn([1, 2, 3, 4, 5], at: GuestAddress(0x8000))
        try ring.offer([
            (0x8000, 2, false), (0x8002, 3, false), (0x9000, 1, true), (0xA000, 4, true),
        ])
        let chain = try #require(try queue.next())
        #expect(chain.readableByteCount == 5 && chain.writableByteCount == 5)
        #expect(try chain.copyOut(at: 1, byteCount: 3) == [2, 3, 4])
        #expect(try chain.load(UInt32.self, at: 1) == 0x0504_0302)
        #expect(try chain.copyIn([7, 8, 9, 10, 11, 12], at: 0) == 5)
        #expect(try memory.copyOut(at: GuestAddress(0x9000), byteCount: 1) == [7])
        #expect(try memory.copyOut(at: GuestAddress(0xA000), byteCount: 4) == [8, 9, 10, 11])
        #expect(try chain.copyIn([1], at: 6) == 0)
        #expect(throws: VirtioQueueError.requestTooShort(byteCount: 5)) { try chain.copyOut(at: 4, byteCount: 2) }
        #expect(throws: VirtioQueueError.requestTooShort(byteCount: 5)) { try chain.copyOut(at: 4, byteCount: .max) }
    }

    @Test func `Indices wrap around the ring and around 16 bits`() throws {
        let queue = try ring.queue()
        for turn in 0..<70_000 {
            let head = try ring.offer([(0x8000, 4, true)])
            let chain = try #require(try queue.next())
            try queue.complete(chain, byteCount: 4)
            let element = try #require(try ring.takeUsed())
            guard element.head == UInt32(head), element.byteCount == 4 else {
                Issue.record("turn \(turn): \(element)")
                return
            }
        }
        #expect(try queue.next() == nil)
    }

    @Test func `An indirect table is followed when negotiated and refused when not`() throws {
        let table = GuestAddress(0x20000)
        try ring.setDescriptor(0, 0x8000, 16, flags: DriverRing.next, next: 2, in: table)
        try ring.setDescriptor(2, 0x9000, 100, flags: DriverRing.write, in: table)
        try ring.setDescriptor(3, table.rawValue, 48, flags: DriverRing.indirect)
        try ring.offer(3)
        let chain = try #require(try ring.queue(.indirectDescriptors).next())
        #expect(chain.head == 3 && chain.readableByteCount == 16 && chain.writableByteCount == 100)
        let plain = try ring.queue()
        #expect(throws: VirtioQueueError.badIndirectTable(head: 3)) { try plain.next() }
    }

    @Test func `Without event indices the driver's flag silences interrupts`() throws {
        let interrupts = CallCount()
        let queue = try ring.queue { interrupts.add() }
        try ring.offer([(0x8000, 4, true)])
        try queue.drain { _ throws(VirtioQueueError) in 0 }
        #expect(interrupts.count == 1)
        try ring.setAvailableFlags(1)
        try ring.offer([(0x8000, 4, true)])
        try queue.drain { _ throws(VirtioQueueError) in 0 }
        #expect(interrupts.count == 1)
        try queue.signalDriver()
        #expect(interrupts.count == 1)
    }

    @Test func `Notifications are suppressed by the used flag while a queue is served`() throws {
        let queue = try ring.queue()
        try queue.suppressNotifications()
        #expect(try ring.usedFlags == 1)
        #expect(try queue.resumeNotifications() == false)
        #expect(try ring.usedFlags == 0)
        try ring.offer([(0x8000, 4, true)])
        #expect(try queue.resumeNotifications())
    }

    @Test func `With event indices the driver is told when its event is passed`() throws {
        let interrupts = CallCount()
        let queue = try ring.queue(.eventIndex) { interrupts.add() }
        try ring.setUsedEvent(1)
        try ring.offer([(0x8000, 4, true)])
        try queue.drain { _ throws(VirtioQueueError) in 0 }
        #expect(interrupts.count == 0, "element 0 is not the event")
        #expect(try ring.availableEvent == 1)
        try ring.offer([(0x8000, 4, true)])
        try ring.offer([(0x8000, 4, true)])
        try queue.drain { _ throws(VirtioQueueError) in 0 }
        #expect(interrupts.count == 1, "elements 1 and 2, one interrupt")
        #expect(try ring.availableEvent == 3)
    }

    @Test(arguments: [0, 3, 6] as [UInt16])
    func `A size that is no power of two is refused`(size: UInt16) throws {
        let ring = DriverRing(memory, size: size)
        #expect(throws: VirtioQueueError.badSize(size)) { try ring.queue() }
    }

    @Test(arguments: [0x1008, 0xF_FFF0, 0xFFFF_FFFF_FFFF_F000] as [UInt64])
    func `Rings out of line or out of RAM are refused`(base: UInt64) throws {
        let address = GuestAddress(base)
        #expect(throws: VirtioQueueError.badRing(address)) {
            _ = try VirtioQueue(
                size: 8,
                descriptors: address,
                available: ring.available,
                used: ring.used,
                memory: memory,
                features: [],
                interrupt: {}
            )
        }
    }

    @Test func `More available chains than the queue holds are refused`() throws {
        try memory.store(9 as UInt16, at: DriverRing.at(ring.available, 2))
        let queue = try ring.queue()
        #expect(throws: VirtioQueueError.tooManyAvailable(9)) { try queue.next() }
    }

    /// A chain that the driver got wrong, and how it is refused.
    struct HostileChain: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let error: VirtioQueueError
        let layOut: @Sendable (DriverRing) throws -> Void
    }

    static let hostileChains: [HostileChain] = [
        HostileChain(testDescription: "a loop", error: .chainTooLong(head: 0)) {
            try $0.setDescriptor(0, 0x8000, 4, flags: DriverRing.next, next: 1)
            try $0.setDescriptor(1, 0x8000, 4, flags: DriverRing.next, next: 0)
        },
        HostileChain(testDescription: "a next out of range", error: .badIndex(8)) {
            try $0.setDescriptor(0, 0x8000, 4, flags: DriverRing.next, next: 8)
        },
        HostileChain(testDescription: "an empty buffer", error: .emptyBuffer(GuestAddress(0x8000))) {
            try $0.setDescriptor(0, 0x8000, 0)
        },
        HostileChain(
            testDescription: "a buffer past RAM",
            error: .notRAM(GuestAddress(0xF_FFFF), byteCount: 2)
        ) {
            try $0.setDescriptor(0, 0xF_FFFF, 2)
        },
        HostileChain(
            testDescription: "a buffer past all addresses",
            error: .notRAM(GuestAddress(.max), byteCount: 0xFFFF_FFFF)
        ) {
            try $0.setDescriptor(0, .max, .max)
        },
        HostileChain(testDescription: "readable after writable", error: .readableAfterWritable(head: 0)) {
            try $0.setDescriptor(0, 0x8000, 4, flags: DriverRing.next | DriverRing.write, next: 1)
            try $0.setDescriptor(1, 0x8000, 4)
        },
        HostileChain(testDescription: "an odd table", error: .badIndirectTable(head: 0)) {
            try $0.setDescriptor(0, 0x8000, 17, flags: DriverRing.indirect)
        },
        HostileChain(testDescription: "an empty table", error: .badIndirectTable(head: 0)) {
            try $0.setDescriptor(0, 0x8000, 0, flags: DriverRing.indirect)
        },
        HostileChain(testDescription: "a table with a next", error: .badIndirectTable(head: 0)) {
            try $0.setDescriptor(0, 0x8000, 16, flags: DriverRing.indirect | DriverRing.next, next: 1)
        },
        HostileChain(testDescription: "a nested table", error: .badIndirectTable(head: 0)) {
            try $0.setDescriptor(0, 0x8000, 16, flags: DriverRing.indirect)
            try $0.setDescriptor(0, 0x8000, 16, flags: DriverRing.indirect, in: GuestAddress(0x8000))
        },
        HostileChain(testDescription: "a looping table", error: .chainTooLong(head: 0)) {
            try $0.setDescriptor(0, 0x8000, 16, flags: DriverRing.indirect)
            try $0.setDescriptor(0, 0x9000, 16, flags: DriverRing.next, next: 0, in: GuestAddress(0x8000))
        },
        HostileChain(testDescription: "a next past its table", error: .badIndex(1)) {
            try $0.setDescriptor(0, 0x8000, 16, flags: DriverRing.indirect)
            try $0.setDescriptor(0, 0x9000, 16, flags: DriverRing.next, next: 1, in: GuestAddress(0x8000))
        },
        HostileChain(
            testDescription: "a table past RAM",
            error: .notRAM(GuestAddress(0xF_FFF8), byteCount: 16)
        ) {
            try $0.setDescriptor(0, 0xF_FFF8, 16, flags: DriverRing.indirect)
        },
    ]

    @Test(arguments: hostileChains)
    func `A hostile chain is refused with what is wrong`(chain: HostileChain) throws {
        try chain.layOut(ring)
        try ring.offer(0)
        let queue = try ring.queue(.indirectDescriptors)
        #expect(throws: chain.error) { try queue.next() }
    }

    @Test func `A head out of range is refused`() throws {
        try ring.offer(8)
        let queue = try ring.queue()
        #expect(throws: VirtioQueueError.badIndex(8)) { try queue.next() }
    }

    @Test func `An indirect table of more than 1024 descriptors is refused`() throws {
        let table = GuestAddress(0x20000)
        for index in 0..<1025 as Range<UInt16> {
            try ring.setDescriptor(index, 0x8000, 4, flags: DriverRing.next, next: index + 1, in: table)
        }
        try ring.setDescriptor(0, table.rawValue, 2048 * 16, flags: DriverRing.indirect)
        try ring.offer(0)
        let queue = try ring.queue(.indirectDescriptors)
        #expect(throws: VirtioQueueError.chainTooLong(head: 0)) { try queue.next() }
    }
}
