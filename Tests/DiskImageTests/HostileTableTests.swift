import Glibc
import Testing

@testable import DiskImage

/// One damage, how the image is used, and what the refusal says.
struct HostileCase: CustomTestStringConvertible, Sendable {
    enum Use: Sendable {
        case read
        case write
        case check
    }
    let testDescription: String
    let use: Use
    let words: String
    let damage: @Sendable (inout HostileImage) -> Void

    init(
        _ name: String,
        _ words: String,
        _ use: Use = .read,
        _ damage: @escaping @Sendable (inout HostileImage) -> Void
    ) {
        testDescription = name
        self.words = words
        self.use = use
        self.damage = damage
    }
}

/// The bytes of an image of clusters of 4 KiB, with a snapshot, and the places that can be damaged.
struct HostileImage {
    var bytes: [UInt8]
    let header: QCOW2Header
    let l2Offset: Int
    let snapshotsOffset: Int

    init(_ change: (inout QCOW2CreateOptions) -> Void = { _ in }) throws {
        bytes = try HostileImageTests.sample(change)
        header = try QCOW2Header(RecordingFile(bytes))
        let l1 = Int(header.l1Offset)
        l2Offset = Int(bytes[l1..<l1 + 8].reduce(0) { $0 << 8 | UInt64($1) } & QCOW2Entry.offsetMask)
        snapshotsOffset = Int(header.snapshotsOffset)
    }

    mutating func put(_ value: UInt64, _ count: Int, at offset: Int) {
        HostileImageTests.put(value, count, at: offset, &bytes)
    }
    func word(at offset: Int) -> UInt64 { bytes[offset..<offset + 8].reduce(0) { $0 << 8 | UInt64($1) } }
    mutating func putL2(_ index: Int, _ entry: UInt64) { put(entry, 8, at: l2Offset + index * 8) }
    /// A header extension of this type that says to be `count` bytes long.
    mutating func putExtension(_ type: UInt64, _ count: UInt64) {
        put(type, 4, at: 112)
        put(count, 4, at: 116)
        put(0, 8, at: 120)
    }
    /// Puts a stream at the file's end; its entry takes `sectors` more sectors than one.
    mutating func compressed(_ stream: [UInt8], sectors: UInt64) -> UInt64 {
        bytes += [UInt8](repeating: 0, count: (4096 - bytes.count % 4096) % 4096)
        let place = UInt64(bytes.count)
        bytes += stream + [UInt8](repeating: 0, count: 4096 - stream.count)
        return QCOW2Entry.compressed | sectors << 58 | place
    }
}

