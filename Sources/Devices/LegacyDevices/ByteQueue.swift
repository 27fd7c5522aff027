/// Bytes that leave in the order they came.
struct ByteQueue: Hashable, Sendable {
    private var bytes: [UInt8] = []
    private var first = 0

    var count: Int { bytes.count - first }
    /// What is in the queue, the first byte first.
    var contents: ArraySlice<UInt8> { bytes[first...] }
    var isEmpty: Bool { first == bytes.count }

    mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

    mutating func removeFirst() -> UInt8? {
        guard first < bytes.count else { return nil }
        let byte = bytes[first]
        removeFirst(upTo: 1)
        return byte
    }

    /// Drops at most `limit` bytes.
    mutating func removeFirst(upTo limit: Int) {
        first = min(first + max(limit, 0), bytes.count)
        guard first == bytes.count || first >= 4096 else { return }
        bytes.removeFirst(first)
        first = 0
    }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        first = 0
    }
}
