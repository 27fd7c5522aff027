/// What a check found.
public struct DiskCheckReport: Sendable {
    public var corruptionCount = 0
    public var leakCount = 0
    public var problems: [String] = []
    public var endOffset: UInt64 = 0
    public var totalClusters: UInt64 = 0
    public var allocatedClusters: UInt64 = 0
    public var fragmentedClusters: UInt64 = 0
    public var compressedClusters: UInt64 = 0
    /// What a repair mended.
    public var fixedCorruptionCount = 0
    public var fixedLeakCount = 0

    mutating func corrupt(_ problem: String) {
        corruptionCount += 1
        if problems.count < 100 { problems.append("ERROR " + problem) }
    }
    mutating func leak(_ problem: String) {
        leakCount += 1
        if problems.count < 100 { problems.append("Leaked " + problem) }
    }
}

extension QCOW2Image {
    /// Compares refcounts and flags with what the tables refer to.
    public func check() throws(DiskImageError) -> DiskCheckReport {
        if !isReadOnly {
            try flush()
            if !keepsMarks { try writeCounts() }
        }
        return try gate.exclusive { () throws(DiskImageError) in
            try allocation.withLock { () throws(DiskImageError) in
                try metadata.withLock { () throws(DiskImageError) in try checkTables() }
            }
        }
    }

    /// Counts anew and corrects flags, if that is needed.
    ///
    /// `all`: Corruptions too, not only leaks.
    public func repair(all: Bool) throws(DiskImageError) -> DiskCheckReport {
        let before = try check()
        guard before.leakCount > 0 || before.corruptionCount > 0 || header.isCorrupt else {
            keepsMarks = false
            return before
        }
        guard all || before.corruptionCount == 0 else { return before }
        try gate.exclusive { () throws(DiskImageError) in
            try allocation.withLock { () throws(DiskImageError) in
                try metadata.withLock { () throws(DiskImageError) in try rebuild(dropsInvalid: all) }
            }
        }
        keepsMarks = false
        var after = try check()
        after.fixedCorruptionCount = max(0, before.corruptionCount - after.corruptionCount)
        after.fixedLeakCount = max(0, before.leakCount - after.leakCount)
        return after
    }

    /// Opens an image only to repair it: its marks of trouble do not keep it shut.
    public static func repair(
        path: String,
        _ options: DiskImageOptions,
        all: Bool
    ) throws(DiskImageError) -> DiskCheckReport? {
        let file = try HostImageFile(path: path, locking: options.locking)
        if let format = options.format, format != .qcow2 { return nil }
        guard try DiskImageFormat.probe(file) == .qcow2 else { return nil }
        let header = try QCOW2Header(file)
        let image = try QCOW2Image(file, header: header, isReadOnly: false, isRepair: true)
        let report = try image.repair(all: all)
        try image.close()
        return report
    }

    private func checkTables() throws(DiskImageError) -> DiskCheckReport {
        var report = DiskCheckReport()
        var found = try references(l1: l1, snapshots: snapshots)
        func metadata(_ offset: UInt64, _ byteCount: UInt64, _ what: String) {
            found.addMetadata(offset, byteCount: byteCount, clusterBits: clusterBits, what)
        }
        metadata(header.l1Offset, UInt64(header.l1Count) * 8, "L1 table")
        metadata(
            header.refcountTableOffset,
            UInt64(header.refcountTableClusters) << UInt64(clusterBits),
            "refcount table"
        )
        if header.snapshotCount > 0 {
            metadata(header.snapshotsOffset, try QCOW2Snapshot.table(header, file).byteCount, "snapshot table")
        }
        var stored = ClusterCounts()
        let entries = UInt64(header.refcountBlockEntryCount)
        let block = QCOW2Table(offset: 0, buffer: ByteBuffer(uninitialized: clusterByteCount))
        var seen: Set<UInt64> = []
        for (index, word) in refcountTable.enumerated() where word & ~511 != 0 {
            let offset = word & ~511
            guard offset & clusterMask == 0, offset < fileEnd else {
                report.corrupt("a refcount block at \(offset) in a file of \(fileEnd) bytes")
                continue
            }
            metadata(offset, 1, "refcount block")
            guard seen.insert(offset).inserted else { continue }
            try file.read(block.buffer, at: offset)
            if unsafe UnsafeRawBufferPointer(block.buffer.bytes).isZero { continue }
            for number in 0..<entries {
                let count = block.refcount(Int(number), order: header.refcountOrder)
                if count > 0 { stored[UInt64(index) * entries + number] = UInt32(clamping: count) }
            }
        }
        try countBitmaps(&found)
        for problem in found.problems { report.corrupt(problem) }
        report.corruptionCount += found.problemCount - found.problems.count
        compare(found, stored, &report)
        if !header.hasExtendedL2 { try checkFlags(stored, found, &report) }
        report.totalClusters = (header.byteCount + clusterMask) >> UInt64(clusterBits)
        report.allocatedClusters = found.allocatedClusters
        report.compressedClusters = found.compressedClusters
        report.fragmentedClusters = found.fragmentedClusters
        return report
    }

