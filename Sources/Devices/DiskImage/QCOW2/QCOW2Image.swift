/// A qcow2 image, version 2 or 3, over a file and perhaps a backing image.
///
/// Three locks, taken in this order:
/// - `gate`: reads and writes share it; what takes clusters away from the disk (discard, snapshots, release of freed
///   clusters) has it alone, so that no transfer is under way to a cluster that changes hands.
/// - `allocation`: one thread at a time changes the mapping or commits it.
/// - `metadata`: the tables in memory. Held for look-ups and changes, never for data.
///
/// What is on disk when is told in `Docs/disks.md`; ``commit()`` is the place.
public final class QCOW2Image: DiskImage, @unchecked Sendable {
    // SAFETY: all mutable state is guarded by the locks above.
    public let file: any ImageFile
    public let isReadOnly: Bool
    let backing: (any DiskImage)?
    /// Where data clusters lie: `file`, or the external data file.
    let dataFile: any ImageFile
    let gate = SharedLock()
    let allocation = Lock()
    let metadata = Lock()

    // Guarded by `metadata`; changed by the holder of `allocation` only.
    var header: QCOW2Header
    /// The first cluster as the file has it.
    var firstCluster: ByteBuffer
    var l1: [UInt64]
    var refcountTable: [UInt64]
    var l2Cache: QCOW2TableCache
    var refcountCache: QCOW2TableCache
    var snapshots: [QCOW2Snapshot]
    private var snapshotTableByteCount: UInt64 = 0
    /// Clusters that hold metadata in use; a data write to one of them is refused.
    var metadataClusters: Set<UInt64> = []
    var dirtyL1: Set<Int> = []
    var dirtyRefcountTable: Set<Int> = []
    var isRefcountTableMoved = false
    /// Clusters that lose a reference when what was changed is committed.
    var frees: [UInt64] = []
    /// Clusters that lose a reference now: nothing on disk says any more that they are used.
    var releasable: [UInt64] = []
    /// No cluster below is free.
    var firstFree: UInt64 = 0
    /// The bytes that were ever used; clusters at or behind it read as zeros.
    var fileEnd: UInt64 = 0
    /// Opened for a repair that is not done: dirty and corrupt bits stay.
    var keepsMarks = false
    let decompressed = DecompressedClusters()

    var path: String { file.name }
    public var byteCount: UInt64 { metadata.withLock { header.byteCount } }
    public var clusterByteCount: Int { 1 << Int(clusterBits) }
    let clusterBits: UInt32
    let compression: ClusterCompression
    let clusterMask: UInt64

    /// Opens an image whose backing and data files are open already.
    ///
    /// An image that was not closed cleanly is repaired, if it may be written.
    init(
        _ file: any ImageFile,
        header: QCOW2Header,
        isReadOnly: Bool,
        backing: (any DiskImage)? = nil,
        dataFile: (any ImageFile)? = nil,
        repairs: Bool = true,
        isRepair: Bool = false
    ) throws(DiskImageError) {
        self.file = file
        self.isReadOnly = isReadOnly
        self.backing = backing
        self.dataFile = dataFile ?? file
        self.header = header
        clusterBits = header.clusterBits
        compression = header.compression
        clusterMask = UInt64(header.clusterByteCount) - 1
        firstCluster = ByteBuffer(count: header.clusterByteCount)
        l1 = []
        refcountTable = []
        snapshots = []
        // 32 MiB of L2 tables are as much as 256 GiB of disk with clusters of 64 KiB.
        l2Cache = QCOW2TableCache(limit: max(8, (32 << 20) >> Int(clusterBits)))
        refcountCache = QCOW2TableCache(limit: max(8, (8 << 20) >> Int(clusterBits)))
        try load()
        keepsMarks = isRepair
        // A repair reads all tables itself.
        if !isReadOnly, !isRepair {
            try checkWritable()
            if repairs, header.isDirty { try rebuild() }
            try prepareForWriting()
        }
    }

    /// Opens an image in any file; `backing` is what its header calls its backing file.
    public convenience init(
        _ file: any ImageFile,
        isReadOnly: Bool,
        backing: (any DiskImage)? = nil
    ) throws(DiskImageError) {
        try self.init(file, header: QCOW2Header(file), isReadOnly: isReadOnly, backing: backing)
    }

    deinit {
        // What was not flushed may be lost, but need not be.
        do throws(DiskImageError) { try close() } catch { return }
    }

    /// Reads the header's tables.
    func load() throws(DiskImageError) {
        try file.read(firstCluster, at: 0)
        fileEnd = try file.byteCount
        l1 = try table(at: header.l1Offset, count: Int(header.l1Count), "L1 table")
        let refcountCount = Int(header.refcountTableClusters) << Int(clusterBits - 3)
        // Only the part with entries is kept: what follows the last one is zero.
        refcountTable = try table(at: header.refcountTableOffset, count: refcountCount, "refcount table")
        (snapshots, snapshotTableByteCount) = try QCOW2Snapshot.table(header, file)
        l2Cache.removeAll()
        refcountCache.removeAll()
    }

