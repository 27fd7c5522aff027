extension QCOW2Image {
    public func discard(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) {
        try checkWrite(path, offset, byteCount)
        let whole = wholeClusters(at: offset, byteCount: byteCount)
        guard whole.first < whole.last else { return }
        try gate.exclusive { () throws(DiskImageError) in
            try drop(whole.first, whole.last, keepsSpace: false, mustRead: false)
        }
        // The file gets its holes at a flush, which a guest that only discards does not ask for.
        let freed = metadata.withLock { UInt64(frees.count) << UInt64(clusterBits) }
        if freed >= Self.freedByteLimit { try flush() }
    }

    /// Bytes that may wait to leave the file.
    private static let freedByteLimit: UInt64 = 8 << 20

    public func writeZeroes(at offset: UInt64, byteCount: UInt64, mayUnmap: Bool) throws(DiskImageError) {
        try checkWrite(path, offset, byteCount)
        guard byteCount > 0 else { return }
        let (first, last) = wholeClusters(at: offset, byteCount: byteCount)
        // Whole clusters have a sign for zeros; their neighbours are written.
        guard first < last else { return try writeZeroBytes(at: offset, byteCount: byteCount) }
        if first > offset { try writeZeroBytes(at: offset, byteCount: first - offset) }
        try gate.exclusive { () throws(DiskImageError) in
            try drop(first, last, keepsSpace: !mayUnmap, mustRead: true)
        }
        if last < offset + byteCount { try writeZeroBytes(at: last, byteCount: offset + byteCount - last) }
    }

    private func writeZeroBytes(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) {
        // What reads as zeros already needs no clusters.
        var place = offset
        while place < offset + byteCount {
            let found = try extent(at: place, byteCount: offset + byteCount - place)
            if found.kind == .data {
                let zeros = ByteBuffer(count: Int(min(found.byteCount, 1 << 20)))
                unsafe try write(UnsafeRawBufferPointer(zeros.bytes), at: place)
                place += UInt64(zeros.count)
            } else {
                place += found.byteCount
            }
        }
    }

    /// The whole clusters within a range; the disk's last one is whole where its bytes are.
    private func wholeClusters(at offset: UInt64, byteCount: UInt64) -> (first: UInt64, last: UInt64) {
        let end = offset + byteCount
        let isToEnd = end == self.byteCount
        return ((offset + clusterMask) & ~clusterMask, (isToEnd ? end + clusterMask : end) & ~clusterMask)
    }

    /// Makes the whole clusters from `start` to `end` read as zeros.
    ///
    /// The gate is held alone.
    ///
    /// `keepsSpace`: Host clusters stay for later writes.
    /// `mustRead`: As zeros; else whatever is cheapest, where the format has no sign for zeros.
    func drop(_ start: UInt64, _ end: UInt64, keepsSpace: Bool, mustRead: Bool) throws(DiskImageError) {
        var place = start
        while place < end {
            let span = header.l2Span
            let limit = min(end, place - place % span + span)
            try allocation.withLock { () throws(DiskImageError) in
                try beginMetadataChange()
                let data = try metadata.withLock { () throws(DiskImageError) in
                    try dropInTable(place, limit, keepsSpace: keepsSpace, mustRead: mustRead)
                }
                // Version 2 cannot say "zeros" over a backing image.
                for cluster in data { try zeroCluster(at: cluster) }
            }
            place = limit
        }
    }

    /// - Returns: Clusters that have to be written with zeros.
    private func dropInTable(
        _ start: UInt64,
        _ end: UInt64,
        keepsSpace: Bool,
        mustRead: Bool
    ) throws(DiskImageError) -> [UInt64] {
        let isBacked = backing.map { $0.byteCount > start } ?? false
        let index = Int(start / header.l2Span)
        guard index < l1.count else { throw malformed("an L1 table of \(l1.count) entries is too short") }
        if l1[index] & QCOW2Entry.offsetMask == 0, !isBacked { return [] }
        var data: [UInt64] = []
        var table: QCOW2Table?
        for cluster in stride(from: start, to: end, by: Int(clusterMask) + 1) {
            let place = Int((cluster % header.l2Span) >> UInt64(clusterBits))
            var entry: UInt64 = 0
            if let table {
                entry = table[place]
            } else if l1[index] & QCOW2Entry.offsetMask != 0 {
                entry = try l2Table(l1[index])[place]
            }
            let old = QCOW2Entry.meaning(of: entry, header)
            let new: UInt64
            switch old {
            case .unallocated:
                guard isBacked else { continue }
                guard header.version >= 3 else {
                    if mustRead { data.append(cluster) }
                    continue
                }
                new = QCOW2Entry.zero
            case .zero(nil): continue
            case .zero(.some), .data, .compressed:
                if isBacked, header.version < 3 {
                    if mustRead { data.append(cluster) }
                    continue
                }
                if keepsSpace, header.version >= 3, entry & QCOW2Entry.copied != 0 {
                    new = entry | QCOW2Entry.zero
                } else {
                    new = isBacked || (header.version >= 3 && mustRead && keepsSpace) ? QCOW2Entry.zero : 0
                }
            }
            guard new != entry else { continue }
            let target: QCOW2Table
            if let table { target = table } else { target = try privateL2Table(at: cluster) }
            table = target
            if new & QCOW2Entry.offsetMask == 0 { free(old) }
            target[place] = new
        }
        return data
    }

    /// Writes zeros over one cluster, which is given a place of its own if need be.
    ///
    /// The gate and the allocation lock are held.
    private func zeroCluster(at offset: UInt64) throws(DiskImageError) {
        let zeros = ByteBuffer(count: clusterByteCount)
        try metadata.withLock { () throws(DiskImageError) in
            let table = try privateL2Table(at: offset)
            let place = Int((offset % header.l2Span) >> UInt64(clusterBits))
            let old = QCOW2Entry.meaning(of: table[place], header)
            if case .data(let host) = old, table[place] & QCOW2Entry.copied != 0 {
                return try file.write(zeros, at: host)
            }
            let new = try allocate(upTo: 1).offset
            try file.write(zeros, at: new)
            free(old)
            table[place] = new | QCOW2Entry.copied
        }
    }
}
