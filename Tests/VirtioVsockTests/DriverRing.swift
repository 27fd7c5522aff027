import GuestMemory
import Synchronization
import Virtio

/// The driver's side of a split virtqueue, laid out by hand in guest memory.
///
/// Not thread-safe; a test and a device's worker take turns.
final class DriverRing {
    static let next: UInt16 = 1
    static let write: UInt16 = 2
    static let indirect: UInt16 = 4

    let memory: GuestMemory
    let size: UInt16
    let descriptors: GuestAddress
    let available: GuestAddress
    let used: GuestAddress
    var availableIndex: UInt16 = 0
    var seenIndex: UInt16 = 0
    private var free: UInt16 = 0

    /// Takes three pages from `base` on.
    init(_ memory: GuestMemory, base: UInt64 = 0x1000, size: UInt16 = 8) {
        self.memory = memory
        self.size = size
        descriptors = GuestAddress(base)
        available = GuestAddress(base + 0x1000)
        used = GuestAddress(base + 0x2000)
    }

    static func at(_ base: GuestAddress, _ offset: Int) -> GuestAddress {
        GuestAddress(base.rawValue &+ UInt64(offset))
    }

    func setDescriptor(
        _ index: UInt16,
        _ address: UInt64,
        _ byteCount: UInt32,
        flags: UInt16 = 0,
        next: UInt16 = 0,
        in table: GuestAddress? = nil
    ) throws {
        let place = Self.at(table ?? descriptors, Int(index) * 16)
        try memory.store(address, at: place)
        try memory.store(byteCount, at: Self.at(place, 8))
        try memory.store(flags, at: Self.at(place, 12))
        try memory.store(next, at: Self.at(place, 14))
    }

    /// Makes the chain that starts at `head` available.
    func offer(_ head: UInt16) throws {
        try memory.store(head, at: Self.at(available, 4 + Int(availableIndex % size) * 2))
        availableIndex &+= 1
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        try memory.store(availableIndex, at: Self.at(available, 2))
    }

    /// Lays out a chain of buffers from descriptor 0 (or after those of the last call) and makes it available.
    @discardableResult
    func offer(_ buffers: [(address: UInt64, byteCount: Int, isWritable: Bool)]) throws -> UInt16 {
        let head = free
        for (position, buffer) in buffers.enumerated() {
            let index = (head + UInt16(position)) % size
            let isLast = position == buffers.count - 1
            let flags = (isLast ? 0 : Self.next) | (buffer.isWritable ? Self.write : 0)
            try setDescriptor(index, buffer.address, UInt32(buffer.byteCount), flags: flags, next: (index + 1) % size)
        }
        free = (head + UInt16(buffers.count)) % size
        try offer(head)
        return head
    }

    var usedIndex: UInt16 { get throws { try memory.load(UInt16.self, at: Self.at(used, 2)) } }
    var usedFlags: UInt16 { get throws { try memory.load(UInt16.self, at: used) } }
    var availableEvent: UInt16 { get throws { try memory.load(UInt16.self, at: Self.at(used, 4 + Int(size) * 8)) } }
    func setUsedEvent(_ value: UInt16) throws { try memory.store(value, at: Self.at(available, 4 + Int(size) * 2)) }
    func setAvailableFlags(_ value: UInt16) throws { try memory.store(value, at: available) }

    /// The next used element, or nil.
    func takeUsed() throws -> (head: UInt32, byteCount: UInt32)? {
        guard try usedIndex != seenIndex else { return nil }
        let place = Self.at(used, 4 + Int(seenIndex % size) * 8)
        seenIndex &+= 1
        return (try memory.load(UInt32.self, at: place), try memory.load(UInt32.self, at: Self.at(place, 4)))
    }

    /// The device's side of the ring.
    func queue(_ features: VirtioFeatures = [], interrupt: @escaping @Sendable () -> Void = {}) throws -> VirtioQueue {
        try VirtioQueue(
            size: size,
            descriptors: descriptors,
            available: available,
            used: used,
            memory: memory,
            features: features,
            interrupt: interrupt
        )
    }
}

/// Counts calls from any thread.
final class CallCount: Sendable {
    private let calls = Atomic<Int>(0)
    func add() { calls.add(1, ordering: .sequentiallyConsistent) }
    var count: Int { calls.load(ordering: .sequentiallyConsistent) }
}
