/// Writes a new qcow2 image from front to end, with its tables last: the quick way for an image that nobody uses yet.
///
/// Several threads may write clusters at once, each cluster once. The header comes last of all, so that what is cut off
/// before ``finish()`` is no image.
public final class QCOW2Builder: Sendable {
    let options: QCOW2CreateOptions
    let file: any ImageFile
    private let header: QCOW2Header
    private let lock = Lock()
    private let state: State
    public var clusterByteCount: Int { header.clusterByteCount }

    /// Guarded by `lock`.
    private final class State: @unchecked Sendable {
        // SAFETY: only touched within `lock`.
        var tables: [ByteBuffer?]
        /// The next free byte of the file, on a cluster's edge.
        var end: UInt64
        /// Where the next compressed cluster may follow the last one.
        var compressedEnd: UInt64 = 0
        /// References of clusters that hold more than one compressed cluster.
        var shared: [UInt64: UInt32] = [:]
        /// Where the whole disk was preallocated.
        var base: UInt64?

        init(tableCount: Int, end: UInt64) {
            tables = [ByteBuffer?](repeating: nil, count: tableCount)
            self.end = end
        }
    }

    public init(_ file: any ImageFile, _ options: QCOW2CreateOptions) throws(DiskImageError) {
        self.file = file
        self.options = options
        header = try options.header()
        _ = try header.encoded(path: file.name)
        let size = UInt64(header.clusterByteCount)
        let l1End = size + (max(UInt64(header.l1Count), 1) * 8 + size - 1) / size * size
        state = State(tableCount: Int(header.l1Count), end: l1End)
        if options.preallocation != .off { try preallocate() }
    }

    private func preallocate() throws(DiskImageError) {
        let size = UInt64(clusterByteCount)
        let base = state.end
        let count = (options.byteCount + size - 1) / size
        state.base = base
        state.end += count * size
        for number in 0..<count { setEntry((base + number * size) | QCOW2Entry.copied, of: number) }
        try file.resize(to: state.end)
        if options.preallocation == .falloc, let host = file as? HostImageFile {
            try host.allocate(at: base, byteCount: count * size)
        } else if options.preallocation == .full {
            try file.writeZeroBytes(at: base, byteCount: count * size)
        }
    }

    /// The lock is held.
    private func setEntry(_ entry: UInt64, of cluster: UInt64) {
        let index = Int(cluster) / header.l2EntryCount
        guard index < state.tables.count else { return }
        let table: ByteBuffer
        if let known = state.tables[index] {
            table = known
        } else {
            table = ByteBuffer(count: clusterByteCount)
            state.tables[index] = table
        }
        table.store(entry, at: Int(cluster) % header.l2EntryCount * 8)
    }

