import DeviceModel
import GuestMemory
import NetworkFrames
import Synchronization
import Testing
import Virtio

@testable import VirtioNet

/// A network that keeps what the guest sends.
final class RecordingBackend: NetworkBackend {
    let offloads: Offloads
    private let state = Mutex<(frames: [Frame], receiver: (any FrameReceiver)?, resumes: Int)>(([], nil, 0))

    init(_ offloads: Offloads = []) { self.offloads = offloads }
    func attach(_ receiver: (any FrameReceiver)?) { state.withLock { $0.receiver = receiver } }
    func transmit(_ frames: [Frame]) { state.withLock { $0.frames += frames } }
    func resume() { state.withLock { $0.resumes += 1 } }

    var frames: [Frame] { state.withLock { $0.frames } }
    var hasReceiver: Bool { state.withLock { $0.receiver != nil } }
    var resumes: Int { state.withLock { $0.resumes } }
}

final class RecordingObserver: FrameObserver {
    private let seen = Mutex<[Frame]>([])
    func observe(_ frames: [Frame]) { seen.withLock { $0 += frames } }
    var frames: [Frame] { seen.withLock { $0 } }
}

@Suite struct VirtioNetTests {
    static let address = MACAddress(0x5254_0012_3456)
    let memory: GuestMemory
    let receive: DriverRing
    let transmit: DriverRing
    let control: DriverRing
    let timers = ManualTimerService()
    let observer = RecordingObserver()
    let interrupts = CallCount()
    let completions = CallCount()
    let wakes = CallCount()

    init() throws {
        memory = try GuestMemory(byteCount: 0x40_0000)
        receive = DriverRing(memory, base: 0x1000, size: 64)
        transmit = DriverRing(memory, base: 0x4000, size: 64)
        control = DriverRing(memory, base: 0x7000, size: 64)
    }

    private func makeDevice(
        _ backend: RecordingBackend,
        _ features: VirtioFeatures = [],
        _ configuration: VirtioNetConfiguration = VirtioNetConfiguration(address: address)
    ) throws -> VirtioNet {
        let device = VirtioNet(configuration, backend: backend, timers: timers, observer: observer)
        device.activate(
            Activation(
                memory: memory,
                features: features.union(.version1),
                queues: [
                    try receive.queue { [interrupts] in interrupts.add() },
                    try transmit.queue { [completions] in completions.add() }, try control.queue(),
                ],
                wake: { [wakes] _ in wakes.add() }
            )
        )
        return device
    }

    private func frame(_ count: Int, to destination: MACAddress = address) -> [UInt8] {
        destination.bytes + [2, 0, 0, 0, 0, 1, 0x88, 0xB5]
            + (0..<max(0, count - 14)).map { UInt8(truncatingIfNeeded: $0) }
    }

    private func offer(_ header: FrameOffload, _ frame: [UInt8], split: Int = 0) throws {
        let bytes = header.encoded() + frame
        try memory.copyIn(bytes, at: GuestAddress(0x1_0000))
        if split > 0 {
            try transmit.offer([(0x1_0000, split, false), (0x1_0000 + UInt64(split), bytes.count - split, false)])
        } else {
            try transmit.offer([(0x1_0000, bytes.count, false)])
        }
    }

    @Test(arguments: [0, 1, 12, 20])
    func `A frame of the guest's reaches the network, however it is cut`(split: Int) throws {
        let backend = RecordingBackend()
        let device = try makeDevice(backend)
        try offer(FrameOffload(), frame(100), split: split)
        try device.process(queue: 1)
        #expect(backend.frames.map(\.bytes) == [frame(100)])
        #expect(observer.frames.map(\.bytes) == [frame(100)])
        #expect(try transmit.takeUsed()?.byteCount == 0)
        #expect(device.counters.sentFrames == 1 && device.counters.sentBytes == 100)
    }

