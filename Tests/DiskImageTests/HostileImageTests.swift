import Glibc
import Testing

@testable import DiskImage

@Suite struct HostileImageTests {
    /// An image of 1 MiB with some data, as bytes.
    static func sample(_ change: (inout QCOW2CreateOptions) -> Void = { _ in }) throws -> [UInt8] {
        var options = QCOW2CreateOptions(byteCount: 1 << 20)
        options.clusterBits = 12
        change(&options)
        let file = RecordingFile()
        try QCOW2Builder(file, options).finish()
        let image = try QCOW2Image(file, header: QCOW2Header(file), isReadOnly: false)
        try image.store([UInt8](repeating: 5, count: 20000), at: 8192)
        try image.createSnapshot(name: "one", seconds: 1)
        try image.store([UInt8](repeating: 6, count: 5000), at: 100_000)
        try image.close()
        return file.bytes
    }

    static func put(_ value: UInt64, _ count: Int, at offset: Int, _ bytes: inout [UInt8]) {
        for index in 0..<count {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64((count - 1 - index) * 8))
        }
    }

    private func open(_ bytes: [UInt8], isReadOnly: Bool = true) throws {
        let file = RecordingFile(bytes, name: "bad.qcow2")
        let image = try QCOW2Image(file, header: QCOW2Header(file), isReadOnly: isReadOnly)
        _ = try image.bytes(at: 0, Int(image.byteCount))
    }

    @Test(
        arguments: [
            (0, 4, 1, "not a qcow2 image"), (4, 4, 7, "version 7"), (20, 4, 40, "cluster_bits 40"),
            (24, 8, UInt64.max, "virtual size"), (32, 4, 1, "encryption"),
            (36, 4, 0xFFFF_FFFF, "L1 table of 4294967295"),
            (36, 4, 0, "L1 table of 0 entries"), (40, 8, 0x123, "L1 table at 291"),
            (40, 8, 1 << 40, "behind the file's end"),
            (48, 8, 0, "refcount table at 0"), (48, 8, 1 << 50, "refcount table"),
            (56, 4, 1 << 30, "refcount table of"),
            (60, 4, 0xFFFF_FFFF, "4294967295 snapshots"), (64, 8, 1 << 41, "snapshot table at"),
            (72, 8, 1 << 63, "incompatible feature 63"), (72, 8, 1 << 5, "incompatible feature 5"),
            (96, 4, 7, "refcount_order 7"), (100, 4, 8, "header length 8"), (100, 4, 105, "header length 105"),
            (104, 1, 9, "compression type 9"), (16, 4, 4000, ""),
        ] as [(Int, Int, UInt64, String)]
    )
    func `A header field with an absurd value is refused by name`(
        offset: Int,
        count: Int,
        value: UInt64,
        words: String
    ) throws {
        var bytes = try Self.sample()
        Self.put(value, count, at: offset, &bytes)
        if words.isEmpty {
            Self.put(112, 8, at: 8, &bytes)
        }
        #expect {
            try open(bytes)
        } throws: { error in
            let text = "\(error)"
            return text.contains("bad.qcow2") && text.contains(words.isEmpty ? "backing file name of 4000" : words)
        }
    }

    @Test func `Tables that overlap are refused for writing`() throws {
        var bytes = try Self.sample()
        let file = RecordingFile(bytes)
        let header = try QCOW2Header(file)
        // The L1 table's first entry leads to the refcount table.
        Self.put(header.refcountTableOffset | QCOW2Entry.copied, 8, at: Int(header.l1Offset), &bytes)
        #expect { try open(bytes, isReadOnly: false) } throws: { "\($0)".contains("overlaps other metadata") }
    }

    @Test func `A data cluster on metadata is never written to, and marks the image`() throws {
        let bytes = try Self.sample()
        let file = RecordingFile(bytes)
        let header = try QCOW2Header(file)
        let image = try QCOW2Image(file, header: header, isReadOnly: false)
        let table = Int(image.l1[0] & QCOW2Entry.offsetMask)
        var damaged = file.bytes
        Self.put(header.l1Offset | QCOW2Entry.copied, 8, at: table + 8 * 5, &damaged)
        let bad = RecordingFile(damaged)
        let other = try QCOW2Image(bad, header: QCOW2Header(bad), isReadOnly: false)
        #expect { try other.store([1, 2, 3], at: 5 * 4096) } throws: { "\($0)".contains("holds metadata") }
        #expect(try QCOW2Header(bad).isCorrupt)
        #expect { _ = try QCOW2Image(bad, header: QCOW2Header(bad), isReadOnly: false) } throws: {
            "\($0)".contains("marked corrupt")
        }
        #expect(try QCOW2Image(bad, header: QCOW2Header(bad), isReadOnly: true).check().corruptionCount > 0)
    }

    @Test func `A cluster that counts as free though it is used is not handed out`() throws {
        var bytes = try Self.sample()
        let header = try QCOW2Header(RecordingFile(bytes))
        let block = bytes[Int(header.refcountTableOffset)..<Int(header.refcountTableOffset) + 8]
            .reduce(0) { $0 << 8 | Int($1) }
        for place in block..<block + 4096 { bytes[place] = 0 }
        let file = RecordingFile(bytes)
        let image = try QCOW2Image(file, header: QCOW2Header(file), isReadOnly: false)
        #expect { try image.store([1], at: 900_000) } throws: { "\($0)".contains("holds metadata") }
        #expect(try QCOW2Image(file, header: QCOW2Header(file), isReadOnly: true).check().corruptionCount > 0)
    }

    @Test func `A compressed cluster that is no stream is refused`() throws {
        let file = RecordingFile()
        var options = QCOW2CreateOptions(byteCount: 1 << 20)
        options.clusterBits = 12
        let builder = try QCOW2Builder(file, options)
        let noise = [UInt8](repeating: 0xFF, count: 100)
        try noise.withUnsafeBytes { try builder.writeCompressed($0, [(0, 100)]) }
        try builder.finish()
        #expect { try open(file.bytes) } throws: { "\($0)".contains("that is no zlib stream") }
    }

    @Test func `Backing files that name each other are refused`() throws {
        let (one, two) = (PeerTool.temporaryPath("loop1"), PeerTool.temporaryPath("loop2"))
        defer {
            unlink(one)
            unlink(two)
        }
        for (path, other) in [(one, two), (two, one)] {
            var options = QCOW2CreateOptions(byteCount: 1 << 20)
            options.backingPath = other
            options.backingFormat = .qcow2
            try DiskImageOperation.create(path, qcow2: options)
        }
        #expect(throws: DiskImageError.backingLoop(path: one)) {
            _ = try OpenedDiskImage(path: one, DiskImageOptions(isReadOnly: true))
        }
    }

    @Test func `A backing file outside the given folder is refused, links followed`() throws {
        let folder = PeerTool.temporaryPath("folder")
        mkdir(folder, 0o755)
        let (path, link) = (folder + "/a.qcow2", folder + "/link")
        symlink("/etc/hostname", link)
        defer {
            unlink(path)
            unlink(link)
            rmdir(folder)
        }
        for name in ["/etc/hostname", "../../etc/hostname", "link"] {
            var options = QCOW2CreateOptions(byteCount: 1 << 20)
            options.backingPath = name
            options.backingFormat = .raw
            try DiskImageOperation.create(path, qcow2: options)
            #expect {
                _ = try OpenedDiskImage(path: path, DiskImageOptions(isReadOnly: true, folder: folder))
            } throws: {
                "\($0)".contains("lies outside \(folder)") || "\($0)".contains("realpath")
            }
        }
    }

    @Test func `A guessed backing format leads to no further files`() throws {
        let (path, base) = (PeerTool.temporaryPath("guess.qcow2"), PeerTool.temporaryPath("guess.img"))
        defer {
            unlink(path)
            unlink(base)
        }
        var options = QCOW2CreateOptions(byteCount: 1 << 20)
        options.backingPath = "/etc/hostname"
        options.backingFormat = .raw
        try DiskImageOperation.create(base, qcow2: options)
        options.backingPath = base
        options.backingFormat = nil
        try DiskImageOperation.create(path, qcow2: options)
        #expect { _ = try OpenedDiskImage(path: path, DiskImageOptions(isReadOnly: true)) } throws: {
            "\($0)".contains("only guessed")
        }
    }

    @Test func `Random damage is answered by errors or by bytes`() throws {
        let samples = [try Self.sample(), try Self.sample { $0.version = 2 }, try Self.sample { $0.clusterBits = 9 }]
        var opened = 0
        for seed in 0..<600 {
            var random = SeededRandom(UInt64(seed))
            var bytes = samples[seed % 3]
            DiskDamage.apply(&bytes, &random)
            if DiskDamage.use(bytes, &random) { opened += 1 }
        }
        #expect(opened > 20)
    }
}

