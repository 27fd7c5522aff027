import Glibc
import Synchronization
import Testing

@testable import DiskImage

/// Files of a test, removed with it.
final class TemporaryFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/viv-disks-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.flatMap { mkdtemp($0) } }
        path = try #require(made.map { String(cString: $0) })
    }
    func file(_ name: String) -> String { path + "/" + name }
    deinit {
        if let folder = opendir(path) {
            while let entry = readdir(folder) {
                let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                unlink(path + "/" + name)
            }
            closedir(folder)
        }
        rmdir(path)
    }
}

/// A number that threads share.
final class Count: Sendable {
    private let value = Atomic(0)
    /// What it was before.
    @discardableResult func add(_ amount: Int) -> Int { value.add(amount, ordering: .relaxed).oldValue }
}

@Suite struct QCOW2Tests {
    /// A disk with noise, text, zeros and holes.
    private static func makeModel(_ path: String, _ byteCount: Int, seed: UInt64 = 1) throws -> [UInt8] {
        var random = SeededRandom(seed)
        var model = [UInt8](repeating: 0, count: byteCount)
        for _ in 0..<byteCount / 200_000 + 4 {
            let count = min([512, 4096, 65536, 150_000][random.below(4)], byteCount)
            let start = random.below(byteCount - count + 1) & ~511
            let kind = random.below(3)
            for place in start..<start + count {
                model[place] = kind == 0 ? UInt8(truncatingIfNeeded: random.next()) : kind == 1 ? UInt8(place % 23) : 0
            }
        }
        PeerTool.write(model, to: path)
        return model
    }

    private static func contents(_ image: any DiskImage) throws -> [UInt8] {
        try image.bytes(at: 0, Int(image.byteCount))
    }

    @Test(
        arguments: [(9, 16, 3), (12, 1, 3), (16, 16, 2), (16, 64, 3), (21, 8, 3)] as [(UInt32, Int, UInt32)],
        [nil, .zlib, .zstd] as [ClusterCompression?]
    )
    func `What is converted to qcow2 and back is what it was`(
        shape: (UInt32, Int, UInt32),
        compression: ClusterCompression?
    ) throws {
        if shape.2 == 2, compression == .zstd { return }
        let folder = try TemporaryFolder()
        let (raw, image, back) = (folder.file("raw"), folder.file("image"), folder.file("back"))
        let model = try Self.makeModel(raw, (5 << 20) + 1024)
        var options = QCOW2CreateOptions(byteCount: UInt64(model.count))
        options.clusterBits = shape.0
        options.refcountBits = shape.1
        options.version = shape.2
        options.compression = compression ?? .zlib
        let source = try RawDiskImage(path: raw, isReadOnly: true)
        try DiskImageOperation.convert(source, toQCOW2: image, options, isCompressed: compression != nil)
        do {
            let opened = try OpenedDiskImage(path: image, DiskImageOptions(isReadOnly: true))
            #expect(try Self.contents(opened.image) == model)
            let report = try #require(opened.qcow2).check()
            #expect(report.corruptionCount == 0 && report.leakCount == 0, "\(report.problems.prefix(3))")
            #expect((report.compressedClusters > 0) == (compression != nil))
            try DiskImageOperation.convert(opened.image, toRaw: back)
            #expect(try ImageComparison.compare(source, opened.image) == .identical)
        }
        #expect(try Self.contents(RawDiskImage(path: back)) == model)
        if PeerTool.path != nil {
            #expect(PeerTool.run(["check", "-f", "qcow2", image]) == 0)
            #expect(PeerTool.run(["compare", "-f", "raw", "-F", "qcow2", raw, image]) == 0)
        }
        // Compressed clusters are replaced where the guest writes.
        let written = try OpenedDiskImage(path: image)
        var changed = model
        for place in stride(from: 3000, to: 200_000, by: 30_000) {
            changed.replaceSubrange(place..<place + 700, with: [UInt8](repeating: 0xEE, count: 700))
            try written.image.store([UInt8](repeating: 0xEE, count: 700), at: UInt64(place))
        }
        try written.image.flush()
        #expect(try Self.contents(written.image) == changed)
        let report = try #require(written.qcow2).check()
        #expect(report.corruptionCount == 0 && report.leakCount == 0, "\(report.problems.prefix(3))")
    }