    @Test func `The driver is told of sent frames a little later, or when they are many`() throws {
        let device = try makeDevice(RecordingBackend())
        try offer(FrameOffload(), frame(100))
        try device.process(queue: 1)
        #expect(try transmit.usedIndex == 1)
        #expect(completions.count == 0)
        timers.advance(by: 500_000)
        #expect(wakes.count == 1)
        try device.process(queue: 1)
        #expect(completions.count == 1)
        for _ in 0..<16 { try offer(FrameOffload(), frame(100)) }
        try device.process(queue: 1)
        #expect(completions.count == 2)
        timers.advance(by: 500_000)
        #expect(wakes.count == 1, "nothing is left to tell")
    }

    @Test func `An open checksum is completed for a network that takes none, and stays for one that does`() throws {
        let header = FrameOffload(checksum: FrameOffload.Checksum(start: 14, offset: 4))
        let plain = RecordingBackend()
        let device = try makeDevice(plain)
        try offer(header, frame(40))
        try device.process(queue: 1)
        var expected = Frame(frame(40), offload: header)
        expected.completeChecksum()
        #expect(plain.frames.map(\.bytes) == [expected.bytes])
        #expect(expected.bytes != frame(40))
    }

    @Test func `A header or a length that makes no sense loses the frame and no more`() throws {
        let backend = RecordingBackend()
        let device = try makeDevice(backend)
        try memory.copyIn([1, 0, 0, 0, 0, 0, 0xFF, 0xFF, 2, 0, 0, 0] + frame(60), at: GuestAddress(0x1_0000))
        try transmit.offer([(0x1_0000, 72, false)])
        try transmit.offer([(0x1_0000, 12, false)])
        try transmit.offer([(0x1_0000, 100_000, false)])
        try device.process(queue: 1)
        #expect(backend.frames.isEmpty)
        #expect(device.counters.malformedFrames == 3)
        #expect(try transmit.usedIndex == 3)
    }

    @Test func `A chain without a whole header is the driver's fault`() throws {
        let device = try makeDevice(RecordingBackend())
        try transmit.offer([(0x1_0000, 11, false)])
        #expect(throws: VirtioQueueError.requestTooShort(byteCount: 11)) { try device.process(queue: 1) }
        try receive.offer([(0x1_0000, 11, true)])
        _ = device.receive([Frame(frame(60))])
        #expect(throws: VirtioQueueError.requestTooShort(byteCount: 11)) { try device.process(queue: 0) }
    }

    @Test func `A received frame is spread over merged buffers, all given back at once`() throws {
        let device = try makeDevice(RecordingBackend(), VirtioNetFeature.mergedBuffers)
        for index in 0..<3 { try receive.offer([(0x2_0000 + UInt64(index) * 0x1000, 100, true)]) }
        #expect(device.receive([Frame(frame(250))]))
        #expect(wakes.count == 1)
        try device.process(queue: 0)
        #expect(try receive.takeUsed()?.byteCount == 100)
        #expect(try receive.takeUsed()?.byteCount == 100)
        #expect(try receive.takeUsed()?.byteCount == 62)
        #expect(interrupts.count == 1)
        var bytes: [UInt8] = []
        for (index, count) in [100, 100, 62].enumerated() {
            bytes += try memory.copyOut(at: GuestAddress(0x2_0000 + UInt64(index) * 0x1000), byteCount: count)
        }
        #expect(Array(bytes[12...]) == frame(250))
        #expect(bytes[10] == 3, "num_buffers")
    }

    @Test func `A frame waits whole until there are buffers for all of it`() throws {
        let device = try makeDevice(RecordingBackend(), VirtioNetFeature.mergedBuffers)
        try receive.offer([(0x2_0000, 100, true)])
        _ = device.receive([Frame(frame(150)), Frame(frame(60))])
        try device.process(queue: 0)
        #expect(try receive.usedIndex == 0)
        try receive.offer([(0x2_1000, 100, true)])
        try receive.offer([(0x2_2000, 100, true)])
        try device.process(queue: 0)
        #expect(try receive.usedIndex == 3)
        #expect(try memory.copyOut(at: GuestAddress(0x2_200C), byteCount: 60) == frame(60))
    }

