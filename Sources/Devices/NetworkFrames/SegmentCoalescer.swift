/// Joins TCP segments that follow one another into frames of up to 64 KiB, which are cut again where they have to be.
///
/// For frames whose checksums are known to be right: they are not looked at. Segments are joined that differ in sequence number, length,
/// identification, window, PSH and FIN only, so that cutting gives them back. The order within a connection stays.
public struct SegmentCoalescer: Sendable {
    /// A frame that may grow.
    private struct Open {
        let index: Int
        let layout: PacketLayout
        /// The payload of every segment but the last.
        let size: Int
        var nextSequence: UInt32
        var isJoined = false
    }
    private enum TCPFlag {
        static let fin: UInt8 = 0x01
        static let push: UInt8 = 0x08
        static let acknowledge: UInt8 = 0x10
    }
    /// Connections that are joined at once.
    private static let openLimit = 8

    /// Which segments are joined.
    public var offloads: Offloads
    private var frames: [Frame] = []
    private var open: [Open] = []
    public private(set) var byteCount = 0

    public init(_ offloads: Offloads = []) { self.offloads = offloads }

    public var isEmpty: Bool { frames.isEmpty }

    /// Takes one frame with right checksums.
    public mutating func add(_ bytes: [UInt8]) {
        byteCount += bytes.count
        let kind: Offloads = [.tcp4, .tcp6]
        guard !offloads.isDisjoint(with: kind), let layout = PacketLayout(bytes), layout.transport == PacketLayout.tcp
        else {
            append(bytes)
            return
        }
        let flags = bytes[layout.transportOffset + 13]
        let payload = layout.payloadOffset..<layout.end
        let mayJoin =
            flags & ~(TCPFlag.fin | TCPFlag.push) == TCPFlag.acknowledge && !payload.isEmpty
            && offloads.contains(layout.isIPv6 ? .tcp6 : .tcp4)
            && (layout.isIPv6 || layout.transportOffset == layout.networkOffset + 20)
        if let place = open.firstIndex(where: { isSameFlow(frames[$0.index].bytes, $0.layout, bytes, layout) }) {
            if mayJoin, join(bytes, layout, payload, flags, place) { return }
            close(place)
        }
        append(bytes)
        guard mayJoin, flags & TCPFlag.fin == 0 else { return }
        if open.count == Self.openLimit { close(0) }
        let sequence = bytes.bigEndian32(at: layout.transportOffset + 4)
        open.append(
            Open(
                index: frames.count - 1,
                layout: layout,
                size: payload.count,
                nextSequence: sequence &+ UInt32(truncatingIfNeeded: payload.count)
            )
        )
    }

    /// Everything that was added, with headers finished, and forgets it.
    public mutating func take() -> [Frame] {
        while !open.isEmpty { close(open.count - 1) }
        byteCount = 0
        defer { frames = [] }
        return frames
    }

    private mutating func append(_ bytes: [UInt8]) {
        frames.append(Frame(bytes, offload: FrameOffload(isVerified: true)))
    }

    /// Appends a segment to an open frame, if it is the next one and alike.
    private mutating func join(
        _ bytes: [UInt8],
        _ layout: PacketLayout,
        _ payload: Range<Int>,
        _ flags: UInt8,
        _ place: Int
    ) -> Bool {
        let first = open[place]
        let index = first.index
        guard bytes.bigEndian32(at: layout.transportOffset + 4) == first.nextSequence, payload.count <= first.size,
            frames[index].bytes.count - first.layout.networkOffset + payload.count <= 65_535,
            isAlike(frames[index].bytes, bytes, layout)
        else { return false }
        if !first.isJoined {
            // What lies behind a short packet is padding.
            frames[index].bytes.removeLast(frames[index].bytes.count - first.layout.end)
            frames[index].bytes.reserveCapacity(min(Frame.byteLimit, max(16_384, first.size * 46)))
        }
        frames[index].bytes += bytes[payload]
        frames[index].bytes[layout.transportOffset + 13] |= flags
        // The newest window is the one that counts.
        frames[index].bytes.setBigEndian16(
            bytes.bigEndian16(at: layout.transportOffset + 14),
            at: layout.transportOffset + 14
        )
        open[place].isJoined = true
        open[place].nextSequence = first.nextSequence &+ UInt32(truncatingIfNeeded: payload.count)
        if payload.count < first.size || flags & TCPFlag.fin != 0 { close(place) }
        return true
    }

    private mutating func close(_ place: Int) {
        let done = open.remove(at: place)
        guard done.isJoined else { return }
        let layout = done.layout
        let end = frames[done.index].bytes.count
        layout.setLength(&frames[done.index].bytes, end: end)
        let sum = layout.pseudoHeader(frames[done.index].bytes, byteCount: end - layout.transportOffset)
        frames[done.index].bytes.setBigEndian16(sum.partial, at: layout.checksumOffset)
        frames[done.index].offload = FrameOffload(
            checksum: FrameOffload.Checksum(start: layout.transportOffset, offset: 16),
            segmentation: layout.isIPv6 ? .tcp6 : .tcp4,
            segmentByteCount: done.size,
            headerByteCount: layout.payloadOffset
        )
    }

    private func isSameFlow(_ a: [UInt8], _ first: PacketLayout, _ b: [UInt8], _ second: PacketLayout) -> Bool {
        first.networkOffset == second.networkOffset && first.isIPv6 == second.isIPv6
            && first.transportOffset == second.transportOffset
            && a[first.transportOffset..<first.transportOffset + 4]
                == b[first.transportOffset..<first.transportOffset + 4]
            && a[first.addresses] == b[first.addresses]
    }

    /// Whether all that joining cannot bring back is equal: link, IP and TCP headers.
    private func isAlike(_ a: [UInt8], _ b: [UInt8], _ layout: PacketLayout) -> Bool {
        let network = layout.networkOffset
        let transport = layout.transportOffset
        guard a[..<network] == b[..<network], a[transport + 12] == b[transport + 12],
            a[transport + 8..<transport + 12] == b[transport + 8..<transport + 12],
            a[transport + 18..<layout.payloadOffset] == b[transport + 18..<layout.payloadOffset]
        else { return false }
        if layout.isIPv6 {
            return a[network..<network + 4] == b[network..<network + 4] && a[network + 7] == b[network + 7]
        }
        return a[network..<network + 2] == b[network..<network + 2]
            && a[network + 6..<network + 10] == b[network + 6..<network + 10]
    }
}
