import Glibc
import GuestMemory
import SharedFolder
import Virtio
import VirtioBalloon
import VirtioFS
import VirtioVsock

/// A hostile driver of the services' devices: rings, chains and requests of any content.
struct ServiceRings {
    private static let size: UInt16 = 16
    private var random: RandomSource
    private let memory: GuestMemory
    private let device: any VirtioDevice

    /// A device of a kind by chance; `path` is a folder with something in it, and the place for sockets.
    init(_ random: RandomSource, folder path: String, listener: VsockListener) throws {
        self.random = random
        memory = try GuestMemory(byteCount: Layout.ramByteCount)
        switch self.random.below(3) {
        case 0: device = VirtioBalloon(targetByteCount: self.random.number())
        case 1:
            let folder = try SharedFolder(path: path, descriptorLimit: 64)
            device = VirtioFS(folder, tag: "fuzz")
        default: device = VirtioVsock(guestCID: 3, listener: listener)
        }
    }

    /// - Returns: How many times a queue was served without an error.
    mutating func run() throws -> Int {
        var served = 0
        var available: [UInt16] = []
        for _ in 0..<300 {
            if available.isEmpty { available = try activate() }
            let queue = random.below(available.count)
            for _ in 0...random.below(4) { try offer(queue, &available[queue]) }
            if random.oneIn(4) {
                device.writeConfig(random.number(), at: UInt64(random.below(20)), width: random.pick([.byte, .dword]))
            }
            _ = device.readConfig(at: random.oneIn(8) ? random.number() : UInt64(random.below(48)), width: .dword)
            if random.oneIn(8), let balloon = device as? VirtioBalloon {
                balloon.setTarget(byteCount: random.number())
                balloon.requestStatistics()
            }
            do throws(VirtioQueueError) {
                try device.process(queue: random.oneIn(50) ? random.below(100) : queue)
                served += 1
            } catch {
                device.reset()
                available = []
            }
        }
        device.reset()
        return served
    }

    private func base(_ queue: Int) -> UInt64 { 0x1000 + UInt64(queue) * 0x1000 }

    private mutating func activate() throws -> [UInt16] {
        var features: VirtioFeatures = .version1
        for bit in 0..<6 where random.oneIn(2) { features.insert(VirtioFeatures(bit: bit)) }
        for bit in [28, 29] where random.oneIn(2) { features.insert(VirtioFeatures(bit: bit)) }
        features.formIntersection(device.offeredFeatures.union([.version1, .eventIndex, .indirectDescriptors]))
        var queues: [VirtioQueue?] = []
        for index in device.queueSizes.indices {
            let base = base(index)
            try memory.copyIn([UInt8](repeating: 0, count: 0x1000), at: GuestAddress(base))
            let queue = try VirtioQueue(
                size: Self.size,
                descriptors: GuestAddress(base),
                available: GuestAddress(base + 0x400),
                used: GuestAddress(base + 0x800),
                memory: memory,
                features: features,
                interrupt: {}
            )
            queues.append(random.oneIn(20) ? nil : queue)
        }
        device.activate(Activation(memory: memory, features: features, queues: queues))
        return device.queueSizes.map { _ in 0 }
    }

    /// A request that the device might know, or anything.
    private mutating func content() -> [UInt8] {
        switch random.below(5) {
        case 0: return random.bytes(random.below(200))
        case 1:  // page numbers, or statistics
            return (0..<random.below(300)).flatMap { _ in word(UInt32(truncatingIfNeeded: random.number())) }
        case 2, 3:  // a request to the file server
            let opcode = random.oneIn(10) ? UInt32(truncatingIfNeeded: random.next()) : UInt32(random.below(53))
            var bytes = word(UInt32(random.below(4096))) + word(opcode) + random.bytes(8)
            bytes += word(random.oneIn(5) ? random.next32() : 1 + UInt32(random.below(4))) + word(0)
            bytes += [UInt8](repeating: 0, count: 16)
            for _ in 0..<random.below(12) {
                bytes += word(random.oneIn(8) ? random.next32() : UInt32(random.below(70_000)))
            }
            return bytes + Array("file\0".utf8) + random.bytes(random.below(3000))
        default:  // a packet to a socket
            var packet = DeviceConfigurationBytes()
            packet.append(3 as UInt64)
            packet.append(2 as UInt64)
            packet.append(UInt32(random.below(3)))
            packet.append(UInt32(random.below(3)))
            let count = random.below(3000)
            packet.append(random.oneIn(8) ? random.next32() : UInt32(count))
            packet.append(1 as UInt16)
            packet.append(UInt16(random.below(9)))
            packet.append(UInt32(random.below(5)))
            packet.append(random.oneIn(2) ? 1 << 18 : random.next32())
            packet.append(random.next32() & 0xFFF)
            return packet.bytes + [UInt8](repeating: 7, count: count)
        }
    }

    private func word(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }

    /// Makes a chain of buffers available: to be read, then to be written; now and then it makes no sense.
    private mutating func offer(_ queue: Int, _ available: inout UInt16) throws {
        let base = base(queue)
        let place = 0x10_0000 + UInt64(random.below(0x20)) * 0x1_0000
        let content = content()
        try memory.copyIn(content, at: GuestAddress(place))
        let cut = random.oneIn(2) ? min(content.count, 40) : random.below(content.count + 1)
        var parts: [(UInt64, Int, Bool)] = []
        if !random.oneIn(4) { parts += [(place, cut, false), (place + UInt64(cut), content.count - cut, false)] }
        for _ in 0..<random.below(3) {
            let target = random.oneIn(10) ? base : place + 0x4000 + UInt64(random.below(4)) * 0x1000
            parts.append((target, random.pick([1, 8, 16, 44, 100, 4096, 1 << 16, 1 << 20]), true))
        }
        parts.removeAll { $0.1 == 0 && !random.oneIn(20) }
        let head = UInt16(random.below(Int(Self.size)))
        for (index, part) in parts.enumerated() {
            let descriptor = (head + UInt16(index)) % Self.size
            let at = base + UInt64(descriptor) * 16
            var flags: UInt16 = (index + 1 < parts.count ? 1 : 0) | (part.2 ? 2 : 0)
            if random.oneIn(100) { flags = UInt16(random.below(8)) }
            try memory.store(random.oneIn(100) ? random.number() : part.0, at: GuestAddress(at))
            try memory.store(random.oneIn(100) ? random.next32() : UInt32(part.1), at: GuestAddress(at + 8))
            try memory.store(flags, at: GuestAddress(at + 12))
            let next = random.oneIn(100) ? UInt16(random.below(65_536)) : (descriptor + 1) % Self.size
            try memory.store(next, at: GuestAddress(at + 14))
        }
        try memory.store(head, at: GuestAddress(base + 0x404 + UInt64(available % Self.size) * 2))
        available &+= 1
        let shown = random.oneIn(200) ? UInt16(random.below(65_536)) : available
        try memory.store(shown, at: GuestAddress(base + 0x402))
    }
}

extension RandomSource {
    mutating func next32() -> UInt32 { UInt32(truncatingIfNeeded: next()) }
}
