internal import Glibc
internal import SystemCalls

/// Refcounts and free clusters. The allocation and metadata locks are held throughout.
extension QCOW2Image {
    private func refcountBlock(_ index: Int) throws(DiskImageError) -> QCOW2Table? {
        guard index < refcountTable.count else { return nil }
        let offset = refcountTable[index] & ~511
        guard offset != 0 else { return nil }
        if let found = refcountCache.table(at: offset) { return found }
        guard offset & clusterMask == 0, offset < fileEnd else {
            throw malformed("a refcount block at \(offset) in a file of \(fileEnd) bytes")
        }
        let buffer = ByteBuffer(uninitialized: clusterByteCount)
        try file.read(buffer, at: offset)
        let table = QCOW2Table(offset: offset, buffer: buffer)
        refcountCache.insert(table)
        return table
    }

    /// How many references the cluster with this number has.
    func refcount(_ cluster: UInt64) throws(DiskImageError) -> UInt64 {
        let entries = UInt64(header.refcountBlockEntryCount)
        guard let block = try refcountBlock(Int(clamping: cluster / entries)) else { return 0 }
        return block.refcount(Int(cluster % entries), order: header.refcountOrder)
    }

    func setRefcount(_ cluster: UInt64, _ value: UInt64) throws(DiskImageError) {
        let entries = UInt64(header.refcountBlockEntryCount)
        guard let block = try refcountBlock(Int(clamping: cluster / entries)) else {
            throw malformed("cluster \(cluster) has no refcount block")
        }
        block.setRefcount(Int(cluster % entries), value, order: header.refcountOrder)
        if value == 0, cluster < firstFree { firstFree = cluster }
    }

    /// Makes the block that counts the free cluster `cluster` exist; it takes that very cluster.
    ///
    /// - Returns: Whether it was made.
    private func makeRefcountBlock(for cluster: UInt64) throws(DiskImageError) -> Bool {
        let entries = UInt64(header.refcountBlockEntryCount)
        let index = Int(clamping: cluster / entries)
        if index >= refcountTable.count {
            try growRefcountTable(toHold: index)
            return true
        }
        if refcountTable[index] & ~511 != 0 { return false }
        let offset = cluster << UInt64(clusterBits)
        try take(offset)
        let block = QCOW2Table(offset: offset, buffer: ByteBuffer(count: clusterByteCount))
        block.markAllDirty()
        block.setRefcount(Int(cluster % entries), 1, order: header.refcountOrder)
        refcountCache.insert(block)
        refcountTable[index] = offset
        dirtyRefcountTable.insert(index)
        metadataClusters.insert(offset)
        return true
    }

    /// A larger refcount table, written elsewhere; the header names it when it is durable.
    private func growRefcountTable(toHold index: Int) throws(DiskImageError) {
        let old = (offset: header.refcountTableOffset, clusters: header.refcountTableClusters)
        let wordsInCluster = clusterByteCount / 8
        let clusters = max(UInt64(old.clusters) * 2, UInt64(index / wordsInCluster + 2))
        guard clusters << UInt64(clusterBits) <= QCOW2Header.refcountTableByteLimit else {
            throw .failed(path: path, cause: SystemCallError("allocate", errno: EFBIG))
        }
        refcountTable += [UInt64](repeating: 0, count: Int(clusters) * wordsInCluster - refcountTable.count)
        let offset = try allocate(contiguous: Int(clusters))
        header.refcountTableOffset = offset
        header.refcountTableClusters = UInt32(clusters)
        isRefcountTableMoved = true
        for number in 0..<UInt64(clusters) { metadataClusters.insert(offset + number << UInt64(clusterBits)) }
        for number in 0..<UInt64(old.clusters) {
            let place = old.offset + number << UInt64(clusterBits)
            metadataClusters.remove(place)
            free(place)
        }
    }

