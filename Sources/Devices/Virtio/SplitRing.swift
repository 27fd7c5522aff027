internal import GuestMemory
internal import Synchronization

/// The three parts of a split virtqueue in guest memory (Virtio 1.3 §2.7), bounds checked at each access.
///
///     descriptor  00 address · 08 length · 0C flags · 0E next
///     available   00 flags · 02 idx · 04 ring[size] of u16 · used_event
///     used        00 flags · 02 idx · 04 ring[size] of (id u32, length u32) · avail_event
struct SplitRing: Sendable {
    /// A checked-out descriptor.
    struct Descriptor {
        static let byteCount: UInt64 = 16
        static let hasNext: UInt16 = 1
        static let isWritable: UInt16 = 2
        static let isIndirect: UInt16 = 4

        let address: GuestAddress
        let byteCount: UInt32
        let flags: UInt16
        let next: UInt16
    }

    let size: UInt16
    let descriptors: GuestAddress
    let available: GuestAddress
    let used: GuestAddress
    let memory: GuestMemory

    /// - Throws: ``VirtioQueueError/badSize(_:)``, ``VirtioQueueError/badRing(_:)``.
    init(
        size: UInt16,
        descriptors: GuestAddress,
        available: GuestAddress,
        used: GuestAddress,
        memory: GuestMemory
    ) throws(VirtioQueueError) {
        guard size.nonzeroBitCount == 1, size <= 32768 else { throw .badSize(size) }
        let entries = Int(size)
        for (address, byteCount, alignment) in [
            (descriptors, entries * 16, 16), (available, 6 + entries * 2, 2), (used, 6 + entries * 8, 4),
        ] as [(GuestAddress, Int, UInt64)] {
            guard address.rawValue % alignment == 0, unsafe memory.hostPointer(at: address, byteCount: byteCount) != nil
            else { throw .badRing(address) }
        }
        self.size = size
        self.descriptors = descriptors
        self.available = available
        self.used = used
        self.memory = memory
    }

    // MARK: What the driver writes

    /// The driver's index: how many chains it ever made available.
    ///
    /// What they hold is read after it.
    func availableIndex() throws(VirtioQueueError) -> UInt16 { try index(available, 2) }
    func availableFlags() throws(VirtioQueueError) -> UInt16 { try index(available, 0) }
    func usedEvent() throws(VirtioQueueError) -> UInt16 { try index(available, 4 + UInt64(size) * 2) }

    func availableHead(_ position: UInt16) throws(VirtioQueueError) -> UInt16 {
        try load(UInt16.self, available, 4 + UInt64(position & (size - 1)) * 2)
    }

    func descriptor(_ index: UInt16, in table: GuestAddress) throws(VirtioQueueError) -> Descriptor {
        let offset = UInt64(index) * Descriptor.byteCount
        return Descriptor(
            address: GuestAddress(try load(UInt64.self, table, offset)),
            byteCount: try load(UInt32.self, table, offset + 8),
            flags: try load(UInt16.self, table, offset + 12),
            next: try load(UInt16.self, table, offset + 14)
        )
    }

    // MARK: What the device writes

    func setUsedElement(_ position: UInt16, head: UInt16, byteCount: UInt32) throws(VirtioQueueError) {
        let offset = 4 + UInt64(position & (size - 1)) * 8
        try store(UInt32(head), used, offset)
        try store(byteCount, used, offset + 4)
    }

    /// Publishes the elements written so far.
    func setUsedIndex(_ index: UInt16) throws(VirtioQueueError) {
        atomicMemoryFence(ordering: .releasing)
        try store(index, used, 2)
    }
    func setUsedFlags(_ flags: UInt16) throws(VirtioQueueError) { try store(flags, used, 0) }
    func setAvailableEvent(_ index: UInt16) throws(VirtioQueueError) {
        try store(index, used, 4 + UInt64(size) * 8)
    }

    // MARK: Guest memory

    private func index(_ base: GuestAddress, _ offset: UInt64) throws(VirtioQueueError) -> UInt16 {
        guard let address = base.advanced(by: offset),
            let pointer = unsafe memory.hostPointer(at: address, byteCount: 2)
        else { throw .badRing(base) }
        // SAFETY: the two bytes lie in the mapping, aligned (`init` checked the rings), and an atomic's storage is its value's.
        return unsafe pointer.assumingMemoryBound(to: Atomic<UInt16>.self).pointee.load(ordering: .acquiring)
    }

    private func load<T: FixedWidthInteger & BitwiseCopyable>(
        _ type: T.Type,
        _ base: GuestAddress,
        _ offset: UInt64
    ) throws(VirtioQueueError) -> T {
        guard let address = base.advanced(by: offset) else { throw .badRing(base) }
        do throws(GuestMemoryError) { return try memory.load(type, at: address) } catch { throw .badRing(address) }
    }

    private func store<T: FixedWidthInteger & BitwiseCopyable>(
        _ value: T,
        _ base: GuestAddress,
        _ offset: UInt64
    ) throws(VirtioQueueError) {
        guard let address = base.advanced(by: offset) else { throw .badRing(base) }
        do throws(GuestMemoryError) { try memory.store(value, at: address) } catch { throw .badRing(address) }
    }
}
