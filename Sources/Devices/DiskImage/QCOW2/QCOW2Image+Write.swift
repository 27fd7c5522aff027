extension QCOW2Image {
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskImageError) {
        try checkWrite(path, offset, UInt64(bytes.count))
        try gate.shared { () throws(DiskImageError) in
            unsafe try writeRuns(bytes, at: offset)
        }
        try releaseIfMany()
    }

    /// Writes with the gate held.
    func writeRuns(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskImageError) {
        var done = 0
        while done < bytes.count {
            let place = offset + UInt64(done)
            let rest = unsafe bytes.part(done..<bytes.count)
            let inPlace = try metadata.withLock { () throws(DiskImageError) in
                try placeToOverwrite(at: place, byteCount: rest.count)
            }
            if let inPlace {
                unsafe try file.write(rest.part(0..<inPlace.byteCount), at: inPlace.hostOffset)
                done += inPlace.byteCount
            } else {
                done += try allocation.withLock { () throws(DiskImageError) in
                    unsafe try writeNewClusters(rest, at: place)
                }
            }
        }
    }

    /// Where the bytes at `offset` may be written without a change of metadata, and how many; nil where there are none.
    private func placeToOverwrite(
        at offset: UInt64,
        byteCount: Int
    ) throws(DiskImageError) -> (hostOffset: UInt64, byteCount: Int)? {
        guard !header.isCorrupt else { throw malformed("it is marked corrupt") }
        let found = try mapping(at: offset, byteCount: UInt64(byteCount))
        guard case .data(let host) = found.meaning, found.isCopied, isL2Private(at: offset) else { return nil }
        var cluster = host & ~clusterMask
        while cluster < host + found.byteCount {
            guard !metadataClusters.contains(cluster) else {
                throw markCorrupt("the data cluster at \(cluster) holds metadata")
            }
            cluster += clusterMask + 1
        }
        return (host, Int(found.byteCount))
    }

    private func isL2Private(at offset: UInt64) -> Bool {
        let index = Int(offset / header.l2Span)
        return index < l1.count && l1[index] & QCOW2Entry.copied != 0
    }

    /// The L2 table of `offset`, of the active disk alone: made or copied if need be.
    ///
    /// Allocation and metadata locks are held.
    func privateL2Table(at offset: UInt64) throws(DiskImageError) -> QCOW2Table {
        let index = Int(offset / header.l2Span)
        guard index < l1.count else { throw malformed("an L1 table of \(l1.count) entries is too short") }
        let entry = l1[index]
        if entry & QCOW2Entry.copied != 0, entry & QCOW2Entry.offsetMask != 0 { return try l2Table(entry) }
        let old: QCOW2Table? = entry & QCOW2Entry.offsetMask == 0 ? nil : try l2Table(entry)
        let place = try allocate(upTo: 1).offset
        let buffer = ByteBuffer(count: clusterByteCount)
        if let old {
            unsafe buffer.bytes.copyMemory(from: UnsafeRawBufferPointer(old.buffer.bytes))
            free(old.offset)
            metadataClusters.remove(old.offset)
        }
        let table = QCOW2Table(offset: place, buffer: buffer)
        table.markAllDirty()
        l2Cache.insert(table)
        metadataClusters.insert(place)
        l1[index] = place | QCOW2Entry.copied
        dirtyL1.insert(index)
        return table
    }

    /// Writes the part of `bytes` up to the next cluster that may be overwritten, to clusters of its own.
    ///
    /// The allocation lock is held.
    ///
    /// - Returns: How many bytes; 0 where another thread allocated the cluster meanwhile.
    private func writeNewClusters(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskImageError) -> Int {
        try beginMetadataChange()
        let start = offset & ~clusterMask
        let head = Int(offset - start)
        let end = try metadata.withLock { () throws(DiskImageError) in fileEnd }
        // What the clusters held, and a place for the new ones.
        let place = try metadata.withLock { () throws(DiskImageError) -> (offset: UInt64, count: Int, kept: Bool)? in
            guard try placeToOverwrite(at: offset, byteCount: 1) == nil else { return nil }
            let found = try mapping(at: start, byteCount: 1)
            if case .zero(let host?) = found.meaning, found.isCopied, isL2Private(at: offset) {
                guard !metadataClusters.contains(host) else {
                    throw markCorrupt("the data cluster at \(host) holds metadata")
                }
                return (host, 1, true)
            }
            let wanted = min(head + bytes.count, Int(header.l2Span - start % header.l2Span))
            var clusters = 1
            // Only clusters that are written whole or last join: a run ends where a cluster may be overwritten.
            while clusters * clusterByteCount < wanted {
                let next = start + UInt64(clusters * clusterByteCount)
                if try placeToOverwrite(at: next, byteCount: 1) != nil { break }
                if case .zero(.some) = try mapping(at: next, byteCount: 1).meaning { break }
                clusters += 1
            }
            _ = try privateL2Table(at: offset)
            let run = try allocate(upTo: clusters)
            return (run.offset, run.count, false)
        }
        guard let place else { return 0 }
        let count = min(bytes.count, place.count * clusterByteCount - head)
        do throws(DiskImageError) {
            let isFresh = !place.kept && place.offset >= end
            unsafe try fill(place.offset, place.count, from: start, bytes.part(0..<count), head: head, isFresh: isFresh)
        } catch {
            if !place.kept {
                try metadata.withLock { () throws(DiskImageError) in
                    try release(unused: place.offset, count: place.count)
                }
            }
            throw error
        }
        try metadata.withLock { () throws(DiskImageError) in
            let table = try privateL2Table(at: offset)
            let first = Int((start % header.l2Span) >> UInt64(clusterBits))
            for number in 0..<place.count {
                let old = QCOW2Entry.meaning(of: table[first + number], header)
                if !place.kept { free(old) }
                table[first + number] =
                    place.offset + UInt64(number) << UInt64(clusterBits) | QCOW2Entry.copied
            }
        }
        return count
    }

    /// Puts `bytes` into new clusters, with what the disk held around them.
    private func fill(
        _ host: UInt64,
        _ clusters: Int,
        from start: UInt64,
        _ bytes: UnsafeRawBufferPointer,
        head: Int,
        isFresh: Bool
    ) throws(DiskImageError) {
        let total = clusters * clusterByteCount
        let tail = total - head - bytes.count
        if head > 0 { try copyOld(from: start, count: head, to: host, isFresh: isFresh) }
        unsafe try file.write(bytes, at: host + UInt64(head))
        if tail > 0 {
            let done = UInt64(head + bytes.count)
            try copyOld(from: start + done, count: tail, to: host + done, isFresh: isFresh)
        }
    }

    private func copyOld(from offset: UInt64, count: Int, to host: UInt64, isFresh: Bool) throws(DiskImageError) {
        let buffer = ByteBuffer(count: count)
        let inside = offset < header.byteCount ? Int(min(UInt64(count), header.byteCount - offset)) : 0
        unsafe try readRuns(into: buffer.bytes(0..<inside), at: offset)
        if unsafe isFresh && UnsafeRawBufferPointer(buffer.bytes).isZero { return }
        try file.write(buffer, at: host)
    }

    /// What comes before any change of metadata.
    ///
    /// The allocation lock is held.
    func beginMetadataChange() throws(DiskImageError) {
        if header.isLazy, !header.isDirty, header.version == 3 {
            try metadata.withLock { () throws(DiskImageError) in
                header.incompatible |= QCOW2Header.dirty
                do throws(DiskImageError) {
                    try writeHeader()
                    try file.flush()
                } catch {
                    header.incompatible &= ~QCOW2Header.dirty
                    throw error
                }
            }
        }
        // Tables that wait to be written never make more than half of a cache.
        let isFull = metadata.withLock {
            l2Cache.dirtyCount * 2 >= l2Cache.limit || refcountCache.dirtyCount * 2 >= refcountCache.limit
                || frees.count > 1 << 16
        }
        if isFull { try commit() }
    }
}
