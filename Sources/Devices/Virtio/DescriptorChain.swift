public import GuestMemory

/// The buffers of one request: those that the device reads, then those that it writes (Virtio 1.3 §2.7.4.2).
///
/// Addresses and lengths are checked copies; the bytes behind them may change at any time. Offsets count from the first
/// byte of the readable, or of the writable, buffers, wherever these are cut.
public struct DescriptorChain: Sendable {
    /// One buffer, inside one region of RAM.
    struct Segment: Hashable, Sendable {
        let address: GuestAddress
        let byteCount: Int
    }

    /// The chain's first descriptor: what the used ring names it by.
    public let head: UInt16
    public let readableByteCount: Int
    public let writableByteCount: Int
    private let readable: [Segment]
    private let writable: [Segment]
    private let memory: GuestMemory

    init(head: UInt16, readable: [Segment], writable: [Segment], memory: GuestMemory) {
        self.head = head
        self.readable = readable
        self.writable = writable
        self.memory = memory
        // At most 1024 segments of less than 4 GiB each: no overflow.
        readableByteCount = readable.reduce(0) { $0 &+ $1.byteCount }
        writableByteCount = writable.reduce(0) { $0 &+ $1.byteCount }
    }

    /// Where the writable buffers lie, for devices to which the place itself is the request.
    public var writablePlaces: [(address: GuestAddress, byteCount: Int)] {
        writable.map { ($0.address, $0.byteCount) }
    }

    /// Copies readable bytes out.
    ///
    /// - Throws: ``VirtioQueueError/requestTooShort(byteCount:)`` where the chain has fewer.
    public func copyOut(at offset: Int, byteCount: Int) throws(VirtioQueueError) -> [UInt8] {
        guard offset >= 0, byteCount >= 0, offset <= readableByteCount, byteCount <= readableByteCount &- offset else {
            throw .requestTooShort(byteCount: readableByteCount)
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        unsafe try forEachReadable(in: offset..<(offset + byteCount)) { part, _ in
            unsafe bytes.append(contentsOf: part)
            return true
        }
        return bytes
    }

    /// A little-endian integer of the readable bytes.
    public func load<T: FixedWidthInteger>(_ type: T.Type, at offset: Int) throws(VirtioQueueError) -> T {
        var value: T = 0
        for byte in try copyOut(at: offset, byteCount: MemoryLayout<T>.size).reversed() { value = value << 8 | T(byte) }
        return value
    }

    /// Copies `bytes` to the writable buffers.
    ///
    /// - Returns: How many bytes had room.
    @discardableResult
    public func copyIn(_ bytes: [UInt8], at offset: Int) throws(VirtioQueueError) -> Int {
        guard offset >= 0, offset <= writableByteCount else { return 0 }
        let count = min(bytes.count, writableByteCount - offset)
        unsafe try forEachWritable(in: offset..<(offset + count)) { part, position in
            unsafe part.copyBytes(from: bytes[position..<(position + part.count)])
            return true
        }
        return count
    }

    /// Lends the readable bytes of `range`, buffer by buffer, to `body`, with their position in `range`.
    ///
    /// `body`: Returns whether to go on.
    public func forEachReadable(
        in range: Range<Int>,
        _ body: (UnsafeRawBufferPointer, Int) -> Bool
    ) throws(VirtioQueueError) {
        unsafe try forEach(readable, in: range, writing: false) { part, position in
            unsafe body(UnsafeRawBufferPointer(part), position)
        }
    }

    /// As ``forEachReadable(in:_:)``, for the writable bytes.
    public func forEachWritable(
        in range: Range<Int>,
        _ body: (UnsafeMutableRawBufferPointer, Int) -> Bool
    ) throws(VirtioQueueError) {
        unsafe try forEach(writable, in: range, writing: true, body)
    }

    private func forEach(
        _ segments: [Segment],
        in range: Range<Int>,
        writing: Bool,
        _ body: (UnsafeMutableRawBufferPointer, Int) -> Bool
    ) throws(VirtioQueueError) {
        var start = 0
        for segment in segments {
            let end = start + segment.byteCount
            defer { start = end }
            let part = max(start, range.lowerBound)..<max(min(end, range.upperBound), max(start, range.lowerBound))
            guard !part.isEmpty, let address = segment.address.advanced(by: UInt64(part.lowerBound - start)) else {
                continue
            }
            do throws(GuestMemoryError) {
                let goesOn = unsafe try memory.withBytes(at: address, byteCount: part.count, writing: writing) {
                    bytes in
                    unsafe body(bytes, part.lowerBound - range.lowerBound)
                }
                if !goesOn { return }
            } catch {
                throw .notRAM(address, byteCount: part.count)
            }
        }
    }
}
