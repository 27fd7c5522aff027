/// A number for each cluster, most of them 0.
struct ClusterCounts {
    private static let chunkSize: UInt64 = 1 << 14
    private(set) var chunks: [UInt64: [UInt32]] = [:]

    subscript(cluster: UInt64) -> UInt32 {
        get {
            guard let chunk = chunks[cluster / Self.chunkSize] else { return 0 }
            return chunk[Int(cluster % Self.chunkSize)]
        }
        set {
            let empty = [UInt32](repeating: 0, count: Int(Self.chunkSize))
            chunks[cluster / Self.chunkSize, default: empty][Int(cluster % Self.chunkSize)] = newValue
        }
    }

    mutating func add(_ count: UInt32, to cluster: UInt64) {
        let old = self[cluster]
        self[cluster] = old > .max - count ? .max : old + count
    }

    /// The clusters that have a number other than 0, in order.
    func visit<Failure: Error>(_ body: (UInt64, UInt32) throws(Failure) -> Void) throws(Failure) {
        for number in chunks.keys.sorted() {
            guard let chunk = chunks[number] else { continue }
            for (index, count) in chunk.enumerated() where count > 0 {
                try body(number * Self.chunkSize + UInt64(index), count)
            }
        }
    }
}

/// What an image's tables refer to.
struct QCOW2References {
    var counts = ClusterCounts()
    /// What is wrong with the references themselves.
    var problems: [String] = []
    var problemCount = 0
    var allocatedClusters: UInt64 = 0
    var compressedClusters: UInt64 = 0
    var fragmentedClusters: UInt64 = 0
    /// Clusters of metadata, by what they hold.
    var metadata: [UInt64: String] = [:]

    mutating func note(_ problem: String) {
        problemCount += 1
        if problems.count < 100 { problems.append(problem) }
    }

    mutating func addMetadata(_ offset: UInt64, byteCount: UInt64, clusterBits: UInt32, _ what: String) {
        guard byteCount > 0 else { return }
        for cluster in offset >> UInt64(clusterBits)...(offset + byteCount - 1) >> UInt64(clusterBits) {
            counts.add(1, to: cluster)
            if let other = metadata.updateValue(what, forKey: cluster) {
                note("the \(what) at \(offset) overlaps the \(other)")
            }
        }
    }
}

extension QCOW2Image {
    /// Counts what the L1 tables refer to: L2 tables, data, and the snapshots' L1 tables.
    ///
    /// The metadata lock is held, nothing is dirty.
    ///
    /// An L2 table that several L1 entries name is read once.
    func references(l1: [UInt64], snapshots: [QCOW2Snapshot]) throws(DiskImageError) -> QCOW2References {
        var result = QCOW2References()
        var uses: [UInt64: UInt32] = [:]
        var active: Set<UInt64> = []
        func walk(_ table: [UInt64], _ what: String, isActive: Bool) {
            for entry in table where entry & QCOW2Entry.offsetMask != 0 {
                let offset = entry & QCOW2Entry.offsetMask
                guard offset & clusterMask == 0, offset < fileEnd else {
                    result.note("an L2 table of the \(what) at \(offset) in a file of \(fileEnd) bytes")
                    continue
                }
                uses[offset, default: 0] += 1
                if isActive, !active.insert(offset).inserted {
                    result.note("the L2 table at \(offset) is used twice by the active disk")
                }
                result.counts.add(1, to: offset >> UInt64(clusterBits))
            }
        }
        result.addMetadata(0, byteCount: 1, clusterBits: clusterBits, "header")
        walk(l1, "active disk", isActive: true)
        var seen: [UInt64: [UInt64]] = [:]
        for snapshot in snapshots {
            let words: [UInt64]
            if let known = seen[snapshot.l1Offset], known.count == Int(snapshot.l1Count) {
                words = known
            } else {
                words = try table(at: snapshot.l1Offset, count: Int(snapshot.l1Count), "snapshot's L1 table")
                if seen.count < 4 { seen[snapshot.l1Offset] = words }
            }
            let size = UInt64(snapshot.l1Count) * 8
            result.addMetadata(snapshot.l1Offset, byteCount: size, clusterBits: clusterBits, "L1 table of a snapshot")
            walk(words, "snapshot '\(snapshot.name)'", isActive: false)
        }
        let buffer = ByteBuffer(uninitialized: clusterByteCount)
        for offset in uses.keys.sorted() {
            guard let times = uses[offset] else { continue }
            if let other = result.metadata.updateValue("L2 table", forKey: offset >> UInt64(clusterBits)) {
                result.note("the L2 table at \(offset) overlaps the \(other)")
            }
            // A hole is an empty table.
            let span = try file.span(at: offset)
            if !span.isData, span.end >= offset + clusterMask + 1 { continue }
            try file.read(buffer, at: offset)
            count(buffer, times, isActive: active.contains(offset), &result)
        }
        return result
    }

    private func count(_ table: ByteBuffer, _ times: UInt32, isActive: Bool, _ result: inout QCOW2References) {
        let size = header.l2EntryByteCount
        var expected: UInt64 = 0
        for index in 0..<header.l2EntryCount {
            let entry = table.load(UInt64.self, at: index * size)
            if entry == 0 { continue }
            switch QCOW2Entry.meaning(of: entry, header) {
            case .unallocated, .zero(nil): continue
            case .compressed(let place):
                let end = place.hostOffset + UInt64(place.byteCount)
                guard place.hostOffset < fileEnd, end <= (fileEnd | clusterMask) + 1 else {
                    result.note("a compressed cluster at \(place.hostOffset) in a file of \(fileEnd) bytes")
                    continue
                }
                for cluster in place.hostOffset >> UInt64(clusterBits)...(end - 1) >> UInt64(clusterBits) {
                    result.counts.add(times, to: cluster)
                }
                if isActive {
                    result.allocatedClusters += 1
                    result.compressedClusters += 1
                    result.fragmentedClusters += 1
                }
            case .zero(let host?), .data(let host):
                if isActive {
                    result.allocatedClusters += 1
                    if expected != 0, host != expected { result.fragmentedClusters += 1 }
                    expected = host + clusterMask + 1
                }
                if header.hasExternalData { continue }
                guard host & clusterMask == 0, host < fileEnd else {
                    result.note("a data cluster at \(host) in a file of \(fileEnd) bytes")
                    continue
                }
                result.counts.add(times, to: host >> UInt64(clusterBits))
            }
        }
    }
}
