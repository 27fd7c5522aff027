public import GuestMemory

/// What a driver did wrong with a queue; the device then needs a reset (Virtio 1.3 §2.1.2).
public enum VirtioQueueError: Error, Hashable, Sendable {
    /// The size is no power of two, or above the device's.
    case badSize(UInt16)
    /// A ring is misaligned or not in RAM.
    case badRing(GuestAddress)
    /// More chains are said to be available than the queue holds.
    case tooManyAvailable(UInt16)
    /// A descriptor index lies outside its table.
    case badIndex(UInt16)
    /// A chain is longer than allowed, or a loop.
    case chainTooLong(head: UInt16)
    /// A buffer is empty.
    case emptyBuffer(GuestAddress)
    /// Some of a buffer or table is not RAM.
    case notRAM(GuestAddress, byteCount: Int)
    /// A buffer to read follows one to write.
    case readableAfterWritable(head: UInt16)
    /// An indirect table is nested, continued, not negotiated, or of a bad length.
    case badIndirectTable(head: UInt16)
    /// A chain has not the bytes that the device's requests need.
    case requestTooShort(byteCount: Int)
}

extension VirtioQueueError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .badSize(let size): "a virtqueue cannot have \(size) entries"
        case .badRing(let address): "no virtqueue ring can lie at guest address \(address)"
        case .tooManyAvailable(let count): "\(count) descriptor chains are available, more than the virtqueue holds"
        case .badIndex(let index): "descriptor \(index) lies outside its table"
        case .chainTooLong(let head): "the descriptor chain at \(head) is too long or loops"
        case .emptyBuffer(let address): "the descriptor for guest address \(address) has length 0"
        case .notRAM(let address, let byteCount):
            "a descriptor points to \(byteCount) bytes at guest address \(address), which are not RAM"
        case .readableAfterWritable(let head):
            "the descriptor chain at \(head) has a readable buffer after a writable one"
        case .badIndirectTable(let head): "the descriptor chain at \(head) has a bad indirect table"
        case .requestTooShort(let byteCount): "a request of \(byteCount) bytes is too short"
        }
    }
}