    @Test func `Two writers and a writer beside a reader are refused`() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("a.qcow2")
        try DiskImageOperation.create(path, qcow2: QCOW2CreateOptions(byteCount: 1 << 20))
        do {
            let writer = try OpenedDiskImage(path: path)
            #expect(throws: DiskImageError.inUse(path: path)) { _ = try OpenedDiskImage(path: path) }
            let reading = DiskImageOptions(isReadOnly: true)
            #expect(throws: DiskImageError.inUse(path: path)) { _ = try OpenedDiskImage(path: path, reading) }
            _ = try OpenedDiskImage(path: path, DiskImageOptions(isReadOnly: true, locking: .sharing))
            if PeerTool.path != nil {
                #expect(PeerTool.run(["info", path]) == 1)
                #expect(PeerTool.run(["info", "-U", path]) == 0)
                #expect(PeerTool.run(["snapshot", "-c", "x", path]) == 1)
            }
            #expect(!writer.image.isReadOnly)
        }
        let reader = try OpenedDiskImage(path: path, DiskImageOptions(isReadOnly: true))
        _ = try OpenedDiskImage(path: path, DiskImageOptions(isReadOnly: true))
        #expect(throws: DiskImageError.inUse(path: path)) { _ = try OpenedDiskImage(path: path) }
        if PeerTool.path != nil {
            #expect(PeerTool.run(["info", path]) == 0)
            #expect(PeerTool.run(["snapshot", "-c", "x", path]) == 1)
        }
        #expect(reader.image.isReadOnly)
    }

    @Test func `Overlays are committed, rebased and resized`() throws {
        let folder = try TemporaryFolder()
        let (base, middle, top) = (folder.file("base"), folder.file("middle"), folder.file("top"))
        let model = try Self.makeModel(base, 2 << 20)
        var options = QCOW2CreateOptions(byteCount: 2 << 20)
        options.clusterBits = 12
        options.backingPath = "base"
        options.backingFormat = .raw
        try DiskImageOperation.create(middle, qcow2: options)
        options.backingPath = "middle"
        options.backingFormat = .qcow2
        try DiskImageOperation.create(top, qcow2: options)
        var expected = model
        func put(_ path: String, _ byte: UInt8, _ start: Int, _ count: Int) throws {
            let opened = try OpenedDiskImage(path: path)
            try opened.image.store([UInt8](repeating: byte, count: count), at: UInt64(start))
            try opened.image.writeZeroes(at: UInt64(start + 300_000), byteCount: 50_000, mayUnmap: true)
            expected.replaceSubrange(start..<start + count, with: [UInt8](repeating: byte, count: count))
            expected.replaceSubrange(start + 300_000..<start + 350_000, with: [UInt8](repeating: 0, count: 50_000))
            try opened.qcow2?.close()
        }
        try put(middle, 1, 100_000, 70_000)
        try put(top, 2, 150_000, 70_000)
        do {
            let opened = try OpenedDiskImage(path: top)
            #expect(try Self.contents(opened.image) == expected)
            let image = try #require(opened.qcow2)
            let below = try OpenedDiskImage(path: base, DiskImageOptions(format: .raw, isReadOnly: true))
            try DiskImageOperation.rebase(image, onto: below.image)
            try image.setBacking(path: "base", format: "raw")
            try image.close()
        }
        do {
            let opened = try OpenedDiskImage(path: top)
            #expect(opened.backing?.path == base)
            #expect(try Self.contents(opened.image) == expected)
            let image = try #require(opened.qcow2)
            try image.resize(to: 3 << 20)
            #expect(try Self.contents(image) == expected + [UInt8](repeating: 0, count: 1 << 20))
            try image.resize(to: (1 << 20) + 512)
            try image.resize(to: 2 << 20)
            let kept = Array(expected[..<((1 << 20) + 512)])
            #expect(try Self.contents(image) == kept + [UInt8](repeating: 0, count: (1 << 20) - 512))
            let report = try image.check()
            #expect(report.corruptionCount == 0 && report.leakCount == 0, "\(report.problems.prefix(3))")
        }
    }

    @Test func `A snapshot is read without being applied`() throws {
        let bytes = try HostileImageTests.sample()
        let file = RecordingFile(bytes)
        let image = try QCOW2Image(file, isReadOnly: true)
        #expect(try image.bytes(at: 100_000, 5000) == [UInt8](repeating: 6, count: 5000))
        try image.show(snapshot: "one")
        #expect(try image.bytes(at: 100_000, 5000) == [UInt8](repeating: 0, count: 5000))
        #expect(try image.bytes(at: 8192, 20000) == [UInt8](repeating: 5, count: 20000))
        #expect(throws: DiskImageError.noSuchSnapshot(path: "recorded", name: "two")) {
            try image.show(snapshot: "two")
        }
        #expect(file.bytes == bytes)
    }

    @Test func `Discarded space goes back to the host`() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("a.qcow2")
        try DiskImageOperation.create(path, qcow2: QCOW2CreateOptions(byteCount: 64 << 20))
        let opened = try OpenedDiskImage(path: path)
        try opened.image.store([UInt8](repeating: 1, count: 16 << 20), at: 0)
        try opened.image.flush()
        let before = opened.file.allocatedByteCount
        #expect(before >= 16 << 20)
        try opened.image.discard(at: 0, byteCount: 16 << 20)
        try opened.image.flush()
        #expect(opened.file.allocatedByteCount + (15 << 20) < before)
        let size = try opened.file.byteCount
        // Freed clusters are used again.
        try opened.image.store([UInt8](repeating: 2, count: 16 << 20), at: 32 << 20)
        try opened.image.flush()
        #expect(try opened.file.byteCount <= size + (1 << 20))
    }

    @Test func `Threads that write side by side lose nothing`() throws {
        let file = RecordingFile()
        var options = QCOW2CreateOptions(byteCount: 4 << 20)
        options.clusterBits = 12
        try QCOW2Builder(file, options).finish()
        let image = try QCOW2Image(file, isReadOnly: false)
        let (number, failures) = (Count(), Count())
        WorkerThreads.run(count: 4) {
            let own = number.add(1)
            var random = SeededRandom(UInt64(own))
            do {
                for round in 0..<300 {
                    // Sectors of one cluster belong to different threads.
                    let sector = random.below(2048) * 4 + own
                    let value = UInt8(truncatingIfNeeded: own * 60 + round % 50 + 1)
                    try image.store([UInt8](repeating: value, count: 512), at: UInt64(sector * 512))
                    let back = try image.bytes(at: UInt64(sector * 512), 512)
                    if back != [UInt8](repeating: value, count: 512) { failures.add(1) }
                    if round % 40 == 0 { try image.flush() }
                }
            } catch { failures.add(1000) }
        }
        #expect(failures.add(0) == 0)
        let report = try image.check()
        #expect(report.corruptionCount == 0 && report.leakCount == 0, "\(report.problems.prefix(3))")
    }

    @Test func `A repair gives leaks back and mends counts`() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("a.qcow2")
        var bytes = try HostileImageTests.sample()
        let header = try QCOW2Header(RecordingFile(bytes))
        let block = bytes[Int(header.refcountTableOffset)..<Int(header.refcountTableOffset) + 8]
            .reduce(0) { $0 << 8 | Int($1) }
        // The last counts of the block, of clusters that nothing refers to.
        HostileImageTests.put(1, 2, at: block + 4094, &bytes)
        PeerTool.write(bytes, to: path)
        func check() throws -> DiskCheckReport {
            try #require(OpenedDiskImage(path: path, DiskImageOptions(isReadOnly: true)).qcow2).check()
        }
        #expect(try check().leakCount == 1)
        let options = DiskImageOptions()
        #expect(try QCOW2Image.repair(path: path, options, all: false)?.fixedLeakCount == 1)
        #expect(try check().leakCount == 0)
        bytes = try HostileImageTests.sample()
        for place in block..<block + 16 { bytes[place] = 0 }
        PeerTool.write(bytes, to: path)
        #expect(try check().corruptionCount > 0)
        #expect(try QCOW2Image.repair(path: path, options, all: false)?.corruptionCount ?? 0 > 0)
        #expect(try QCOW2Image.repair(path: path, options, all: true)?.corruptionCount == 0)
        #expect(try check().corruptionCount == 0)
        #expect(try check().leakCount == 0)
    }
}
