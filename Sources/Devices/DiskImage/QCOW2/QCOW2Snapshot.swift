/// A record of the snapshot table (qcow2 specification, "Snapshots").
struct QCOW2Snapshot: Hashable, Sendable {
    var l1Offset: UInt64
    var l1Count: UInt32
    var identifier: String
    var name: String
    var seconds: UInt32
    var nanoseconds: UInt32 = 0
    /// How long the guest had run, in nanoseconds.
    var guestClock: UInt64 = 0
    var stateByteCount: UInt64 = 0
    /// Nil where the record does not tell: the size never changed.
    var diskByteCount: UInt64?
    /// What follows the fields of the extra data that are known here.
    var extra: [UInt8] = []

    /// The largest table that is believed, and the largest sum of L1 tables.
    static let tableByteLimit: UInt64 = 64 << 20

    /// The table that a header names, and its length in bytes.
    static func table(
        _ header: QCOW2Header,
        _ file: any ImageFile
    ) throws(DiskImageError) -> (snapshots: [QCOW2Snapshot], byteCount: UInt64) {
        func bad(_ problem: String) -> DiskImageError { .malformed(path: file.name, problem: problem) }
        guard header.snapshotCount > 0 else { return ([], 0) }
        let fileEnd = try file.byteCount
        let start = header.snapshotsOffset
        guard start > 0, start < fileEnd else {
            throw bad("a snapshot table at \(start) in a file of \(fileEnd) bytes")
        }
        var snapshots: [QCOW2Snapshot] = []
        var offset = start
        var l1Bytes: UInt64 = 0
        for number in 0..<header.snapshotCount {
            guard offset + 40 <= fileEnd, offset - start <= tableByteLimit else {
                throw bad("snapshot \(number) of \(header.snapshotCount) lies behind the end of its table")
            }
            let fixed = ByteBuffer(count: 40)
            try file.read(fixed, at: offset)
            let identifierCount = Int(fixed.load(UInt16.self, at: 12))
            let nameCount = Int(fixed.load(UInt16.self, at: 14))
            let extraCount = Int(fixed.load(UInt32.self, at: 36))
            guard extraCount <= 1024 else { throw bad("snapshot \(number) with extra data of \(extraCount) bytes") }
            let rest = ByteBuffer(count: extraCount + identifierCount + nameCount)
            try file.read(rest, at: offset + 40)
            var snapshot = QCOW2Snapshot(
                l1Offset: fixed.load(UInt64.self, at: 0),
                l1Count: fixed.load(UInt32.self, at: 8),
                identifier: rest.text(extraCount..<extraCount + identifierCount),
                name: rest.text(extraCount + identifierCount..<rest.count),
                seconds: fixed.load(UInt32.self, at: 16),
                nanoseconds: fixed.load(UInt32.self, at: 20),
                guestClock: fixed.load(UInt64.self, at: 24),
                stateByteCount: UInt64(fixed.load(UInt32.self, at: 32))
            )
            if extraCount >= 8 { snapshot.stateByteCount = rest.load(UInt64.self, at: 0) }
            if extraCount >= 16 {
                snapshot.diskByteCount = rest.load(UInt64.self, at: 8)
                snapshot.extra = rest.array(16..<extraCount)
            }
            let size = UInt64(snapshot.l1Count) * 8
            l1Bytes += size
            guard snapshot.l1Offset & (UInt64(header.clusterByteCount) - 1) == 0, size <= QCOW2Header.l1ByteLimit,
                l1Bytes <= tableByteLimit * 16, snapshot.l1Count == 0 || snapshot.l1Offset < fileEnd
            else {
                throw bad("snapshot \(number) with an L1 table of \(snapshot.l1Count) entries at \(snapshot.l1Offset)")
            }
            snapshots.append(snapshot)
            offset += UInt64(40 + rest.count + 7) & ~7
        }
        return (snapshots, offset - start)
    }

    /// The record as the table has it, padded to 8 bytes.
    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        func append<Word: FixedWidthInteger>(_ word: Word) {
            for shift in stride(from: Word.bitWidth - 8, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> Word(shift)))
            }
        }
        append(l1Offset)
        append(l1Count)
        append(UInt16(clamping: identifier.utf8.count))
        append(UInt16(clamping: name.utf8.count))
        append(seconds)
        append(nanoseconds)
        append(guestClock)
        append(UInt32(truncatingIfNeeded: min(stateByteCount, UInt64(UInt32.max))))
        append(UInt32(diskByteCount == nil ? 8 : 16 + extra.count))
        append(stateByteCount)
        if let diskByteCount {
            append(diskByteCount)
            bytes += extra
        }
        bytes += Array(identifier.utf8.prefix(65535)) + Array(name.utf8.prefix(65535))
        return bytes + [UInt8](repeating: 0, count: (8 - bytes.count % 8) % 8)
    }
}