    @Test func `Without merged buffers a frame that is too large is lost`() throws {
        let device = try makeDevice(RecordingBackend())
        try receive.offer([(0x2_0000, 100, true)])
        _ = device.receive([Frame(frame(150)), Frame(frame(60))])
        try device.process(queue: 0)
        #expect(try receive.usedIndex == 1)
        #expect(device.counters.lostFrames == 1)
        #expect(try memory.copyOut(at: GuestAddress(0x2_000C), byteCount: 60) == frame(60))
    }

    @Test func `What the guest takes decides how an open checksum reaches it`() throws {
        let offload = FrameOffload(checksum: FrameOffload.Checksum(start: 14, offset: 4))
        var complete = Frame(frame(60), offload: offload)
        complete.completeChecksum()
        for (features, flags, bytes) in [
            (VirtioNetFeature.guestChecksum, 1, frame(60)), ([], 0, complete.bytes),
        ] as [(VirtioFeatures, UInt8, [UInt8])] {
            let device = try makeDevice(RecordingBackend(), features)
            try receive.offer([(0x2_0000, 100, true)])
            _ = device.receive([Frame(frame(60), offload: offload)])
            try device.process(queue: 0)
            #expect(try memory.load(UInt8.self, at: GuestAddress(0x2_0000)) == flags)
            #expect(try memory.copyOut(at: GuestAddress(0x2_000C), byteCount: 60) == bytes)
            device.reset()
            // The ring starts anew.
            for offset in stride(from: 0x1000 as UInt64, to: 0x4000, by: 8) {
                try memory.store(0 as UInt64, at: GuestAddress(offset))
            }
            receive.availableIndex = 0
        }
    }

