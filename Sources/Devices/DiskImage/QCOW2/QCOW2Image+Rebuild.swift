/// The clusters behind the end of a file, given out one after another and counted.
struct NewClusters {
    var counts: ClusterCounts
    private(set) var next: UInt64
    let bits: UInt32

    /// Whole clusters for so many bytes.
    mutating func reserve(_ byteCount: UInt64) -> UInt64 {
        let place = next
        while next < place + byteCount {
            counts.add(1, to: next >> UInt64(bits))
            next += 1 << UInt64(bits)
        }
        return place
    }
}

extension QCOW2Image {
    /// Writes new tables behind the end of the file and then switches to them by one write of the header's first sector.
    ///
    /// Until that write the file is what it was; from it on the new state holds. This is how an image that was not closed is
    /// repaired and how snapshots are made, applied and deleted: what the new roots reach is counted anew, and active L2
    /// tables whose "copied" flags would be wrong are written anew too. The gate (alone), the allocation and the metadata
    /// lock are held, or the image is being opened; nothing is dirty.
    func rebuild(
        l1 newL1: [UInt64]? = nil,
        byteCount: UInt64? = nil,
        snapshots newSnapshots: [QCOW2Snapshot]? = nil,
        dropsInvalid: Bool = false
    ) throws(DiskImageError) {
        var l1 = newL1 ?? self.l1
        let snapshots = newSnapshots ?? self.snapshots
        if dropsInvalid { try dropInvalidEntries(&l1) }
        let found = try references(l1: l1, snapshots: snapshots)
        if let problem = found.problems.first { throw malformed(problem) }
        var space = NewClusters(counts: found.counts, next: (fileEnd + clusterMask) & ~clusterMask, bits: clusterBits)
        // Active L2 tables: each its own, with flags as the counts say.
        for index in l1.indices where l1[index] & QCOW2Entry.offsetMask != 0 {
            let offset = l1[index] & QCOW2Entry.offsetMask
            let buffer = ByteBuffer(uninitialized: clusterByteCount)
            try file.read(buffer, at: offset)
            let isChanged = correctFlags(buffer, space.counts)
            let cluster = offset >> UInt64(clusterBits)
            if space.counts[cluster] > 1 || isChanged {
                space.counts[cluster] -= 1
                let place = space.reserve(1)
                try file.write(buffer, at: place)
                l1[index] = place | QCOW2Entry.copied
            } else {
                l1[index] = offset | QCOW2Entry.copied
            }
        }
        var header = self.header
        header.l1Count = UInt32(l1.count)
        header.l1Offset = l1.isEmpty ? 0 : space.reserve(UInt64(l1.count) * 8)
        if !l1.isEmpty { try file.write(Self.buffer(of: l1[...]), at: header.l1Offset) }
        header.snapshotCount = UInt32(snapshots.count)
        header.snapshotsOffset = 0
        if !snapshots.isEmpty {
            let table = ByteBuffer(snapshots.flatMap(\.encoded))
            guard UInt64(table.count) <= QCOW2Snapshot.tableByteLimit else {
                throw .invalidOption("the snapshots of \(path) do not fit into one table")
            }
            header.snapshotsOffset = space.reserve(UInt64(table.count))
            try file.write(table, at: header.snapshotsOffset)
        }
        if let byteCount { header.byteCount = byteCount }
        try writeRefcounts(&header, &space)
        try file.flush()
        header.incompatible &= ~QCOW2Header.dirty
        if dropsInvalid { header.incompatible &= ~QCOW2Header.corrupt }
        let old = self.header
        self.header = header
        do throws(DiskImageError) {
            try writeHeader()
            try file.flush()
        } catch {
            self.header = old
            throw error
        }
        try load()
        // All was counted anew.
        frees = []
        releasable = []
        firstFree = 0
        try noteMetadataClusters()
        decompressed.removeAll()
        try punchUnused(space.counts)
    }

    /// Sets and clears the "copied" flags of an L2 table.
    ///
    /// - Returns: Whether any was wrong.
    private func correctFlags(_ table: ByteBuffer, _ counts: ClusterCounts) -> Bool {
        var isChanged = false
        for index in 0..<header.l2EntryCount {
            let entry = table.load(UInt64.self, at: index * 8)
            if entry == 0 { continue }
            let new: UInt64
            switch QCOW2Entry.meaning(of: entry, header) {
            case .zero(let host?), .data(let host):
                let isSingle = counts[host >> UInt64(clusterBits)] == 1
                new = isSingle ? entry | QCOW2Entry.copied : entry & ~QCOW2Entry.copied
            case .unallocated, .zero(nil), .compressed: new = entry & ~QCOW2Entry.copied
            }
            if new != entry {
                table.store(new, at: index * 8)
                isChanged = true
            }
        }
        return isChanged
    }

