internal import GuestMemory

/// Follows a chain of descriptors and checks every one of them once (Virtio 1.3 §2.7.5).
///
/// A chain in the ring may have as many descriptors as the queue; one in an indirect table up to ``longestTable``
/// (a deviation: §2.7.5.3.1 has the queue's size there too, but drivers that were told a larger segment limit go above).
struct DescriptorWalk {
    static let longestTable = 1024

    let ring: SplitRing
    let head: UInt16
    let allowsIndirect: Bool
    private var readable: [DescriptorChain.Segment] = []
    private var writable: [DescriptorChain.Segment] = []

    init(ring: SplitRing, head: UInt16, allowsIndirect: Bool) {
        self.ring = ring
        self.head = head
        self.allowsIndirect = allowsIndirect
    }

    mutating func chain() throws(VirtioQueueError) -> DescriptorChain {
        typealias Descriptor = SplitRing.Descriptor
        var index = head
        var count = 0
        while true {
            guard index < ring.size else { throw .badIndex(index) }
            count += 1
            guard count <= Int(ring.size) else { throw .chainTooLong(head: head) }
            let descriptor = try ring.descriptor(index, in: ring.descriptors)
            if descriptor.flags & Descriptor.isIndirect != 0 {
                guard allowsIndirect, descriptor.flags & Descriptor.hasNext == 0 else {
                    throw .badIndirectTable(head: head)
                }
                try walkTable(descriptor)
                break
            }
            try take(descriptor)
            guard descriptor.flags & Descriptor.hasNext != 0 else { break }
            index = descriptor.next
        }
        return DescriptorChain(head: head, readable: readable, writable: writable, memory: ring.memory)
    }

    private mutating func walkTable(_ table: SplitRing.Descriptor) throws(VirtioQueueError) {
        typealias Descriptor = SplitRing.Descriptor
        let entryCount = table.byteCount / UInt32(Descriptor.byteCount)
        guard entryCount > 0, table.byteCount % UInt32(Descriptor.byteCount) == 0 else {
            throw .badIndirectTable(head: head)
        }
        guard unsafe ring.memory.hostPointer(at: table.address, byteCount: Int(table.byteCount)) != nil else {
            throw .notRAM(table.address, byteCount: Int(table.byteCount))
        }
        var index: UInt16 = 0
        var count = 0
        while true {
            guard UInt32(index) < entryCount else { throw .badIndex(index) }
            count += 1
            guard count <= min(Int(entryCount), Self.longestTable) else { throw .chainTooLong(head: head) }
            let descriptor = try ring.descriptor(index, in: table.address)
            guard descriptor.flags & Descriptor.isIndirect == 0 else { throw .badIndirectTable(head: head) }
            try take(descriptor)
            guard descriptor.flags & Descriptor.hasNext != 0 else { return }
            index = descriptor.next
        }
    }

    private mutating func take(_ descriptor: SplitRing.Descriptor) throws(VirtioQueueError) {
        let byteCount = Int(descriptor.byteCount)
        guard byteCount > 0 else { throw .emptyBuffer(descriptor.address) }
        guard unsafe ring.memory.hostPointer(at: descriptor.address, byteCount: byteCount) != nil else {
            throw .notRAM(descriptor.address, byteCount: byteCount)
        }
        let segment = DescriptorChain.Segment(address: descriptor.address, byteCount: byteCount)
        if descriptor.flags & SplitRing.Descriptor.isWritable != 0 {
            writable.append(segment)
        } else {
            guard writable.isEmpty else { throw .readableAfterWritable(head: head) }
            readable.append(segment)
        }
    }
}