@Suite struct HostileTableTests {
    static let cases: [HostileCase] = [
        HostileCase("clusters of 256 bytes", "cluster_bits 8 is not") { $0.put(8, 4, at: 20) },
        HostileCase("clusters of 4 MiB", "cluster_bits 22 is not") { $0.put(22, 4, at: 20) },
        HostileCase("counts of 128 bits", "refcount_order 7 is more") { $0.put(7, 4, at: 96) },
        HostileCase("counts of 2^255 bits", "refcount_order 255 is more") { $0.put(255, 4, at: 96) },
        HostileCase("an L1 table behind the end", "L1 table at 1073741824, behind") { $0.put(1 << 30, 8, at: 40) },
        HostileCase("an L1 table that reaches behind the end", "L1 table of 4000000 entries") {
            $0.put(4_000_000, 4, at: 36)
        },
        HostileCase("a refcount table behind the end", "refcount table of") { $0.put(1 << 40, 8, at: 48) },
        HostileCase("a refcount table of 2^32 clusters", "refcount table of 4294967295 clusters") {
            $0.put(0xFFFF_FFFF, 4, at: 56)
        },
        HostileCase("no refcount table", "refcount table of 0 clusters") { $0.put(0, 4, at: 56) },
        HostileCase("encryption", "encryption by method 2") { $0.put(2, 4, at: 32) },
        HostileCase("LUKS", "encryption") { $0.putExtension(0x0537_BE77, 16) },
        HostileCase("an extension of 4 GiB", "0xabcd of 4294967295 bytes leaves") {
            $0.putExtension(0xABCD, 0xFFFF_FFFF)
        },
        HostileCase("an extension longer than the header", "0xe2792aca of 5000 bytes leaves") {
            $0.putExtension(0xE279_2ACA, 5000)
        },
        HostileCase("a data file without a name", "external data", .write) { $0.put(1 << 2, 8, at: 72) },
        HostileCase("a header longer than a cluster", "header length 8192 is not") { $0.put(8192, 4, at: 100) },
        HostileCase("a compression type that is missing", "the header has 104 bytes") {
            $0.put(104, 4, at: 100)
            $0.put(1 << 3, 8, at: 72)
        },
        HostileCase("a backing name behind the first cluster", "backing file name of 20 bytes at 4090") {
            $0.put(4090, 8, at: 8)
            $0.put(20, 4, at: 16)
        },
        HostileCase("a backing name of 4 GiB", "backing file name of 4294967295 bytes at 200") {
            $0.put(200, 8, at: 8)
            $0.put(0xFFFF_FFFF, 4, at: 16)
        },
        HostileCase("a backing name with a zero byte", "zero byte in the backing file name of 4 bytes at 2000") {
            $0.put(2000, 8, at: 8)
            $0.put(4, 4, at: 16)
        },
        HostileCase("65537 snapshots", "65537 snapshots") { $0.put(65537, 4, at: 60) },
        HostileCase("snapshots behind the end", "snapshot table at 1073741824 in a file of") {
            $0.put(1 << 30, 8, at: 64)
        },
        HostileCase("a snapshot table that ends early", "with an L1 table of 65538 entries at") {
            $0.put(60000, 4, at: 60)
        },
        HostileCase("a snapshot with extra data of 4 GiB", "snapshot 0 with extra data of 4294967295 bytes") {
            $0.put(0xFFFF_FFFF, 4, at: $0.snapshotsOffset + 36)
        },
        HostileCase("a snapshot's L1 table of 2^32 entries", "snapshot 0 with an L1 table of 4294967295 entries") {
            $0.put(0xFFFF_FFFF, 4, at: $0.snapshotsOffset + 8)
        },
        HostileCase("a snapshot's L1 table off the grid", "snapshot 0 with an L1 table of 1 entries at 513") {
            $0.put(513, 8, at: $0.snapshotsOffset)
        },
        HostileCase("a snapshot's L1 table on the active one", "overlaps other metadata", .write) {
            $0.put($0.header.l1Offset, 8, at: $0.snapshotsOffset)
        },
        HostileCase("an L2 table behind the end", "L2 table at 1073741824 in a file of") {
            $0.put(1 << 30 | 1 << 63, 8, at: Int($0.header.l1Offset))
        },
        HostileCase("an L2 table off the grid", "L2 table at 4608 in a file of") {
            $0.put(4608 | 1 << 63, 8, at: Int($0.header.l1Offset))
        },
        HostileCase("a refcount block behind the end", "refcount block at 1073741824 in a file of", .write) {
            $0.put(1 << 30, 8, at: Int($0.header.refcountTableOffset))
        },
        HostileCase("a refcount block on the L1 table", "overlaps other metadata", .write) {
            $0.put($0.header.l1Offset, 8, at: Int($0.header.refcountTableOffset))
        },
        HostileCase("a data cluster behind the end", "data cluster at 1073741824 in a file of") {
            $0.putL2(1, 1 << 30 | 1 << 63)
        },
        HostileCase("a data cluster off the grid", "data cluster at 4608, which is not aligned") {
            $0.putL2(1, 4608 | 1 << 63)
        },
        HostileCase("data clusters that overlap", "refcount=2 reference=3", .check) {
            $0.putL2(1, $0.word(at: $0.l2Offset + 8 * 2))
        },
        HostileCase("a compressed cluster behind the end", "compressed cluster at 1073741824 in a file of") {
            $0.putL2(1, 1 << 62 | 1 << 30)
        },
        HostileCase("a stream that gives too little", "no zlib stream") {
            // A stored block of two bytes, the last one.
            $0.putL2(1, $0.compressed([1, 2, 0, 0xFD, 0xFF, 7, 7], sectors: 0))
        },
        HostileCase("a stream that is cut", "no zlib stream") {
            // A stored block of 4096 bytes of which a sector is there.
            let entry = $0.compressed([1, 0, 0x10, 0xFF, 0xEF] + [UInt8](repeating: 9, count: 500), sectors: 0)
            $0.putL2(1, entry)
        },
        HostileCase("a block type that is none", "no zlib stream") {
            $0.putL2(1, $0.compressed([7, 7, 7], sectors: 0))
        },
    ]

