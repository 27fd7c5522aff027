/// The header of a qcow2 image (qcow2 specification, "Header" and "Header extensions"), checked.
///
/// Big-endian; the fields that change together lie in the first 512 bytes, which a disk writes as one.
struct QCOW2Header: Hashable, Sendable {
    static let magic: UInt32 = 0x5146_49FB
    static let dirty: UInt64 = 1 << 0
    static let corrupt: UInt64 = 1 << 1
    static let externalData: UInt64 = 1 << 2
    static let compressionType: UInt64 = 1 << 3
    static let extendedL2: UInt64 = 1 << 4
    static let lazyRefcounts: UInt64 = 1 << 0
    static let bitmapsConsistent: UInt64 = 1 << 0
    static let rawExternalData: UInt64 = 1 << 1
    /// The largest L1 and refcount tables that are believed.
    static let l1ByteLimit: UInt64 = 32 << 20
    static let refcountTableByteLimit: UInt64 = 8 << 20

    private enum ExtensionType {
        static let end: UInt32 = 0
        static let backingFormat: UInt32 = 0xE279_2ACA
        static let featureNames: UInt32 = 0x6803_F857
        static let bitmaps: UInt32 = 0x2385_2875
        static let encryption: UInt32 = 0x0537_BE77
        static let dataFile: UInt32 = 0x4441_5441
    }

    /// An extension that this code keeps and does not read.
    struct Extension: Hashable, Sendable {
        var type: UInt32
        var bytes: [UInt8]
    }

    var version: UInt32 = 3
    var backingPath: String?
    var clusterBits: UInt32 = 16
    var byteCount: UInt64 = 0
    var l1Count: UInt32 = 0
    var l1Offset: UInt64 = 0
    var refcountTableOffset: UInt64 = 0
    var refcountTableClusters: UInt32 = 0
    var snapshotCount: UInt32 = 0
    var snapshotsOffset: UInt64 = 0
    var incompatible: UInt64 = 0
    var compatible: UInt64 = 0
    var autoclear: UInt64 = 0
    var refcountOrder: UInt32 = 4
    var compression = ClusterCompression.zlib
    var backingFormat: String?
    var dataFilePath: String?
    /// The bitmaps extension's bytes, if there is one.
    var bitmaps: [UInt8]?
    var others: [Extension] = []

    init() {}

    var clusterByteCount: Int { 1 << Int(clusterBits) }
    var hasExtendedL2: Bool { incompatible & Self.extendedL2 != 0 }
    var hasExternalData: Bool { incompatible & Self.externalData != 0 }
    var isDirty: Bool { incompatible & Self.dirty != 0 }
    var isCorrupt: Bool { incompatible & Self.corrupt != 0 }
    var isLazy: Bool { compatible & Self.lazyRefcounts != 0 }
    var l2EntryByteCount: Int { hasExtendedL2 ? 16 : 8 }
    var l2EntryCount: Int { clusterByteCount / l2EntryByteCount }
    /// Bytes of the disk that one L2 table tells of.
    var l2Span: UInt64 { UInt64(l2EntryCount) << UInt64(clusterBits) }
    var refcountBits: Int { 1 << Int(refcountOrder) }
    var refcountLimit: UInt64 { refcountBits == 64 ? .max : (1 << UInt64(refcountBits)) - 1 }
    /// Clusters that one refcount block counts.
    var refcountBlockEntryCount: Int { clusterByteCount * 8 / refcountBits }
    /// L1 entries that a disk of `byteCount` needs.
    func l1CountNeeded(for byteCount: UInt64) -> UInt64 { (byteCount + l2Span - 1) / l2Span }