    /// Writes a new refcount table and the blocks that count all clusters, themselves too.
    private func writeRefcounts(
        _ header: inout QCOW2Header,
        _ space: inout NewClusters
    ) throws(DiskImageError) {
        let entries = UInt64(header.refcountBlockEntryCount)
        let clusters = (space.next >> UInt64(clusterBits)) + 1
        let bound = clusters + (clusters / entries + 2) * 2 + QCOW2Header.refcountTableByteLimit >> UInt64(clusterBits)
        let wordCount = bound / entries + 2
        let tableBytes = (wordCount * 8 + clusterMask) & ~clusterMask
        guard tableBytes <= QCOW2Header.refcountTableByteLimit else {
            throw malformed("a file of \(fileEnd) bytes needs a refcount table of \(tableBytes) bytes")
        }
        header.refcountTableOffset = space.reserve(tableBytes)
        header.refcountTableClusters = UInt32(tableBytes >> UInt64(clusterBits))
        var table = [UInt64](repeating: 0, count: Int(tableBytes / 8))
        // A block may lie where another block has to count it.
        var needed: Set<UInt64> = []
        space.counts.visit { cluster, _ in needed.insert(cluster / entries) }
        var indices = needed.sorted()
        while let index = indices.popLast() {
            let place = space.reserve(1)
            table[Int(index)] = place
            let own = (place >> UInt64(clusterBits)) / entries
            if needed.insert(own).inserted { indices.append(own) }
        }
        for (index, offset) in table.enumerated() where offset != 0 {
            let block = QCOW2Table(offset: offset, buffer: ByteBuffer(count: clusterByteCount))
            for number in 0..<entries {
                let count = UInt64(space.counts[UInt64(index) * entries + number])
                guard count <= header.refcountLimit else {
                    throw .unsupported(
                        path: path,
                        feature: "\(count) references with \(header.refcountBits) refcount bits"
                    )
                }
                if count > 0 { block.setRefcount(Int(number), count, order: header.refcountOrder) }
            }
            try file.write(block.buffer, at: offset)
        }
        try file.write(Self.buffer(of: table[...]), at: header.refcountTableOffset)
    }

    /// Gives the space of clusters back that nothing refers to.
    private func punchUnused(_ counts: ClusterCounts) throws(DiskImageError) {
        var place: UInt64 = 0
        while place < fileEnd {
            let span = try file.span(at: place)
            let end = min(span.end, fileEnd)
            guard span.isData else {
                place = max(place + 1, end)
                continue
            }
            var cluster = place & ~clusterMask
            while cluster < end {
                var stop = cluster
                while stop < end, counts[stop >> UInt64(clusterBits)] == 0 { stop += clusterMask + 1 }
                if stop > cluster {
                    guard try file.punchHole(at: cluster, byteCount: stop - cluster) else { return }
                }
                cluster = max(stop, cluster) + clusterMask + 1
            }
            place = max(place + 1, end)
        }
    }

    /// Forgets entries that lead nowhere, in tables that are written in place.
    private func dropInvalidEntries(_ l1: inout [UInt64]) throws(DiskImageError) {
        for index in l1.indices where l1[index] & QCOW2Entry.offsetMask != 0 {
            let offset = l1[index] & QCOW2Entry.offsetMask
            guard offset & clusterMask == 0, offset < fileEnd else {
                l1[index] = 0
                continue
            }
            let buffer = ByteBuffer(uninitialized: clusterByteCount)
            try file.read(buffer, at: offset)
            var isChanged = false
            for number in 0..<header.l2EntryCount {
                let isBad: Bool
                switch QCOW2Entry.meaning(of: buffer.load(UInt64.self, at: number * 8), header) {
                case .unallocated, .zero(nil): isBad = false
                case .zero(let host?), .data(let host): isBad = host & clusterMask != 0 || host >= fileEnd
                case .compressed(let place): isBad = place.hostOffset >= fileEnd
                }
                if isBad {
                    buffer.store(0 as UInt64, at: number * 8)
                    isChanged = true
                }
            }
            if isChanged { try file.write(buffer, at: offset) }
        }
    }
}
