import DeviceModel
import GuestMemory
import NetworkFrames
import Networking
import Synchronization
import Virtio
import VirtioNet

/// A hostile driver of a network device: rings, headers, frames and commands of any content, and what comes back of them.
struct NetworkInput {
    /// Gives the guest back what it sent, as if another had sent it.
    private final class Echo: NetworkBackend {
        let offloads: Offloads
        private let receiver = Mutex<(any FrameReceiver)?>(nil)
        /// Joins what comes back.
        private let coalescer: Mutex<SegmentCoalescer>
        /// A stack that takes part; libslirp reads the same frames.
        private let network: UserNetwork?

        init(_ offloads: Offloads, network: UserNetwork?) {
            self.offloads = offloads
            self.network = network
            coalescer = Mutex(SegmentCoalescer(offloads))
        }

        func attach(_ receiver: (any FrameReceiver)?) {
            self.receiver.withLock { $0 = receiver }
            network?.attach(receiver)
        }

        func transmit(_ frames: [Frame]) {
            network?.transmit(frames)
            let joined = coalescer.withLock { coalescer in
                for frame in frames { for part in frame.adapted(to: []) { coalescer.add(part.bytes) } }
                return coalescer.take()
            }
            guard let receiver = receiver.withLock({ $0 }) else { return }
            _ = receiver.receive(frames + joined)
        }

        func resume() {}
    }

    private static let size: UInt16 = 16
    private static let features: [Int] = [0, 1, 2, 5, 7, 8, 9, 11, 12, 13, 15, 16, 17, 18, 19, 20, 21, 22, 23, 28, 29]
    private var random: RandomSource
    private let memory: GuestMemory
    private let timers = ManualTimerService()

    init(seed: UInt64) throws {
        random = RandomSource(seed: seed)
        memory = try GuestMemory(byteCount: Layout.ramByteCount)
    }

    /// - Returns: How many times a queue was served.
    mutating func run(_ network: UserNetwork?) throws -> UInt64 {
        let pairs = random.oneIn(2) ? 1 : 2
        let limit = random.oneIn(4) ? RateLimit(bytesPerSecond: 1 << 20, framesPerSecond: 1000) : RateLimit()
        let device = VirtioNet(
            VirtioNetConfiguration(
                address: MACAddress(0x5254_0012_3456),
                queuePairCount: pairs,
                transmitLimit: limit,
                receiveLimit: limit
            ),
            backend: Echo(Offloads(rawValue: random.byte() & 15), network: random.oneIn(4) ? network : nil),
            timers: timers
        )
        var served: UInt64 = 0
        var available: [UInt16] = []
        var isActive = false
        for _ in 0..<400 {
            if !isActive {
                available = Array(repeating: 0, count: pairs * 2 + 1)
                try activate(device, pairs)
                isActive = true
            }
            let queue = random.below(available.count)
            for _ in 0...random.below(4) {
                try offer(queue, &available[queue], isControl: queue == available.count - 1)
            }
            timers.advance(by: UInt64(random.below(2_000_000)))
            do throws(VirtioQueueError) {
                for index in [queue, random.below(available.count)] { try device.process(queue: index) }
            } catch {
                device.reset()
                isActive = false
            }
            served += 1
            if random.oneIn(40) { _ = device.receive([Frame(random.bytes(random.below(2000)))]) }
        }
        device.reset()
        return served
    }

    private func base(_ queue: Int) -> UInt64 { 0x1000 + UInt64(queue) * 0x1000 }

    private mutating func activate(_ device: VirtioNet, _ pairs: Int) throws {
        var features: VirtioFeatures = .version1
        for bit in Self.features where !random.oneIn(3) { features.insert(VirtioFeatures(bit: bit)) }
        features.formIntersection(device.offeredFeatures.union([.version1, .eventIndex, .indirectDescriptors]))
        var queues: [VirtioQueue?] = []
        for index in 0..<(pairs * 2 + 1) {
            let base = base(index)
            try memory.copyIn([UInt8](repeating: 0, count: 0x1000), at: GuestAddress(base))
            queues.append(
                try VirtioQueue(
                    size: Self.size,
                    descriptors: GuestAddress(base),
                    available: GuestAddress(base + 0x400),
                    used: GuestAddress(base + 0x800),
                    memory: memory,
                    features: features,
                    interrupt: {}
                )
            )
        }
        device.activate(Activation(memory: memory, features: features, queues: queues))
    }