    /// Reads the header from the file's first bytes.
    init(_ file: any ImageFile) throws(DiskImageError) {
        let path = file.name
        func bad(_ problem: String) -> DiskImageError { .malformed(path: path, problem: problem) }
        let start = ByteBuffer(count: 112)
        try file.read(start, at: 0)
        guard start.load(UInt32.self, at: 0) == Self.magic else { throw bad("not a qcow2 image: no magic number") }
        version = start.load(UInt32.self, at: 4)
        guard version == 2 || version == 3 else {
            throw .unsupported(path: path, feature: "version \(version) of qcow2")
        }
        clusterBits = start.load(UInt32.self, at: 20)
        guard (9...21).contains(clusterBits) else { throw bad("cluster_bits \(clusterBits) is not 9 to 21") }
        byteCount = start.load(UInt64.self, at: 24)
        let cipher = start.load(UInt32.self, at: 32)
        guard cipher == 0 else { throw .unsupported(path: path, feature: "encryption by method \(cipher)") }
        l1Count = start.load(UInt32.self, at: 36)
        l1Offset = start.load(UInt64.self, at: 40)
        refcountTableOffset = start.load(UInt64.self, at: 48)
        refcountTableClusters = start.load(UInt32.self, at: 56)
        snapshotCount = start.load(UInt32.self, at: 60)
        snapshotsOffset = start.load(UInt64.self, at: 64)
        var headerByteCount: UInt32 = 72
        if version == 3 {
            incompatible = start.load(UInt64.self, at: 72)
            compatible = start.load(UInt64.self, at: 80)
            autoclear = start.load(UInt64.self, at: 88)
            refcountOrder = start.load(UInt32.self, at: 96)
            headerByteCount = start.load(UInt32.self, at: 100)
            guard headerByteCount >= 104, UInt64(headerByteCount) <= UInt64(clusterByteCount) else {
                throw bad("header length \(headerByteCount) is not 104 to \(clusterByteCount)")
            }
            guard headerByteCount % 8 == 0 else { throw bad("header length \(headerByteCount) is no multiple of 8") }
            guard refcountOrder <= 6 else { throw bad("refcount_order \(refcountOrder) is more than 6") }
            if incompatible & Self.compressionType != 0 || headerByteCount > 104 {
                guard headerByteCount > 104 else {
                    throw bad("a compression type is announced, but the header has \(headerByteCount) bytes")
                }
                let number = start.load(UInt8.self, at: 104)
                guard let type = ClusterCompression(rawValue: number) else {
                    throw .unsupported(path: path, feature: "compression type \(number)")
                }
                compression = type
            }
        }
        let first = ByteBuffer(count: clusterByteCount)
        try file.read(first, at: 0)
        try readExtensions(first, from: Int(headerByteCount), path)
        try checkFeatures(path)
        try readBackingPath(first, path)
        try checkTables(fileEnd: try file.byteCount, path)
    }

    private mutating func readExtensions(_ first: ByteBuffer, from start: Int, _ path: String) throws(DiskImageError) {
        var offset = start
        let backingOffset = first.load(UInt64.self, at: 8)
        let end = backingOffset > 0 && backingOffset < UInt64(first.count) ? Int(backingOffset) : first.count
        while offset + 8 <= end {
            let type = first.load(UInt32.self, at: offset)
            let count = Int(first.load(UInt32.self, at: offset + 4))
            offset += 8
            if type == ExtensionType.end { return }
            guard count <= end - offset else {
                let name = "0x" + String(type, radix: 16)
                throw .malformed(path: path, problem: "header extension \(name) of \(count) bytes leaves the header")
            }
            let bytes = first.array(offset..<offset + count)
            switch type {
            case ExtensionType.backingFormat: backingFormat = String(decoding: bytes, as: UTF8.self)
            case ExtensionType.dataFile: dataFilePath = String(decoding: bytes, as: UTF8.self)
            case ExtensionType.bitmaps: bitmaps = bytes
            case ExtensionType.encryption: throw .unsupported(path: path, feature: "encryption")
            case ExtensionType.featureNames: others.append(Extension(type: type, bytes: bytes))
            default: others.append(Extension(type: type, bytes: bytes))
            }
            offset += (count + 7) & ~7
        }
    }

    private func checkFeatures(_ path: String) throws(DiskImageError) {
        let known = Self.dirty | Self.corrupt | Self.externalData | Self.compressionType | Self.extendedL2
        let unknown = incompatible & ~known
        if unknown != 0 {
            let bit = unknown.trailingZeroBitCount
            let name = featureName(bit).map { " (\($0))" } ?? ""
            throw .unsupported(path: path, feature: "incompatible feature \(bit)\(name)")
        }
        if hasExtendedL2, clusterBits < 14 {
            throw .malformed(path: path, problem: "extended L2 entries with clusters of \(clusterByteCount) bytes")
        }
    }

    /// The name that the image gives an incompatible feature.
    private func featureName(_ bit: Int) -> String? {
        guard let table = others.first(where: { $0.type == ExtensionType.featureNames })?.bytes else { return nil }
        for start in stride(from: 0, to: table.count - 47, by: 48)
        where table[start] == 0 && Int(table[start + 1]) == bit {
            let name = table[start + 2..<start + 48].prefix { $0 != 0 }
            let isPlain = name.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
            return isPlain ? String(decoding: name, as: UTF8.self) : nil
        }
        return nil
    }

    private mutating func readBackingPath(_ first: ByteBuffer, _ path: String) throws(DiskImageError) {
        let offset = first.load(UInt64.self, at: 8)
        guard offset != 0 else { return }
        let count = first.load(UInt32.self, at: 16)
        guard count <= 1023, offset <= UInt64(first.count), UInt64(count) <= UInt64(first.count) - offset else {
            throw .malformed(path: path, problem: "a backing file name of \(count) bytes at \(offset)")
        }
        let bytes = first.array(Int(offset)..<Int(offset) + Int(count))
        guard !bytes.contains(0) else {
            throw .malformed(path: path, problem: "a zero byte in the backing file name of \(count) bytes at \(offset)")
        }
        backingPath = count == 0 ? nil : String(decoding: bytes, as: UTF8.self)
    }

