/// A snapshot inside an image, as lists show it.
public struct DiskSnapshot: Hashable, Sendable {
    public let identifier: String
    public let name: String
    /// Since 1970.
    public let seconds: UInt32
    public let nanoseconds: UInt32
    public let guestClockNanoseconds: UInt64
    public let stateByteCount: UInt64
}

extension QCOW2Image {
    public var snapshotList: [DiskSnapshot] {
        metadata.withLock {
            snapshots.map {
                DiskSnapshot(
                    identifier: $0.identifier,
                    name: $0.name,
                    seconds: $0.seconds,
                    nanoseconds: $0.nanoseconds,
                    guestClockNanoseconds: $0.guestClock,
                    stateByteCount: $0.stateByteCount
                )
            }
        }
    }

    /// Keeps the disk as it is under a name.
    public func createSnapshot(name: String, seconds: UInt32, nanoseconds: UInt32 = 0) throws(DiskImageError) {
        guard !name.isEmpty, name.utf8.count <= 255 else {
            throw .invalidOption("a snapshot's name has 1 to 255 bytes, not \(name.utf8.count)")
        }
        try change { () throws(DiskImageError) in
            guard snapshots.count < 65535 else { throw .invalidOption("\(path) has \(snapshots.count) snapshots") }
            let number = snapshots.compactMap { UInt64($0.identifier) }.max() ?? 0
            // The snapshot takes the active L1 table over; the active disk is given a new one.
            let new = QCOW2Snapshot(
                l1Offset: header.l1Offset,
                l1Count: header.l1Count,
                identifier: "\(number &+ 1)",
                name: name,
                seconds: seconds,
                nanoseconds: nanoseconds,
                diskByteCount: header.byteCount,
                extra: header.version >= 3 ? [UInt8](repeating: 0xFF, count: 8) : []
            )
            try rebuild(snapshots: snapshots + [new])
        }
    }

    /// Makes the disk what it was when the snapshot was made.
    ///
    /// `name`: An identifier or a name; identifiers come first.
    public func applySnapshot(_ name: String) throws(DiskImageError) {
        try change { () throws(DiskImageError) in
            let snapshot = snapshots[try index(ofSnapshot: name)]
            let byteCount = snapshot.diskByteCount ?? header.byteCount
            var words = try table(at: snapshot.l1Offset, count: Int(snapshot.l1Count), "snapshot's L1 table")
            let needed = header.l1CountNeeded(for: byteCount)
            guard byteCount <= UInt64(Int64.max) >> 1, needed * 8 <= QCOW2Header.l1ByteLimit else {
                throw malformed("snapshot '\(snapshot.name)' of \(byteCount) bytes")
            }
            if words.count < Int(needed) { words += [UInt64](repeating: 0, count: Int(needed) - words.count) }
            try rebuild(l1: words, byteCount: byteCount)
        }
    }

    /// Lets an image that is only read show what a snapshot kept.
    public func show(snapshot name: String) throws(DiskImageError) {
        guard isReadOnly else { throw .invalidOption("\(path) is open for writing: its snapshots are applied") }
        try metadata.withLock { () throws(DiskImageError) in
            let snapshot = snapshots[try index(ofSnapshot: name)]
            let byteCount = snapshot.diskByteCount ?? header.byteCount
            guard byteCount <= UInt64(Int64.max) >> 1 else {
                throw malformed("snapshot '\(snapshot.name)' of \(byteCount) bytes")
            }
            l1 = try table(at: snapshot.l1Offset, count: Int(snapshot.l1Count), "snapshot's L1 table")
            header.byteCount = byteCount
        }
    }

    public func deleteSnapshot(_ name: String) throws(DiskImageError) {
        try change { () throws(DiskImageError) in
            var rest = snapshots
            rest.remove(at: try index(ofSnapshot: name))
            try rebuild(snapshots: rest)
        }
    }

    private func index(ofSnapshot name: String) throws(DiskImageError) -> Int {
        guard
            let index = snapshots.firstIndex(where: { $0.identifier == name })
                ?? snapshots.firstIndex(where: { $0.name == name })
        else { throw .noSuchSnapshot(path: path, name: name) }
        return index
    }

    /// Does something to all of the image, with nobody else in it and nothing dirty.
    func change(_ body: () throws(DiskImageError) -> Void) throws(DiskImageError) {
        guard !isReadOnly else { throw .readOnly(path: path) }
        try gate.exclusive { () throws(DiskImageError) in
            try allocation.withLock { () throws(DiskImageError) in
                try commit()
                try metadata.withLock { () throws(DiskImageError) in try body() }
            }
        }
    }

    /// Forgets all that the active disk says, so that its backing image shows.
    public func makeEmpty() throws(DiskImageError) {
        try change { () throws(DiskImageError) in
            try rebuild(l1: [UInt64](repeating: 0, count: l1.count))
        }
    }

    /// Changes the size of the disk; new bytes read as zeros.
    public func resize(to byteCount: UInt64) throws(DiskImageError) {
        guard !isReadOnly else { throw .readOnly(path: path) }
        guard byteCount % 512 == 0, byteCount <= UInt64(Int64.max) >> 1 else {
            throw .invalidOption("\(byteCount) is no possible size of \(path)")
        }
        let old = self.byteCount
        guard byteCount != old else { return }
        if header.version < 3, !snapshots.isEmpty {
            throw .unsupported(path: path, feature: "another size beside snapshots in version 2")
        }
        let needed = header.l1CountNeeded(for: byteCount)
        guard needed * 8 <= QCOW2Header.l1ByteLimit else {
            throw .invalidOption(
                "\(byteCount) bytes are too many for \(path) with clusters of \(clusterByteCount) bytes"
            )
        }
        if byteCount < old {
            let kept = (byteCount + clusterMask) & ~clusterMask
            // The rest of the last cluster must read as zeros if the disk grows again.
            if kept > byteCount, kept <= old {
                try writeZeroes(at: byteCount, byteCount: kept - byteCount, mayUnmap: true)
            }
            if kept < old { try discard(at: kept, byteCount: old - kept) }
        } else if Int(needed) > l1.count {
            try change { () throws(DiskImageError) in
                try rebuild(l1: l1 + [UInt64](repeating: 0, count: Int(needed) - l1.count))
            }
        }
        if byteCount > old, let backing, backing.byteCount > old {
            // What the backing image holds there was never part of this disk.
            let start = (old + clusterMask) & ~clusterMask
            let end = (min(byteCount, backing.byteCount) + clusterMask) & ~clusterMask
            try gate.exclusive { () throws(DiskImageError) in
                if start < end { try drop(start, end, keepsSpace: false, mustRead: true) }
            }
        }
        try flush()
        try change { () throws(DiskImageError) in
            header.byteCount = byteCount
            try writeHeader()
            try file.flush()
        }
        if byteCount > old, old & clusterMask != 0, let backing, backing.byteCount > old {
            let end = min(byteCount, (old + clusterMask) & ~clusterMask)
            try writeZeroes(at: old, byteCount: end - old, mayUnmap: true)
        }
    }

    /// Names another backing image; nothing else changes.
    public func setBacking(path backingPath: String?, format: String?) throws(DiskImageError) {
        try change { () throws(DiskImageError) in
            var new = header
            new.backingPath = backingPath
            new.backingFormat = format
            _ = try new.encoded(path: path)
            header = new
            try rewriteHeader()
            try file.flush()
        }
    }
}