    /// Makes a chain of up to three buffers available; now and then it makes no sense.
    private mutating func offer(_ queue: Int, _ available: inout UInt16, isControl: Bool) throws {
        let base = base(queue)
        let head = UInt16(random.below(Int(Self.size)))
        let isReceive = !isControl && queue % 2 == 0
        let place = 0x10_0000 + UInt64(random.below(0x20)) * 0x1_0000
        let content = isControl ? command() : packet()
        try memory.copyIn(content.prefix(0x1_0000), at: GuestAddress(place))
        let cut = random.oneIn(2) ? min(content.count, 12) : random.below(content.count + 1)
        var parts: [(UInt64, Int, Bool)] = [(place, cut, false), (place + UInt64(cut), content.count - cut, false)]
        if isReceive { parts = [(place, random.pick([12, 100, 1526, 4096, 65_562]), true)] }
        if isControl { parts.append((place + 0xFF00, 1, true)) }
        parts.removeAll { $0.1 == 0 && !random.oneIn(20) }
        for (index, part) in parts.enumerated() {
            let descriptor = (head + UInt16(index)) % Self.size
            let at = base + UInt64(descriptor) * 16
            let flags: UInt16 = (index + 1 < parts.count ? 1 : 0) | (part.2 ? 2 : 0)
            try memory.store(random.oneIn(200) ? random.next() : part.0, at: GuestAddress(at))
            try memory.store(UInt32(random.oneIn(200) ? random.below(1 << 20) : part.1), at: GuestAddress(at + 8))
            try memory.store(random.oneIn(200) ? UInt16(random.below(8)) : flags, at: GuestAddress(at + 12))
            try memory.store((descriptor + 1) % Self.size, at: GuestAddress(at + 14))
        }
        try memory.store(head, at: GuestAddress(base + 0x404 + UInt64(available % Self.size) * 2))
        available &+= 1
        try memory.store(random.oneIn(300) ? UInt16(random.below(65_536)) : available, at: GuestAddress(base + 0x402))
    }

    private mutating func command() -> [UInt8] {
        [UInt8(random.below(7)), UInt8(random.below(6))] + random.bytes(random.pick([0, 1, 2, 6, 8, 14, 200]))
    }

    /// A virtio header and a frame: random, or a TCP or UDP packet with a few bytes changed.
    private mutating func packet() -> [UInt8] {
        let isIPv6 = random.oneIn(3)
        let payload = random.pick([0, 1, 40, 1000, 1460, 9000, 40_000])
        let segment = 20 + payload
        func word(_ value: Int) -> [UInt8] {
            [UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value)]
        }
        var frame: [UInt8] = [0x52, 0x55, 10, 0, 2, 2, 0x52, 0x54, 0, 0x12, 0x34, 0x56]
        if random.oneIn(3) { frame = [0x52, 0x54, 0, 0x12, 0x34, 0x56] + frame[6...] }
        if random.oneIn(8) { frame += [0x81, 0, 0, 5] }
        if isIPv6 {
            frame += [0x86, 0xDD, 0x60, 0, 0, 0] + word(segment) + [random.oneIn(3) ? 17 : 6, 64]
            frame +=
                [0xFE, 0xC0] + [UInt8](repeating: 0, count: 13) + [15, 0xFE, 0xC0] + [UInt8](repeating: 0, count: 13)
                + [2]
        } else {
            frame += [8, 0, 0x45, 0] + word(20 + segment) + [0, 1, 0, 0, 64, random.pick([6, 6, 6, 17, 1]), 0, 0]
            frame += [10, 0, 2, 15, 10, 0, 2, 2]
        }
        let transport = frame.count
        frame += word(40_000) + word(80) + random.bytes(4) + [0, 0, 0, 1, 0x50, random.pick([0x10, 0x18, 2, 0x11])]
        frame += [0xFF, 0xFF, 0, 0, 0, 0] + [UInt8](repeating: random.byte(), count: payload)
        var header = [UInt8](repeating: 0, count: 12)
        if random.oneIn(2) {
            header =
                [1, random.pick([0, 1, 4, 0x81, 3, 0xFF]), 54, 0]
                + word(random.pick([0, 1, 536, 1460, 65_535])).reversed()
            header += [UInt8(transport), 0, 16, 0, 0, 0]
        }
        var all = header + frame
        for _ in 0..<random.below(4) { all[random.below(min(all.count, 90))] = random.byte() }
        return random.oneIn(6) ? Array(all.prefix(random.below(all.count + 1))) : all
    }
}