/// Damage that the fuzzer does too.
enum DiskDamage {
    static func apply(_ bytes: inout [UInt8], _ random: inout SeededRandom) {
        for _ in 0...random.below(6) {
            let count = [1, 2, 4, 8][random.below(4)]
            let limit = random.below(3) == 0 ? 512 : bytes.count
            let place = random.below(max(1, min(limit, bytes.count) - 8)) & ~(count - 1)
            let value: UInt64 =
                switch random.below(5) {
                case 0: 1 << UInt64(random.below(64))
                case 1: .max &- UInt64(random.below(16))
                case 2: UInt64(random.below(bytes.count)) & ~511
                case 3: UInt64(random.below(bytes.count)) & ~511 | 1 << 63
                default: random.next()
                }
            HostileImageTests.put(value, count, at: place, &bytes)
        }
    }

    /// - Returns: Whether it opened.
    static func use(_ bytes: [UInt8], _ random: inout SeededRandom) -> Bool {
        let file = RecordingFile(bytes)
        do {
            let header = try QCOW2Header(file)
            guard header.byteCount < 1 << 30 else { return false }
            let reader = try QCOW2Image(file, header: header, isReadOnly: true)
            _ = try reader.check()
            do { _ = try reader.bytes(at: 0, Int(min(header.byteCount, 1 << 21))) } catch {}
            let image = try QCOW2Image(file, header: header, isReadOnly: false)
            for _ in 0..<8 {
                let place = UInt64(random.below(max(1, Int(header.byteCount) - 5000)))
                try image.store([UInt8](repeating: 9, count: 5000), at: place)
                try image.discard(at: place, byteCount: 4096)
            }
            try image.createSnapshot(name: "x", seconds: 0)
            try image.close()
            return true
        } catch {
            return false
        }
    }
}
