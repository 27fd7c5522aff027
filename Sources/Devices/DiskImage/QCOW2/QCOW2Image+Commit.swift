extension QCOW2Image {
    public func flush() throws(DiskImageError) {
        guard !isReadOnly else { return }
        try allocation.withLock { () throws(DiskImageError) in try commit() }
        try release(whereMoreThan: 0)
    }

    /// Frees what was freed where that has become much; a guest that never flushes must not fill memory.
    func releaseIfMany() throws(DiskImageError) { try release(whereMoreThan: 1 << 16) }

    private func release(whereMoreThan limit: Int) throws(DiskImageError) {
        guard metadata.withLock({ releasable.count > limit }) else { return }
        // Alone: nobody reads from a cluster that is about to become a hole.
        try gate.exclusive { () throws(DiskImageError) in
            try allocation.withLock { () throws(DiskImageError) in
                let runs = try metadata.withLock { () throws(DiskImageError) in
                    guard !header.isCorrupt else { return [(offset: UInt64, byteCount: UInt64)]() }
                    return try applyReleases()
                }
                decompressed.removeAll()
                for run in runs { _ = try file.punchHole(at: run.offset, byteCount: run.byteCount) }
            }
        }
    }

    /// Writes changed metadata in the order that leaves the image consistent wherever it is cut.
    ///
    /// The allocation lock is held.
    ///
    /// 1. refcount blocks (with lazy refcounts: not at all, the dirty bit says so)
    /// 2. barrier, entries of the refcount table or a moved table, barrier, the header that names it
    /// 3. barrier (data too), L2 tables
    /// 4. barrier, L1 entries
    /// 5. barrier; what lost its last reference here may now be used again
    func commit() throws(DiskImageError) {
        guard !header.isCorrupt else { return }
        let blocks = metadata.withLock { refcountCache.dirty }
        let tables = metadata.withLock { l2Cache.dirty }
        let hasTableChange = isRefcountTableMoved || !dirtyRefcountTable.isEmpty
        // A new block is needed even by lazy refcounts: the dirty bit's repair is for counts, not for places.
        var written: [QCOW2Table] = []
        if !(header.isLazy && header.isDirty) || hasTableChange || blocks.count * 2 >= refcountCache.limit {
            for block in blocks { try write(block) }
            written = blocks
        }
        if hasTableChange {
            try file.flush()
            try writeRefcountTable()
        }
        if !tables.isEmpty || !dirtyL1.isEmpty {
            try file.flush()
            for table in tables { try write(table) }
            written += tables
        }
        if !dirtyL1.isEmpty {
            try file.flush()
            try writeL1()
        }
        try file.flush()
        metadata.withLock {
            for table in written { table.markClean() }
            dirtyL1 = []
            dirtyRefcountTable = []
            releasable += frees
            frees = []
        }
    }

    private func write(_ table: QCOW2Table) throws(DiskImageError) {
        guard let range = table.dirtySectors else { return }
        try file.write(table.buffer, range, at: table.offset + UInt64(range.lowerBound))
    }

    private func writeRefcountTable() throws(DiskImageError) {
        if isRefcountTableMoved {
            try file.write(Self.buffer(of: refcountTable[...]), at: header.refcountTableOffset)
            try file.flush()
            try metadata.withLock { () throws(DiskImageError) in try writeHeader() }
            try file.flush()
            isRefcountTableMoved = false
        } else {
            try writeEntries(dirtyRefcountTable, of: refcountTable, at: header.refcountTableOffset)
        }
    }

    private func writeL1() throws(DiskImageError) { try writeEntries(dirtyL1, of: l1, at: header.l1Offset) }

    /// Writes the sectors of a table in which entries changed.
    private func writeEntries(_ changed: Set<Int>, of table: [UInt64], at offset: UInt64) throws(DiskImageError) {
        for sector in Set(changed.map { $0 / 64 }).sorted() {
            let part = table[sector * 64..<min(table.count, sector * 64 + 64)]
            try file.write(Self.buffer(of: part), at: offset + UInt64(sector) * 512)
        }
    }

    /// Words as the file has them.
    static func buffer(of words: ArraySlice<UInt64>, byteCount: Int? = nil) -> ByteBuffer {
        let buffer = ByteBuffer(count: max(byteCount ?? 0, words.count * 8))
        for (place, word) in words.enumerated() { buffer.store(word, at: place * 8) }
        return buffer
    }
}
