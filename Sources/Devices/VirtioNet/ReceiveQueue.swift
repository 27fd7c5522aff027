internal import NetworkFrames
internal import Virtio

/// The worker's side of one receive queue: frames that are next, and buffers that were taken for them.
struct ReceiveQueue {
    private var frames: [Frame] = []
    private var position = 0
    /// Chains that do not suffice for the next frame.
    private var held: [DescriptorChain] = []

    var keptChainCount: Int { held.count }
    var next: Frame? { position < frames.count ? frames[position] : nil }
    var isEmpty: Bool { position >= frames.count }

    mutating func append(_ more: [Frame]) {
        if isEmpty {
            frames = more
            position = 0
        } else {
            frames += more
        }
    }

    mutating func dropNext() {
        position += 1
        if isEmpty {
            frames = []
            position = 0
        }
    }

    /// What became of a frame.
    enum Outcome {
        case delivered
        /// There are not enough buffers now.
        case waits
        /// The one buffer that the frame may have is too small.
        case tooLarge
    }

    /// Writes a frame into the driver's buffers (Virtio 1.3 §5.1.6.4).
    ///
    /// `mergesBuffers`: Whether it may be spread over several.
    mutating func deliver(
        _ frame: Frame,
        to queue: VirtioQueue,
        mergesBuffers: Bool
    ) throws(VirtioQueueError) -> Outcome {
        let needed = FrameOffload.byteCount + frame.bytes.count
        var room = held.reduce(0) { $0 + $1.writableByteCount }
        while room < needed {
            if !mergesBuffers, !held.isEmpty { return .tooLarge }
            guard let chain = try queue.next() else { return .waits }
            guard chain.writableByteCount >= FrameOffload.byteCount else {
                throw .requestTooShort(byteCount: chain.writableByteCount)
            }
            held.append(chain)
            room += chain.writableByteCount
        }
        var parts: [(chain: DescriptorChain, byteCount: Int)] = []
        var taken = 0
        for (index, chain) in held.enumerated() {
            guard taken < needed else { break }
            let count = min(chain.writableByteCount, needed - taken)
            let headerByteCount = index == 0 ? FrameOffload.byteCount : 0
            let start = taken + headerByteCount - FrameOffload.byteCount
            unsafe try chain.forEachWritable(in: headerByteCount..<count) { part, offset in
                unsafe frame.bytes.withUnsafeBytes { bytes in
                    let source = unsafe UnsafeRawBufferPointer(rebasing: bytes[(start + offset)...].prefix(part.count))
                    unsafe part.copyMemory(from: source)
                }
                return true
            }
            parts.append((chain, count))
            taken += count
        }
        try parts.first?.chain.copyIn(frame.offload.encoded(bufferCount: parts.count), at: 0)
        held.removeFirst(parts.count)
        try queue.complete(parts)
        return .delivered
    }
}