    @Test func `Commands set the filter, the address and the offloads, and bad ones are refused`() throws {
        let all = VirtioNetFeature.all
        let device = try makeDevice(RecordingBackend(), all)
        func run(_ bytes: [UInt8]) throws -> UInt8 {
            try memory.copyIn(bytes, at: GuestAddress(0x3_0000))
            try memory.store(0xFF as UInt8, at: GuestAddress(0x3_F000))
            try control.offer([(0x3_0000, bytes.count, false), (0x3_F000, 1, true)])
            try device.process(queue: 2)
            return try memory.load(UInt8.self, at: GuestAddress(0x3_F000))
        }
        let group = MACAddress(0x0100_5E00_0001)
        let other = MACAddress(0x5254_0000_0001)
        func passes(_ destination: MACAddress) -> Bool {
            let before = device.counters.filteredFrames
            _ = device.receive([Frame(frame(60, to: destination))])
            return device.counters.filteredFrames == before
        }
        #expect(passes(Self.address) && passes(.broadcast) && !passes(group) && !passes(other))
        #expect(try run([1, 0, 0, 0, 0, 0, 1, 0, 0, 0] + group.bytes) == 0)
        #expect(passes(group) && !passes(other))
        #expect(try run([0, 0, 1]) == 0)
        #expect(passes(other))
        #expect(try run([0, 0, 0]) == 0)
        #expect(try run([0, 5, 1]) == 0)
        #expect(!passes(.broadcast))
        #expect(try run([1, 1] + other.bytes) == 0)
        #expect(passes(other) && !passes(Self.address))
        #expect(device.readConfig(at: 0, width: .dword) == 0x0000_5452)
        #expect(try run([5, 0, 2, 0, 0, 0, 0, 0, 0, 0]) == 0)
        #expect(device.offloads == .checksum)
        // Nothing of this is possible.
        let bad: [[UInt8]] = [
            [], [0], [0, 9, 1], [0, 0], [0, 0, 1, 1], [1, 0], [1, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0],
            [1, 0, 0, 0, 0, 0, 2, 0, 0, 0] + group.bytes, [1, 1, 2], [2, 0, 0, 0x10], [2, 2, 1, 0], [4, 0, 1, 0],
            [5, 0, 0, 0, 0, 0, 1, 0, 0, 0], [6, 0], [0xFF, 0xFF, 0xFF],
        ]
        for bytes in bad where !bytes.isEmpty { #expect(try run(bytes) == 1) }
    }

    @Test func `A tagged frame passes once its VLAN is named`() throws {
        let device = try makeDevice(RecordingBackend(), VirtioNetFeature.all)
        let tagged = Self.address.bytes + [2, 0, 0, 0, 0, 1, 0x81, 0, 0, 5, 8, 0] + [UInt8](repeating: 0, count: 40)
        _ = device.receive([Frame(tagged)])
        #expect(device.counters.filteredFrames == 1)
        try memory.copyIn([2, 0, 5, 0], at: GuestAddress(0x3_0000))
        try control.offer([(0x3_0000, 4, false), (0x3_F000, 1, true)])
        try device.process(queue: 2)
        _ = device.receive([Frame(tagged)])
        #expect(device.counters.filteredFrames == 1)
    }

    @Test func `A rate limit holds frames back until its timer wakes the queue`() throws {
        let limit = RateLimit(bytesPerSecond: 1000)
        let configuration = VirtioNetConfiguration(address: Self.address, transmitLimit: limit, receiveLimit: limit)
        let backend = RecordingBackend()
        let device = try makeDevice(backend, [], configuration)
        try offer(FrameOffload(), frame(1000))
        try offer(FrameOffload(), frame(1000))
        try device.process(queue: 1)
        #expect(backend.frames.count == 1)
        try receive.offer([(0x2_0000, 2000, true)])
        try receive.offer([(0x2_1000, 2000, true)])
        _ = device.receive([Frame(frame(1000)), Frame(frame(1000))])
        try device.process(queue: 0)
        #expect(try receive.usedIndex == 1)
        timers.advance(by: 1_000_000)  // completions are told
        let before = wakes.count
        timers.advance(by: 899_000_000)
        #expect(wakes.count == before)
        timers.advance(by: 100_000_000)
        #expect(wakes.count == before + 2)
        try device.process(queue: 0)
        try device.process(queue: 1)
        #expect(backend.frames.count == 2)
        #expect(try receive.usedIndex == 2)
    }

    @Test func `A network is asked to wait when the guest takes nothing, and told when it does`() throws {
        let backend = RecordingBackend()
        let device = try makeDevice(backend)
        let large = Frame(frame(60_000))
        var sent = 0
        while sent < 1000, device.receive([large]) { sent += 1 }
        #expect(sent == ReceiveBacklog.byteMark / 60_000)
        for _ in 0..<200 { _ = device.receive([large]) }
        #expect(device.counters.lostFrames > 0)
        try device.process(queue: 0)
        #expect(backend.resumes == 1)
        #expect(device.receive([large]))
    }

    @Test func `Flows stay on the pair that the guest sends them from`() {
        var backlog = ReceiveBacklog(pairCount: 4)
        let frame = Frame(frame(60))
        backlog.steer(frame.flowHash, to: 3)
        #expect(backlog.pair(for: frame, activePairCount: 4) == 3)
        #expect(backlog.pair(for: frame, activePairCount: 2) == 1)
        #expect(backlog.pair(for: frame, activePairCount: 1) == 0)
    }

    @Test func `A reset lets go of the network and forgets what the driver set`() throws {
        let backend = RecordingBackend()
        let device = try makeDevice(backend, VirtioNetFeature.all)
        #expect(backend.hasReceiver)
        _ = device.receive([Frame(frame(60))])
        device.reset()
        #expect(!backend.hasReceiver)
        #expect(device.offloads.isEmpty)
        try receive.offer([(0x2_0000, 100, true)])
        try device.process(queue: 0)
        #expect(try receive.usedIndex == 0)
    }

    @Test func `The configuration tells address, link, pairs and MTU`() {
        let configuration = VirtioNetConfiguration(address: Self.address, queuePairCount: 3, mtu: 9000)
        let device = VirtioNet(configuration, backend: RecordingBackend(), timers: timers)
        #expect(device.readConfig(at: 6, width: .word) == 1)
        #expect(device.readConfig(at: 8, width: .word) == 3)
        #expect(device.readConfig(at: 10, width: .word) == 9000)
        #expect(device.queueSizes.count == 7)
        #expect(device.offeredFeatures.isSuperset(of: [VirtioNetFeature.mtu, VirtioNetFeature.multiqueue]))
    }
}