    /// Writes whole clusters from guest offset `offset` on; the disk's last one may be cut.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskImageError) {
        let size = UInt64(clusterByteCount)
        let first = offset / size
        let count = (UInt64(bytes.count) + size - 1) / size
        let place = lock.withLock { () -> UInt64 in
            if let base = state.base { return base + first * size }
            let place = state.end
            state.end += count * size
            for number in 0..<count { setEntry((place + number * size) | QCOW2Entry.copied, of: first + number) }
            return place
        }
        unsafe try file.write(bytes, at: place)
        let rest = Int(count * size) - bytes.count
        if rest > 0 { try file.writeZeroBytes(at: place + UInt64(bytes.count), byteCount: UInt64(rest)) }
    }

    /// Says that clusters read as zeros though there is a backing image.
    ///
    /// Version 3.
    public func writeZeroes(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) {
        guard header.backingPath != nil else { return }
        let size = UInt64(clusterByteCount)
        guard header.version >= 3 else {
            let zeros = ByteBuffer(count: clusterByteCount)
            for place in stride(from: offset, to: offset + byteCount, by: clusterByteCount) {
                unsafe try write(UnsafeRawBufferPointer(zeros.bytes), at: place)
            }
            return
        }
        lock.withLock {
            for cluster in offset / size..<(offset + byteCount + size - 1) / size {
                setEntry(QCOW2Entry.zero, of: cluster)
            }
        }
    }

    /// Writes compressed clusters, whose streams follow each other in `bytes`.
    ///
    /// `streams`: Guest offset and byte count of each stream.
    public func writeCompressed(
        _ bytes: UnsafeRawBufferPointer,
        _ streams: [(offset: UInt64, byteCount: Int)]
    ) throws(DiskImageError) {
        let size = UInt64(clusterByteCount)
        // Where a cluster bears one reference only, each stream has clusters of its own.
        if header.refcountLimit < UInt64(clusterByteCount / 64), streams.count > 1 {
            var done = 0
            for stream in streams {
                unsafe try writeCompressed(bytes.part(done..<done + stream.byteCount), [stream])
                done += stream.byteCount
            }
            return
        }
        let place = lock.withLock { () -> UInt64 in
            let mayShare = header.refcountLimit >= UInt64(clusterByteCount / 64)
            // The last stream's cluster is the file's last: go on in it.
            let follows =
                mayShare && state.compressedEnd > 0 && (state.compressedEnd + size - 1) / size * size == state.end
            let place = follows ? state.compressedEnd : state.end
            state.compressedEnd = place + UInt64(bytes.count)
            state.end = (state.compressedEnd + size - 1) / size * size
            var start = place
            for stream in streams {
                let entry = QCOW2Entry.Compressed(hostOffset: start, streamByteCount: stream.byteCount)
                setEntry(entry.entry(clusterBits: header.clusterBits), of: stream.offset / size)
                let end = entry.hostOffset + UInt64(entry.byteCount)
                // The last sector may reach into a cluster that is not used otherwise.
                if end > state.end { state.end = (end + size - 1) / size * size }
                for cluster in start / size...(end - 1) / size { state.shared[cluster, default: 0] += 1 }
                start += UInt64(stream.byteCount)
            }
            return place
        }
        unsafe try file.write(bytes, at: place)
    }

    /// Writes the tables and the header.
    public func finish() throws(DiskImageError) {
        var header = self.header
        let size = UInt64(clusterByteCount)
        let l1 = ByteBuffer(count: max(Int(header.l1Count) * 8, 8))
        // L2 tables lie together, so that they are written at once.
        let first = state.end
        let batch = ByteBuffer(
            uninitialized: max(clusterByteCount, min(1 << 20, state.tables.count * clusterByteCount))
        )
        var filled = 0
        var batchStart = first
        for (index, table) in state.tables.enumerated() {
            guard let table else { continue }
            l1.store(state.end | QCOW2Entry.copied, at: index * 8)
            unsafe batch.bytes(filled..<filled + table.count).copyMemory(from: UnsafeRawBufferPointer(table.bytes))
            filled += table.count
            state.end += size
            if filled + clusterByteCount > batch.count {
                try file.write(batch, 0..<filled, at: batchStart)
                batchStart = state.end
                filled = 0
            }
        }
        if filled > 0 { try file.write(batch, 0..<filled, at: batchStart) }
        if header.l1Count > 0, first != state.end { try file.write(l1, at: header.l1Offset) }
        try writeRefcounts(&header)
        if try file.byteCount < state.end { try file.resize(to: state.end) }
        try file.write(try header.encoded(path: file.name), at: 0)
    }

    /// All clusters up to the end are used once, but for those of compressed data.
    private func writeRefcounts(_ header: inout QCOW2Header) throws(DiskImageError) {
        let size = UInt64(clusterByteCount)
        let entries = UInt64(header.refcountBlockEntryCount)
        let used = state.end / size
        var blocks: UInt64 = 1
        var tableClusters: UInt64 = 1
        while true {
            let total = used + blocks + tableClusters
            let needed = (total + entries - 1) / entries
            let words = (needed * 8 + size - 1) / size
            if needed <= blocks, words <= tableClusters { break }
            blocks = max(blocks, needed)
            tableClusters = max(tableClusters, words)
        }
        guard tableClusters * size <= QCOW2Header.refcountTableByteLimit else {
            throw .invalidOption("\(file.name) is too large for clusters of \(size) bytes")
        }
        let total = used + blocks + tableClusters
        header.refcountTableOffset = used * size
        header.refcountTableClusters = UInt32(tableClusters)
        let table = ByteBuffer(count: Int(tableClusters * size))
        for index in 0..<blocks {
            let place = (used + tableClusters + index) * size
            table.store(place, at: Int(index) * 8)
            let block = QCOW2Table(offset: place, buffer: ByteBuffer(count: clusterByteCount))
            let start = index * entries
            let end = min(total, start + entries)
            if header.refcountOrder == 4, start < end {
                for number in 0..<Int(end - start) { block.buffer.store(1 as UInt16, at: number * 2) }
            } else if start < end {
                for number in 0..<end - start { block.setRefcount(Int(number), 1, order: header.refcountOrder) }
            }
            for (cluster, count) in state.shared where cluster / entries == index {
                block.setRefcount(Int(cluster % entries), UInt64(count), order: header.refcountOrder)
            }
            try file.write(block.buffer, at: place)
        }
        try file.write(table, at: header.refcountTableOffset)
        state.end = total * size
    }
}
