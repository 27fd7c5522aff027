/// What an image says about a run of its disk.
struct QCOW2Mapping {
    var meaning: QCOW2Entry.Meaning
    /// Nobody else refers to the cluster: it may be written in place.
    var isCopied: Bool
    /// From the offset that was asked for.
    var byteCount: UInt64
}

extension QCOW2Image {
    /// The L2 table that an L1 entry names.
    ///
    /// The metadata lock is held.
    func l2Table(_ entry: UInt64) throws(DiskImageError) -> QCOW2Table {
        let offset = entry & QCOW2Entry.offsetMask
        if let found = l2Cache.table(at: offset) { return found }
        guard offset & clusterMask == 0, offset < fileEnd else {
            throw malformed("an L2 table at \(offset) in a file of \(fileEnd) bytes")
        }
        let buffer = ByteBuffer(uninitialized: clusterByteCount)
        try file.read(buffer, at: offset)
        let table = QCOW2Table(offset: offset, buffer: buffer)
        l2Cache.insert(table)
        return table
    }

    /// What lies at `offset`, as far as it goes on alike within `byteCount` bytes and one L2 table.
    ///
    /// The metadata lock is held.
    ///
    /// Data runs are contiguous in the file too.
    func mapping(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) -> QCOW2Mapping {
        let span = header.l2Span
        let limit = min(byteCount, span - offset % span)
        let l1Index = Int(offset / span)
        guard l1Index < l1.count, l1[l1Index] & QCOW2Entry.offsetMask != 0 else {
            return QCOW2Mapping(meaning: .unallocated, isCopied: false, byteCount: limit)
        }
        let table = try l2Table(l1[l1Index])
        if header.hasExtendedL2 { return try extendedMapping(table, at: offset, limit) }
        var index = Int((offset % span) >> UInt64(clusterBits))
        let inCluster = offset & clusterMask
        let entry = table[index]
        let first = QCOW2Entry.meaning(of: entry, header)
        var result = QCOW2Mapping(
            meaning: first,
            isCopied: entry & QCOW2Entry.copied != 0,
            byteCount: clusterMask + 1 - inCluster
        )
        switch first {
        case .compressed(let place):
            guard place.hostOffset < fileEnd else {
                throw malformed("a compressed cluster at \(place.hostOffset) in a file of \(fileEnd) bytes")
            }
            result.byteCount = min(result.byteCount, limit)
            return result
        case .data(let host):
            try checkData(host)
            result.meaning = .data(host + inCluster)
            var next = host
            while result.byteCount < limit {
                index += 1
                next += clusterMask + 1
                let entry = table[index]
                guard QCOW2Entry.meaning(of: entry, header) == .data(next),
                    (entry & QCOW2Entry.copied != 0) == result.isCopied
                else { break }
                try checkData(next)
                result.byteCount += clusterMask + 1
            }
        case .unallocated:
            while result.byteCount < limit {
                index += 1
                guard QCOW2Entry.meaning(of: table[index], header) == .unallocated else { break }
                result.byteCount += clusterMask + 1
            }
        case .zero:
            while result.byteCount < limit {
                index += 1
                guard case .zero = QCOW2Entry.meaning(of: table[index], header) else { break }
                result.byteCount += clusterMask + 1
            }
        }
        result.byteCount = min(result.byteCount, limit)
        return result
    }

    private func checkData(_ host: UInt64) throws(DiskImageError) {
        guard host & clusterMask == 0 else { throw malformed("a data cluster at \(host), which is not aligned") }
        if !header.hasExternalData, host >= fileEnd {
            throw malformed("a data cluster at \(host) in a file of \(fileEnd) bytes")
        }
    }

    /// Entries of 16 bytes, whose second half has two bits a 32nd of a cluster: allocated, reads as zeros.
    private func extendedMapping(
        _ table: QCOW2Table,
        at offset: UInt64,
        _ limit: UInt64
    ) throws(DiskImageError) -> QCOW2Mapping {
        let index = Int((offset % header.l2Span) >> UInt64(clusterBits))
        let entry = table[index * 2]
        let bits = table[index * 2 + 1]
        let inCluster = offset & clusterMask
        let meaning = QCOW2Entry.meaning(of: entry, header)
        if case .compressed(let place) = meaning {
            guard place.hostOffset < fileEnd else {
                throw malformed("a compressed cluster at \(place.hostOffset) in a file of \(fileEnd) bytes")
            }
            return QCOW2Mapping(meaning: meaning, isCopied: false, byteCount: min(limit, clusterMask + 1 - inCluster))
        }
        let part = (clusterMask + 1) / 32
        var number = inCluster / part
        func kind(_ number: UInt64) -> UInt64 { (bits >> number & 1) | (bits >> (number + 32) & 1) << 1 }
        let first = kind(number)
        guard first != 3 else { throw malformed("a subcluster at \(offset) that is both data and zeros") }
        var count = part - inCluster % part
        while number < 31, count < limit, kind(number + 1) == first {
            number += 1
            count += part
        }
        count = min(count, limit)
        switch first {
        case 1:
            guard case .data(let host) = meaning else {
                throw malformed("a subcluster at \(offset) with data but no cluster")
            }
            try checkData(host)
            return QCOW2Mapping(meaning: .data(host + inCluster), isCopied: false, byteCount: count)
        case 2: return QCOW2Mapping(meaning: .zero(nil), isCopied: false, byteCount: count)
        default: return QCOW2Mapping(meaning: .unallocated, isCopied: false, byteCount: count)
        }
    }

    public func extent(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) -> DiskExtent {
        try checkRange(path, offset, byteCount)
        var found = try rawExtent(at: offset, byteCount: byteCount)
        // Runs end with their L2 table; what goes on alike is one extent.
        while found.byteCount < byteCount, found.kind != .data, !found.isCompressed {
            let next = try rawExtent(at: offset + found.byteCount, byteCount: byteCount - found.byteCount)
            guard next.kind == found.kind, next.depth == found.depth else { break }
            found = DiskExtent(
                found.kind,
                offset: offset,
                byteCount: found.byteCount + next.byteCount,
                depth: found.depth
            )
        }
        return found
    }

    private func rawExtent(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) -> DiskExtent {
        let found = try metadata.withLock { () throws(DiskImageError) in
            try mapping(at: offset, byteCount: byteCount)
        }
        switch found.meaning {
        case .data(let host):
            return DiskExtent(.data, offset: offset, byteCount: found.byteCount, hostOffset: host)
        case .compressed: return DiskExtent(.data, offset: offset, byteCount: found.byteCount, isCompressed: true)
        case .zero: return DiskExtent(.zero, offset: offset, byteCount: found.byteCount)
        case .unallocated:
            guard let backing else { return DiskExtent(.unallocated, offset: offset, byteCount: found.byteCount) }
            let end = backing.byteCount
            // Behind a shorter backing image's end there are zeros, which the image itself provides.
            guard offset < end else { return DiskExtent(.unallocated, offset: offset, byteCount: found.byteCount) }
            return try backing.extent(at: offset, byteCount: min(found.byteCount, end - offset)).deeper()
        }
    }
}