    @Test(arguments: cases) func `A damaged table is refused with the file and the value`(_ test: HostileCase) throws {
        var image = try HostileImage()
        test.damage(&image)
        let file = RecordingFile(image.bytes, name: "bad.qcow2")
        #expect {
            let opened = try QCOW2Image(file, header: QCOW2Header(file), isReadOnly: test.use != .write)
            if test.use == .check {
                let report = try opened.check()
                throw DiskImageError.malformed(path: file.name, problem: report.problems.joined(separator: ", "))
            }
            _ = try opened.bytes(at: 0, Int(opened.byteCount))
        } throws: { error in
            let text = "\(error)"
            let isRight = text.contains("bad.qcow2") && text.contains(test.words) && error is DiskImageError
            if !isRight { Issue.record("said: \(text)") }
            return isRight
        }
    }

    @Test(
        arguments: [
            "json:{\"driver\":\"file\",\"filename\":\"/etc/hostname\"}", "nbd:localhost:10809", "ssh://host/x",
            "http://host/disk", "rbd:pool/image", "fat:rw:/etc", "host_device:/dev/sda", "blkdebug::/etc/hostname",
        ]
    )
    func `A backing name that QEMU takes for a protocol is refused`(name: String) throws {
        let path = PeerTool.temporaryPath("protocol-\(name.utf8.count)-\(name.prefix(3)).qcow2")
        defer { unlink(path) }
        var options = QCOW2CreateOptions(byteCount: 1 << 20)
        options.backingPath = name
        options.backingFormat = .raw
        try DiskImageOperation.create(path, qcow2: options)
        #expect { _ = try OpenedDiskImage(path: path, DiskImageOptions(isReadOnly: true)) } throws: {
            "\($0)".contains(path) && "\($0)".contains("'\(name.prefix(64))'")
        }
    }

    @Test func `A loop is named as one where the image is opened for writing too`() throws {
        let path = PeerTool.temporaryPath("own.qcow2")
        defer { unlink(path) }
        var options = QCOW2CreateOptions(byteCount: 1 << 20)
        options.backingPath = path
        options.backingFormat = .qcow2
        try DiskImageOperation.create(path, qcow2: options)
        #expect(throws: DiskImageError.backingLoop(path: path)) { _ = try OpenedDiskImage(path: path) }
    }

    @Test func `A chain that is too deep is refused`() throws {
        let folder = PeerTool.memoryFolder("deep")
        defer { PeerTool.remove(folder) }
        for number in 0...OpenedDiskImage.depthLimit + 1 {
            var options = QCOW2CreateOptions(byteCount: 1 << 20)
            options.clusterBits = 9
            if number <= OpenedDiskImage.depthLimit {
                options.backingPath = "\(number + 1)"
                options.backingFormat = .qcow2
            }
            try DiskImageOperation.create("\(folder)/\(number)", qcow2: options)
        }
        let limit = OpenedDiskImage.depthLimit
        #expect(throws: DiskImageError.backingTooDeep(path: "\(folder)/\(limit + 1)", limit: limit)) {
            _ = try OpenedDiskImage(path: "\(folder)/0", DiskImageOptions(isReadOnly: true))
        }
        _ = try OpenedDiskImage(path: "\(folder)/1", DiskImageOptions(isReadOnly: true))
    }

    @Test func `A stream that goes on behind its cluster is cut`() throws {
        var image = try HostileImage()
        // Fixed codes: one literal 'a', then matches of 258 bytes at distance 1, far more than a cluster.
        var bits: [UInt8] = [1, 1, 0]
        func code(_ value: Int, _ count: Int) {
            for bit in (0..<count).reversed() { bits.append(UInt8(value >> bit & 1)) }
        }
        code(0x30 + 97, 8)
        for _ in 0..<100 {
            code(0b1100_0101, 8)
            code(0, 5)
        }
        code(0, 7)
        var stream = [UInt8](repeating: 0, count: bits.count / 8 + 1)
        for (index, bit) in bits.enumerated() { stream[index / 8] |= bit << UInt8(index % 8) }
        image.putL2(1, image.compressed(stream, sectors: 1))
        let file = RecordingFile(image.bytes)
        let opened = try QCOW2Image(file, header: QCOW2Header(file), isReadOnly: true)
        #expect(try opened.bytes(at: 4096, 4096) == [UInt8](repeating: 97, count: 4096))
    }
}