    /// Notes that a cluster is used from now on.
    private func take(_ offset: UInt64) throws(DiskImageError) {
        guard !metadataClusters.contains(offset) else {
            throw markCorrupt("the cluster at \(offset) counts as free but holds metadata")
        }
        guard offset < UInt64(1) << 55 else {
            throw .failed(path: path, cause: SystemCallError("allocate", errno: EFBIG))
        }
        fileEnd = max(fileEnd, offset + clusterMask + 1)
    }

    /// Takes up to `limit` free clusters that follow each other, at least one.
    func allocate(upTo limit: Int) throws(DiskImageError) -> (offset: UInt64, count: Int) {
        while true {
            while try refcount(firstFree) != 0 { firstFree += 1 }
            if try makeRefcountBlock(for: firstFree) { continue }
            let start = firstFree
            var count = 0
            let entries = UInt64(header.refcountBlockEntryCount)
            while count < limit, try refcount(start + UInt64(count)) == 0 {
                let cluster = start + UInt64(count)
                // The next block's first cluster may become that block.
                if count > 0, cluster % entries == 0 { break }
                try take(cluster << UInt64(clusterBits))
                try setRefcount(cluster, 1)
                count += 1
            }
            firstFree = start + UInt64(count)
            return (start << UInt64(clusterBits), count)
        }
    }

    /// Takes `count` free clusters that follow each other.
    func allocate(contiguous count: Int) throws(DiskImageError) -> UInt64 {
        while try refcount(firstFree) != 0 { firstFree += 1 }
        var start = firstFree
        search: while true {
            for number in 0..<UInt64(count) {
                let isFree = try refcount(start + number) == 0
                var isMade = false
                if isFree { isMade = try makeRefcountBlock(for: start + number) }
                if !isFree || isMade {
                    start += number + 1
                    continue search
                }
            }
            break
        }
        for number in 0..<UInt64(count) {
            try take((start + number) << UInt64(clusterBits))
            try setRefcount(start + number, 1)
        }
        return start << UInt64(clusterBits)
    }

    /// Takes a reference from the cluster at `offset` when the changes so far are durable.
    func free(_ offset: UInt64) { frees.append(offset >> UInt64(clusterBits)) }

    /// The same for what an L2 entry refers to.
    func free(_ meaning: QCOW2Entry.Meaning) {
        switch meaning {
        case .unallocated, .zero(nil): return
        case .zero(let host?), .data(let host): free(host & ~clusterMask)
        case .compressed(let place):
            var cluster = place.hostOffset & ~clusterMask
            while cluster < place.hostOffset + UInt64(place.byteCount) {
                free(cluster)
                cluster += clusterMask + 1
            }
        }
    }

    /// Gives clusters back that were taken and never referred to.
    func release(unused offset: UInt64, count: Int) throws(DiskImageError) {
        for number in 0..<UInt64(count) { try setRefcount(offset >> UInt64(clusterBits) + number, 0) }
    }

    /// Takes references away that nothing durable has any more.
    ///
    /// - Returns: Runs of clusters that became free: offset and byte count.
    func applyReleases() throws(DiskImageError) -> [(offset: UInt64, byteCount: UInt64)] {
        var free: [UInt64] = []
        for cluster in releasable {
            let count = try refcount(cluster)
            guard count > 0 else {
                throw markCorrupt("the cluster at \(cluster << UInt64(clusterBits)) was used but counts as free")
            }
            try setRefcount(cluster, count - 1)
            if count == 1 { free.append(cluster) }
        }
        releasable = []
        free.sort()
        var runs: [(offset: UInt64, byteCount: UInt64)] = []
        for cluster in free {
            let offset = cluster << UInt64(clusterBits)
            if let last = runs.last, last.offset + last.byteCount == offset {
                runs[runs.count - 1].byteCount += clusterMask + 1
            } else {
                runs.append((offset, clusterMask + 1))
            }
        }
        return runs
    }
}
