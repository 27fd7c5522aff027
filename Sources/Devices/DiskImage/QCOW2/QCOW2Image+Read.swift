/// The clusters that were decompressed last: a guest reads them in small pieces.
final class DecompressedClusters: @unchecked Sendable {
    // SAFETY: guarded by `lock`; the buffers are not changed once they are here.
    private let lock = Lock()
    private var clusters: [(hostOffset: UInt64, content: ByteBuffer)] = []
    private static let limit = 8

    func cluster(at hostOffset: UInt64) -> ByteBuffer? {
        lock.withLock { clusters.first { $0.hostOffset == hostOffset }?.content }
    }
    func insert(_ content: ByteBuffer, at hostOffset: UInt64) {
        lock.withLock {
            if clusters.count >= Self.limit { clusters.removeFirst() }
            clusters.append((hostOffset, content))
        }
    }
    func removeAll() { lock.withLock { clusters = [] } }
}

extension QCOW2Image {
    public func read(into bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(DiskImageError) {
        try checkRange(path, offset, UInt64(bytes.count))
        try gate.shared { () throws(DiskImageError) in
            unsafe try readRuns(into: bytes, at: offset)
        }
    }

    /// Reads with the gate held.
    func readRuns(into bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(DiskImageError) {
        var done = 0
        while done < bytes.count {
            let place = offset + UInt64(done)
            let found = try metadata.withLock { () throws(DiskImageError) in
                try mapping(at: place, byteCount: UInt64(bytes.count - done))
            }
            let count = Int(found.byteCount)
            unsafe try readRun(found.meaning, at: place, into: bytes.part(done..<done + count))
            done += count
        }
    }

    private func readRun(
        _ meaning: QCOW2Entry.Meaning,
        at offset: UInt64,
        into bytes: UnsafeMutableRawBufferPointer
    ) throws(DiskImageError) {
        switch meaning {
        case .data(let host): unsafe try dataFile.read(into: bytes, at: host)
        case .zero: unsafe bytes.fillWithZeroes()
        case .compressed(let place): unsafe try readCompressed(place, from: Int(offset & clusterMask), into: bytes)
        case .unallocated: unsafe try readBacking(into: bytes, at: offset)
        }
    }

    private func readBacking(into bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(DiskImageError) {
        guard let backing else { return unsafe bytes.fillWithZeroes() }
        let end = backing.byteCount
        let count = offset < end ? Int(min(UInt64(bytes.count), end - offset)) : 0
        if count > 0 { unsafe try backing.read(into: bytes.part(0..<count), at: offset) }
        unsafe bytes.part(count..<bytes.count).fillWithZeroes()
    }

    private func readCompressed(
        _ place: QCOW2Entry.Compressed,
        from start: Int,
        into bytes: UnsafeMutableRawBufferPointer
    ) throws(DiskImageError) {
        if start == 0, bytes.count == clusterByteCount { return unsafe try decompress(place, into: bytes) }
        let cluster: ByteBuffer
        if let found = decompressed.cluster(at: place.hostOffset) {
            cluster = found
        } else {
            cluster = ByteBuffer(uninitialized: clusterByteCount)
            unsafe try decompress(place, into: cluster.bytes)
            decompressed.insert(cluster, at: place.hostOffset)
        }
        unsafe bytes.copyMemory(from: UnsafeRawBufferPointer(cluster.bytes(start..<start + bytes.count)))
    }

    private func decompress(
        _ place: QCOW2Entry.Compressed,
        into bytes: UnsafeMutableRawBufferPointer
    ) throws(DiskImageError) {
        let input = ByteBuffer(uninitialized: min(place.byteCount, clusterByteCount * 2))
        try file.read(input, at: place.hostOffset)
        guard unsafe compression.decompress(UnsafeRawBufferPointer(input.bytes), into: bytes) else {
            throw malformed("a compressed cluster at \(place.hostOffset) that is no \(compression.name) stream")
        }
    }
}
