import DeviceModel
import DiskImage
import Glibc
import GuestMemory
import Synchronization
import Testing
import Virtio
import VirtioBlock

/// A block device with several queues and room for many requests at once, driven without a worker.
final class BlockRig {
    static let flush = VirtioFeatures(bit: 9)
    static let slotLimit = 48
    private static let slotByteCount: UInt64 = 0x12000

    let memory: GuestMemory
    let rings: [DriverRing]
    let device: VirtioBlock
    let timers = ManualTimerService()
    let events: EventLog
    /// The queues that the device asked to be served.
    let wakes: WakeLog
    let features: VirtioFeatures

    init(
        _ image: any DiskImage,
        queues: Int = 1,
        limit: BlockRateLimit = BlockRateLimit(),
        reaction: DiskFailureReaction = .automatic,
        retryInterval: UInt64 = 1_000_000,
        features: VirtioFeatures = [.version1, BlockRig.flush],
        ringSize: UInt16 = 256
    ) throws {
        let memory = try GuestMemory(byteCount: 4 << 20)
        self.memory = memory
        self.features = features
        rings = (0..<queues).map { DriverRing(memory, base: 0x1000 + UInt64($0) * 0x3000, size: ringSize) }
        let events = EventLog()
        self.events = events
        wakes = WakeLog()
        device = VirtioBlock(
            image,
            VirtioBlockConfiguration(
                queueCount: queues,
                limit: limit,
                failures: DiskFailurePolicy(reaction, retryInterval: retryInterval) { events.append($0) }
            ),
            timers: timers
        )
        try start()
    }

    deinit { device.reset() }

    func start() throws {
        let wakes = wakes
        device.activate(
            Activation(
                memory: memory,
                features: features,
                queues: try rings.map { try $0.queue(features) },
                wake: { wakes.append($0) }
            )
        )
    }

    func header(_ slot: Int) -> UInt64 { 0x20000 + UInt64(slot) * Self.slotByteCount }
    func data(_ slot: Int) -> UInt64 { header(slot) + 0x1000 }
    private func statusPlace(_ slot: Int) -> UInt64 { header(slot) + 0x100 }

    /// Makes a request available; `writing` is the data of those that the device reads, `reading` how much it is to write.
    func offer(
        _ type: UInt32,
        sector: UInt64 = 0,
        writing bytes: [UInt8] = [],
        reading count: Int = 0,
        slot: Int,
        queue: Int = 0
    ) throws {
        try memory.store(type, at: GuestAddress(header(slot)))
        try memory.store(sector, at: GuestAddress(header(slot) + 8))
        try memory.store(0xFF as UInt8, at: GuestAddress(statusPlace(slot)))
        var buffers: [(address: UInt64, byteCount: Int, isWritable: Bool)] = [(header(slot), 16, false)]
        if !bytes.isEmpty {
            try memory.copyIn(bytes, at: GuestAddress(data(slot)))
            buffers.append((data(slot), bytes.count, false))
        }
        if count > 0 { buffers.append((data(slot), count, true)) }
        buffers.append((statusPlace(slot), 1, true))
        try rings[queue].offer(buffers)
    }

    func offerRange(_ type: UInt32, sector: UInt64, count: UInt32, flags: UInt32 = 0, slot: Int, queue: Int = 0) throws
    {
        var bytes: [UInt8] = []
        for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: sector >> UInt64(shift * 8))) }
        for value in [count, flags] {
            for shift in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(shift * 8))) }
        }
        try offer(type, writing: bytes, slot: slot, queue: queue)
    }

    /// The status that the device gave, 0xFF before it did.
    func status(_ slot: Int) throws -> UInt8 { try memory.load(UInt8.self, at: GuestAddress(statusPlace(slot))) }
    func bytes(_ slot: Int, _ count: Int) throws -> [UInt8] {
        try memory.copyOut(at: GuestAddress(data(slot)), byteCount: count)
    }

    func process() throws { for queue in rings.indices { try device.process(queue: queue) } }
    /// Serves everything, up to its end.
    func settle() throws {
        try process()
        try #require(device.drain())
    }
    /// Waits for a condition that other threads bring about; a minute stands for ever.
    func wait(_ what: Comment, until condition: () throws -> Bool) throws {
        for _ in 0..<60_000 {
            if try condition() { return }
            usleep(1000)
        }
        Issue.record(what)
    }
    func usedCount(_ queue: Int = 0) throws -> Int { Int(try rings[queue].usedIndex) }
}

final class EventLog: Sendable {
    private let list = Mutex<[DiskFailurePolicy.Event]>([])
    func append(_ event: DiskFailurePolicy.Event) { list.withLock { $0.append(event) } }
    var all: [DiskFailurePolicy.Event] { list.withLock { $0 } }
    /// The kinds of the events, in their order.
    var kinds: [String] {
        all.map { event in
            switch event {
            case .held(_, let pausesGuest): pausesGuest ? "held, pausing" : "held"
            case .released: "released"
            case .reported: "reported"
            case .abandoned(_, let count): "abandoned \(count)"
            }
        }
    }
}

final class WakeLog: Sendable {
    private let list = Mutex<[Int]>([])
    func append(_ queue: Int) { list.withLock { $0.append(queue) } }
    func take() -> [Int] {
        list.withLock { list in
            defer { list = [] }
            return list
        }
    }
}

/// A generator whose numbers a test can repeat (SplitMix64).
struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
