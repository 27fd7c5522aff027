/// Copies the contents of an image to another, several parts at once, led by the source's extents.
///
/// One lock guards the place that the next part starts at, the bytes done and the first error.
public final class Conversion: @unchecked Sendable {
    // SAFETY: `lock` guards all that changes.
    let source: any DiskImage
    let target: any ConversionTarget
    private let threadCount: Int
    private let chunkByteCount: Int
    /// Extents from this depth on are left to the target's own backing image.
    private let depthLimit: Int
    private let compressor: (builder: QCOW2Builder, compression: ClusterCompression)?
    private let progress: @Sendable (UInt64, UInt64) -> Void
    let lock = Lock()
    let condition = Condition()
    /// What was read and waits to be written, and buffers for more.
    var pending: PendingWrites
    private var cursor: UInt64 = 0
    private var known: DiskExtent?
    private var done: UInt64 = 0
    private(set) var failure: DiskImageError?
    private let total: UInt64
    private let end: UInt64

    /// `progress`: Called with the bytes done and all bytes, from any of the threads, one at a time.
    init(
        from source: any DiskImage,
        to target: any ConversionTarget,
        byteCount: UInt64? = nil,
        depthLimit: Int = .max,
        compression: (builder: QCOW2Builder, compression: ClusterCompression)? = nil,
        threadCount: Int? = nil,
        progress: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in }
    ) {
        self.source = source
        self.target = target
        self.depthLimit = depthLimit
        compressor = compression
        total = source.byteCount
        end = min(total, byteCount ?? total)
        self.threadCount = max(1, threadCount ?? min(8, WorkerThreads.processorCount))
        self.progress = progress
        // Pieces that stay in a processor's own cache between their reading and their writing.
        chunkByteCount = max(target.granularity, 1 << 18)
        pending = PendingWrites(limit: self.threadCount + 5, byteCount: chunkByteCount)
    }

    /// Converts everything and finishes the target.
    public func run() throws(DiskImageError) {
        WorkerThreads.run(count: threadCount) { self.work() }
        if let failure = lock.withLock({ failure }) { throw failure }
        try target.finish()
        progress(end, end)
    }

    enum Part {
        case data(UInt64, Int)
        case zero(UInt64, UInt64)
    }

    /// The next part to be copied; nil at the end.
    ///
    /// Parts start and end on the target's grain. The lock is held.
    func next() throws(DiskImageError) -> Part? {
        let grain = UInt64(target.granularity)
        while cursor < end {
            let start = cursor
            let extent = try extent(at: start)
            let stop = min(end, extent.offset + extent.byteCount)
            let isLeftOut = extent.depth >= depthLimit
            if extent.kind != .data || isLeftOut {
                let last = stop == end ? end : stop / grain * grain
                if last > start {
                    cursor = last
                    done += last - start
                    if isLeftOut { continue }
                    return .zero(start, last - start)
                }
                // A grain of several extents is read as a whole, unless none of them is this image's.
                if isLeftOut, try isGrainLeftOut(start, grain) {
                    cursor = min(end, start + grain)
                    done += cursor - start
                    continue
                }
                cursor = min(end, start + grain)
                return .data(start, Int(cursor - start))
            }
            cursor = min(end, start + UInt64(chunkByteCount), (stop + grain - 1) / grain * grain)
            return .data(start, Int(cursor - start))
        }
        return nil
    }

    /// The extent around `offset`, asked for once.
    private func extent(at offset: UInt64) throws(DiskImageError) -> DiskExtent {
        if let known, known.offset <= offset, offset < known.offset + known.byteCount { return known }
        let found = try source.extent(at: offset, byteCount: end - offset)
        known = found
        return found
    }

    private func isGrainLeftOut(_ start: UInt64, _ grain: UInt64) throws(DiskImageError) -> Bool {
        var place = start
        while place < min(end, start + grain) {
            let extent = try extent(at: place)
            if extent.depth < depthLimit { return false }
            place = extent.offset + extent.byteCount
        }
        return true
    }

    private func work() {
        guard let compressor else { return copyParts() }
        let buffer = ByteBuffer(uninitialized: chunkByteCount)
        let output = ByteBuffer(uninitialized: chunkByteCount)
        let deflater = ClusterCompressor(compressor.compression)
        do throws(DiskImageError) {
            while true {
                let part = try lock.withLock { () throws(DiskImageError) -> Part? in
                    failure == nil ? try next() : nil
                }
                guard let part else { return }
                switch part {
                case .zero(let offset, let byteCount):
                    try target.writeZeroes(at: offset, byteCount: byteCount)
                    report(0)
                case .data(let offset, let count):
                    unsafe try source.read(into: buffer.bytes(0..<count), at: offset)
                    try compress(buffer, count, offset, compressor.builder, output, deflater)
                    report(UInt64(count))
                }
            }
        } catch { fail(error) }
    }

    func fail(_ error: DiskImageError) {
        lock.withLock {
            if failure == nil { failure = error }
            condition.wakeAll()
        }
    }

    func report(_ count: UInt64) {
        lock.withLock {
            done += count
            progress(min(done, end), end)
        }
    }

    private func compress(
        _ buffer: ByteBuffer,
        _ count: Int,
        _ offset: UInt64,
        _ builder: QCOW2Builder,
        _ output: ByteBuffer,
        _ deflater: ClusterCompressor
    ) throws(DiskImageError) {
        let size = builder.clusterByteCount
        var streams: [(offset: UInt64, byteCount: Int)] = []
        var filled = 0
        for place in stride(from: 0, to: count, by: size) {
            // The disk's last cluster is compressed with zeros behind it.
            if count - place < size { buffer.fill(count..<place + size) }
            let cluster = unsafe UnsafeRawBufferPointer(buffer.bytes(place..<place + size))
            let guest = offset + UInt64(place)
            if unsafe cluster.isZero {
                try builder.writeZeroes(at: guest, byteCount: UInt64(size))
                continue
            }
            let room = filled..<min(output.count, filled + size - 1)
            if let length = unsafe deflater.compress(cluster, into: output.bytes(room)) {
                streams.append((guest, length))
                filled += length
            } else {
                unsafe try builder.write(cluster, at: guest)
            }
        }
        if !streams.isEmpty {
            unsafe try builder.writeCompressed(UnsafeRawBufferPointer(output.bytes(0..<filled)), streams)
        }
    }
}