    private func checkTables(fileEnd: UInt64, _ path: String) throws(DiskImageError) {
        func bad(_ problem: String) -> DiskImageError { .malformed(path: path, problem: problem) }
        guard byteCount <= UInt64(Int64.max) >> 1 else { throw bad("a virtual size of \(byteCount) bytes") }
        let mask = UInt64(clusterByteCount) - 1
        guard UInt64(l1Count) * 8 <= Self.l1ByteLimit else { throw bad("an L1 table of \(l1Count) entries") }
        guard UInt64(l1Count) >= l1CountNeeded(for: byteCount) else {
            throw bad("an L1 table of \(l1Count) entries for \(byteCount) bytes")
        }
        guard l1Offset & mask == 0, l1Offset <= UInt64(Int64.max) else { throw bad("an L1 table at \(l1Offset)") }
        if l1Count > 0 {
            guard l1Offset != 0, l1Offset < fileEnd || fileEnd == 0 else {
                throw bad("an L1 table at \(l1Offset), behind the file's end")
            }
        }
        guard refcountTableOffset & mask == 0, refcountTableOffset != 0, refcountTableOffset <= UInt64(Int64.max) else {
            throw bad("a refcount table at \(refcountTableOffset)")
        }
        let tableBytes = UInt64(refcountTableClusters) << UInt64(clusterBits)
        guard refcountTableClusters > 0, tableBytes <= Self.refcountTableByteLimit else {
            throw bad("a refcount table of \(refcountTableClusters) clusters")
        }
        guard snapshotsOffset & mask == 0, snapshotsOffset <= UInt64(Int64.max) else {
            throw bad("a snapshot table at \(snapshotsOffset)")
        }
        guard snapshotCount <= 65536 else { throw bad("\(snapshotCount) snapshots") }
        if l1Count > 0, l1Offset == refcountTableOffset { throw bad("L1 and refcount table both at \(l1Offset)") }
    }

    /// The header's first cluster.
    ///
    /// - Throws: ``DiskImageError/invalidOption(_:)`` where names and extensions do not fit.
    func encoded(path: String) throws(DiskImageError) -> ByteBuffer {
        let buffer = ByteBuffer(count: clusterByteCount)
        var bytes: [UInt8] = []
        func append<Word: FixedWidthInteger>(_ word: Word) {
            for shift in stride(from: Word.bitWidth - 8, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> Word(shift)))
            }
        }
        func append(_ type: UInt32, _ content: [UInt8]) {
            append(type)
            append(UInt32(content.count))
            bytes += content
            bytes += [UInt8](repeating: 0, count: (8 - content.count % 8) % 8)
        }
        let backing = Array((backingPath ?? "").utf8)
        append(Self.magic)
        append(version)
        append(0 as UInt64)  // backing file: below
        append(UInt32(backing.count))
        append(clusterBits)
        append(byteCount)
        append(0 as UInt32)
        append(l1Count)
        append(l1Offset)
        append(refcountTableOffset)
        append(refcountTableClusters)
        append(snapshotCount)
        append(snapshotsOffset)
        if version == 3 {
            append(incompatible)
            append(compatible)
            append(autoclear)
            append(refcountOrder)
            append(112 as UInt32)
            append(UInt64(compression.rawValue) << 56)
        }
        if let backingFormat, backingPath != nil { append(ExtensionType.backingFormat, Array(backingFormat.utf8)) }
        if let dataFilePath { append(ExtensionType.dataFile, Array(dataFilePath.utf8)) }
        if let bitmaps { append(ExtensionType.bitmaps, bitmaps) }
        for other in others { append(other.type, other.bytes) }
        append(ExtensionType.end, [])
        if backingPath != nil {
            let offset = UInt64(bytes.count)
            for index in 0..<8 { bytes[8 + index] = UInt8(truncatingIfNeeded: offset >> UInt64(56 - index * 8)) }
            bytes += backing
        }
        guard bytes.count <= clusterByteCount, backing.count <= 1023 else {
            throw .invalidOption("the header of \(path) does not fit into a cluster of \(clusterByteCount) bytes")
        }
        unsafe buffer.bytes.copyBytes(from: bytes)
        return buffer
    }

    /// Puts the fields that change in place into a first cluster as the file has it.
    func patch(_ first: ByteBuffer) {
        first.store(byteCount, at: 24)
        first.store(l1Count, at: 36)
        first.store(l1Offset, at: 40)
        first.store(refcountTableOffset, at: 48)
        first.store(refcountTableClusters, at: 56)
        first.store(snapshotCount, at: 60)
        first.store(snapshotsOffset, at: 64)
        guard version == 3 else { return }
        first.store(incompatible, at: 72)
        first.store(compatible, at: 80)
        first.store(autoclear, at: 88)
    }
}