    /// Big-endian words at a place of the file.
    func table(at offset: UInt64, count: Int, _ what: String) throws(DiskImageError) -> [UInt64] {
        guard count > 0 else { return [] }
        // A table may be cut short by the end of the file only within its last cluster.
        guard offset < fileEnd, UInt64(count) * 8 <= (fileEnd - offset + clusterMask) & ~clusterMask else {
            throw malformed("a \(what) of \(count) entries at \(offset) in a file of \(fileEnd) bytes")
        }
        let buffer = ByteBuffer(uninitialized: count * 8)
        try file.read(buffer, at: offset)
        return unsafe [UInt64](unsafeUninitializedCapacity: count) { words, done in
            for index in 0..<count { unsafe words[index] = buffer.load(UInt64.self, at: index * 8) }
            done = count
        }
    }

    private func checkWritable() throws(DiskImageError) {
        if header.isCorrupt {
            throw malformed("it is marked corrupt; viv disk check -r all may repair it")
        }
        if header.hasExtendedL2 { throw .unsupported(path: path, feature: "extended L2 entries for writing") }
        if header.hasExternalData { throw .unsupported(path: path, feature: "an external data file for writing") }
    }

    /// Notes where metadata lies and takes back promises that are not kept.
    private func prepareForWriting() throws(DiskImageError) {
        try noteMetadataClusters()
        // A bitmap that is not updated with each write tells lies: the specification's sign for it.
        if header.version == 3, header.autoclear != 0 {
            header.autoclear = 0
            try writeHeader()
            try file.flush()
        }
    }

    func noteMetadataClusters() throws(DiskImageError) {
        var used: Set<UInt64> = [0]
        func note(_ offset: UInt64, _ byteCount: UInt64, _ what: String) throws(DiskImageError) {
            var place = offset
            while place < offset + byteCount {
                guard used.insert(place).inserted else {
                    throw malformed("the \(what) at \(offset) overlaps other metadata")
                }
                place += clusterMask + 1
            }
        }
        try note(header.l1Offset, header.l1Count == 0 ? 0 : UInt64(header.l1Count) * 8, "L1 table")
        let tableBytes = UInt64(header.refcountTableClusters) << UInt64(clusterBits)
        try note(header.refcountTableOffset, tableBytes, "refcount table")
        for entry in refcountTable where entry & ~511 != 0 {
            let offset = entry & ~511
            guard offset & clusterMask == 0, offset < fileEnd else {
                throw malformed("a refcount block at \(offset) in a file of \(fileEnd) bytes")
            }
            try note(offset, 1, "refcount block")
        }
        for entry in l1 where entry & QCOW2Entry.offsetMask != 0 {
            let offset = entry & QCOW2Entry.offsetMask
            guard offset & clusterMask == 0, offset < fileEnd else {
                throw malformed("an L2 table at \(offset) in a file of \(fileEnd) bytes")
            }
            try note(offset, 1, "L2 table")
        }
        if header.snapshotCount > 0 {
            try note(header.snapshotsOffset, snapshotTableByteCount, "snapshot table")
        }
        for snapshot in snapshots where snapshot.l1Count > 0 {
            try note(snapshot.l1Offset, UInt64(snapshot.l1Count) * 8, "L1 table of snapshot '\(snapshot.name)'")
        }
        metadataClusters = used
    }

    func malformed(_ problem: String) -> DiskImageError { .malformed(path: path, problem: problem) }

    /// Writes the fields of the header that change in place: one sector.
    func writeHeader() throws(DiskImageError) {
        header.patch(firstCluster)
        try file.write(firstCluster, 0..<512, at: 0)
    }

    /// Writes the whole header: names and extensions too.
    func rewriteHeader() throws(DiskImageError) {
        let encoded = try header.encoded(path: path)
        try file.write(encoded, at: 0)
        firstCluster = encoded
    }

    /// Marks the image corrupt, so that nobody writes to it again before a repair.
    func markCorrupt(_ problem: String) -> DiskImageError {
        if header.version == 3, !header.isCorrupt, !isReadOnly {
            header.incompatible |= QCOW2Header.corrupt
            // A header that names a table not yet written would do more harm.
            guard !isRefcountTableMoved else { return malformed(problem) }
            do throws(DiskImageError) {
                try writeHeader()
                try file.flush()
            } catch { return error }
        }
        return malformed(problem)
    }

    /// Writes everything back.
    ///
    /// Later calls make it necessary again.
    public func close() throws(DiskImageError) {
        guard !isReadOnly, !keepsMarks else { return }
        try flush()
        try writeCounts()
    }

    /// Writes the counts that lazy refcounts have put off, and takes the dirty mark away.
    func writeCounts() throws(DiskImageError) {
        try gate.exclusive { () throws(DiskImageError) in
            try allocation.withLock { () throws(DiskImageError) in
                guard !header.isCorrupt else { return }
                try metadata.withLock { () throws(DiskImageError) in
                    let dirty = refcountCache.dirty
                    for table in dirty {
                        guard let range = table.dirtySectors else { continue }
                        try file.write(table.buffer, range, at: table.offset + UInt64(range.lowerBound))
                        table.markClean()
                    }
                    if header.isDirty {
                        try file.flush()
                        header.incompatible &= ~QCOW2Header.dirty
                        try writeHeader()
                    }
                    if !dirty.isEmpty { try file.flush() }
                }
            }
        }
    }
}