    private func compare(_ found: QCOW2References, _ stored: ClusterCounts, _ report: inout DiskCheckReport) {
        found.counts.visit { cluster, count in
            let says = stored[cluster]
            if says < count { report.corrupt("cluster \(cluster) refcount=\(says) reference=\(count)") }
        }
        var last: UInt64 = 0
        stored.visit { cluster, says in
            last = cluster
            let count = found.counts[cluster]
            if says > count { report.leak("cluster \(cluster) refcount=\(says) reference=\(count)") }
        }
        report.endOffset = (last + 1) << UInt64(clusterBits)
    }

    /// The "copied" flags of the active tables, and data that lies on metadata.
    private func checkFlags(
        _ stored: ClusterCounts,
        _ found: QCOW2References,
        _ report: inout DiskCheckReport
    ) throws(DiskImageError) {
        let buffer = ByteBuffer(uninitialized: clusterByteCount)
        var seen: Set<UInt64> = []
        for word in l1 where word & QCOW2Entry.offsetMask != 0 {
            let offset = word & QCOW2Entry.offsetMask
            guard offset & clusterMask == 0, offset < fileEnd, seen.insert(offset).inserted else { continue }
            if (word & QCOW2Entry.copied != 0) != (stored[offset >> UInt64(clusterBits)] == 1) {
                report.corrupt("OFLAG_COPIED of the L2 table at \(offset) is wrong")
            }
            let span = try file.span(at: offset)
            if !span.isData, span.end >= offset + clusterMask + 1 { continue }
            try file.read(buffer, at: offset)
            for index in 0..<header.l2EntryCount {
                let entry = buffer.load(UInt64.self, at: index * 8)
                if entry == 0 { continue }
                switch QCOW2Entry.meaning(of: entry, header) {
                case .zero(let host?), .data(let host):
                    if header.hasExternalData { continue }
                    if (entry & QCOW2Entry.copied != 0) != (stored[host >> UInt64(clusterBits)] == 1) {
                        report.corrupt("OFLAG_COPIED of the data cluster at \(host) is wrong")
                    }
                    if let what = found.metadata[host >> UInt64(clusterBits)] {
                        report.corrupt("the data cluster at \(host) overlaps the \(what)")
                    }
                case .unallocated, .zero(nil), .compressed: continue
                }
            }
        }
    }

    /// Bitmaps that are in force (qcow2 specification, "Bitmaps extension"): their directory, tables and data.
    private func countBitmaps(_ found: inout QCOW2References) throws(DiskImageError) {
        guard header.autoclear & QCOW2Header.bitmapsConsistent != 0, let bytes = header.bitmaps, bytes.count >= 24
        else {
            return
        }
        let fields = ByteBuffer(bytes)
        let count = fields.load(UInt32.self, at: 0)
        let size = fields.load(UInt64.self, at: 8)
        let start = fields.load(UInt64.self, at: 16)
        guard count <= 65535, size <= 64 << 20, start < fileEnd, size <= fileEnd - start else {
            return found.note("a bitmap directory of \(size) bytes at \(start)")
        }
        found.addMetadata(start, byteCount: size, clusterBits: clusterBits, "bitmap directory")
        let directory = ByteBuffer(count: Int(size))
        try file.read(directory, at: start)
        var place = 0
        for _ in 0..<count {
            guard place + 24 <= directory.count else { return found.note("a bitmap directory that ends too early") }
            let tableOffset = directory.load(UInt64.self, at: place)
            let tableCount = directory.load(UInt32.self, at: place + 8)
            let nameCount = Int(directory.load(UInt16.self, at: place + 18))
            let extraCount = Int(directory.load(UInt32.self, at: place + 20))
            guard tableOffset & clusterMask == 0, tableOffset < fileEnd,
                UInt64(tableCount) * 8 <= fileEnd - tableOffset,
                extraCount <= directory.count
            else { return found.note("a bitmap table of \(tableCount) entries at \(tableOffset)") }
            let size = UInt64(tableCount) * 8
            found.addMetadata(tableOffset, byteCount: size, clusterBits: clusterBits, "bitmap table")
            for word in try table(at: tableOffset, count: Int(tableCount), "bitmap table") {
                let data = word & QCOW2Entry.offsetMask
                if data == 0 { continue }
                guard data & clusterMask == 0, data < fileEnd else {
                    found.note("a cluster of a bitmap at \(data)")
                    continue
                }
                found.counts.add(1, to: data >> UInt64(clusterBits))
            }
            place += (24 + extraCount + nameCount + 7) & ~7
        }
    }
}
