import Glibc
import Testing

@testable import DiskImage

/// What the sectors of a disk may read as.
struct SectorModel {
    /// For each sector the values that it may have; the last is what it reads as now.
    var values: [[UInt64]]

    init(_ count: Int) { values = [[UInt64]](repeating: [0], count: count) }

    mutating func set(_ sector: Int, _ value: UInt64) { values[sector].append(value) }
    mutating func settle() { for index in values.indices { values[index] = [values[index].last ?? 0] } }
    func now(_ sector: Int) -> UInt64 { values[sector].last ?? 0 }
}

/// An image under test with a backing image, and the model of what it reads as.
final class ImageUnderTest {
    let file: RecordingFile
    let image: QCOW2Image
    var model: SectorModel
    var snapshots: [(name: String, values: [UInt64])] = []
    private var sequence: UInt64 = 1

    static func content(_ value: UInt64, _ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: value >> UInt64(index % 8 * 8)) }
        return bytes
    }

    static func backing(_ sectors: Int) throws -> any DiskImage {
        var bytes: [UInt8] = []
        for sector in 0..<sectors { bytes += content(sector % 3 == 0 ? 0 : 0xB000_0000 + UInt64(sector), 512) }
        return try RawDiskImage(RecordingFile(bytes, name: "backing"), isReadOnly: true)
    }

    init(sectors: Int, _ options: QCOW2CreateOptions, backing: (any DiskImage)?) throws {
        var new = options
        new.byteCount = UInt64(sectors * 512)
        if backing != nil {
            new.backingPath = "backing"
            new.backingFormat = .raw
        }
        file = RecordingFile()
        try QCOW2Builder(file, new).finish()
        image = try QCOW2Image(file, header: QCOW2Header(file), isReadOnly: false, backing: backing)
        model = SectorModel(sectors)
        if let backing {
            for sector in 0..<min(sectors, Int(backing.byteCount / 512)) {
                let bytes = try backing.bytes(at: UInt64(sector * 512), 8)
                model.values[sector] = [bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }]
            }
        }
    }

    func write(_ random: inout SeededRandom) throws {
        let start = random.below(model.values.count)
        let count = min(1 + random.below(random.below(4) == 0 ? 64 : 6), model.values.count - start)
        var bytes: [UInt8] = []
        for sector in start..<start + count {
            sequence += 1
            bytes += Self.content(sequence, 512)
            model.set(sector, sequence)
        }
        try image.store(bytes, at: UInt64(start * 512))
    }

    func zero(_ random: inout SeededRandom) throws {
        let start = random.below(model.values.count)
        let count = min(1 + random.below(80), model.values.count - start)
        for sector in start..<start + count { model.set(sector, 0) }
        try image.writeZeroes(at: UInt64(start * 512), byteCount: UInt64(count * 512), mayUnmap: random.below(2) == 0)
    }

    func discard(_ random: inout SeededRandom) throws {
        let start = random.below(model.values.count)
        let count = min(1 + random.below(80), model.values.count - start)
        try image.discard(at: UInt64(start * 512), byteCount: UInt64(count * 512))
        // What it reads as is the image's choice, but it is zeros or what was there, and it stays.
        for sector in start..<start + count {
            let value = try read(image, sector)
            #expect(value == 0 || value == model.now(sector) || value >= 0xB000_0000)
            model.set(sector, 0)
            model.set(sector, value)
        }
    }

    func read(_ image: QCOW2Image, _ sector: Int) throws -> UInt64 {
        let bytes = try image.bytes(at: UInt64(sector * 512), 512)
        let value = bytes[..<8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        #expect(bytes == Self.content(value, 512), "sector \(sector) is torn")
        return value
    }

    func flush() throws {
        try image.flush()
        model.settle()
    }

    func snapshot(_ random: inout SeededRandom) throws {
        try image.flush()
        switch snapshots.count {
        case 0: try create()
        case 3...: try delete(random.below(snapshots.count))
        default:
            switch random.below(3) {
            case 0: try create()
            case 1: try delete(random.below(snapshots.count))
            default:
                let chosen = snapshots[random.below(snapshots.count)]
                for (sector, value) in chosen.values.enumerated() { model.set(sector, value) }
                try image.applySnapshot(chosen.name)
            }
        }
    }

    private func create() throws {
        sequence += 1
        let name = "s\(sequence)"
        snapshots.append((name, model.values.indices.map { model.now($0) }))
        try image.createSnapshot(name: name, seconds: 1)
    }
    private func delete(_ index: Int) throws { try image.deleteSnapshot(snapshots.remove(at: index).name) }

    /// Everything reads as the model says.
    func verify(_ image: QCOW2Image? = nil) throws {
        let image = image ?? self.image
        var wrong = 0
        for sector in model.values.indices where try read(image, sector) != model.now(sector) { wrong += 1 }
        #expect(wrong == 0)
    }
}

enum ImageShape: CaseIterable {
    case small
    case smallOld
    case lazy
    case oneBit
    case wide
    case usual

    var options: QCOW2CreateOptions {
        var options = QCOW2CreateOptions(byteCount: 0)
        options.clusterBits = 9
        switch self {
        case .small: break
        case .smallOld: options.version = 2
        case .lazy: options.isLazy = true
        case .oneBit: options.refcountBits = 1
        case .wide: options.refcountBits = 64
        case .usual: options.clusterBits = 12
        }
        return options
    }
    var hasSnapshots: Bool { self != .oneBit }
}

@Suite struct QCOW2ModelTests {
    @Test(arguments: ImageShape.allCases, [false, true])
    func `Random operations read back as a flat model says`(shape: ImageShape, isBacked: Bool) throws {
        for seed in 0..<20 {
            var random = SeededRandom(UInt64(seed) + 77)
            let sectors = 700
            let backing = isBacked ? try ImageUnderTest.backing(sectors - 33) : nil
            let test = try ImageUnderTest(sectors: sectors, shape.options, backing: backing)
            for _ in 0..<120 {
                switch random.below(12) {
                case 0: try test.zero(&random)
                case 1: try test.discard(&random)
                case 2: try test.flush()
                case 3 where shape.hasSnapshots: try test.snapshot(&random)
                default: try test.write(&random)
                }
            }
            try test.verify()
            let report = try test.image.check()
            #expect(report.corruptionCount == 0, "\(report.problems)")
            #expect(report.leakCount == 0, "\(seed) \(report.problems)")
            try test.image.close()
            let header = try QCOW2Header(test.file)
            #expect(!header.isDirty)
            let again = try QCOW2Image(test.file, header: header, isReadOnly: true, backing: backing)
            try test.verify(again)
            if PeerTool.path != nil, seed == 0, !isBacked {
                let path = PeerTool.temporaryPath("model-\(shape)")
                PeerTool.write(test.file.bytes, to: path)
                #expect(PeerTool.run(["check", "-f", "qcow2", path]) == 0)
                unlink(path)
            }
        }
    }

    @Test(arguments: ImageShape.allCases)
    func `An image cut anywhere opens without corruption and has all that was flushed`(shape: ImageShape) throws {
        for seed in 0..<3 {
            var random = SeededRandom(UInt64(seed) + 1000)
            let backing = seed == 1 ? try ImageUnderTest.backing(300) : nil
            let test = try ImageUnderTest(sectors: 400, shape.options, backing: backing)
            let before = test.file.bytes
            test.file.record()
            var marks: [(count: Int, model: SectorModel)] = [(0, test.model)]
            for _ in 0..<40 {
                let old = test.model
                switch random.below(10) {
                case 0: try test.zero(&random)
                case 1: try test.discard(&random)
                case 2, 3:
                    try test.image.flush()
                    // What was not durable before is so at the end only.
                    marks.append((test.file.events.count, old))
                    test.model.settle()
                case 4 where shape.hasSnapshots: try test.snapshot(&random)
                default: try test.write(&random)
                }
                marks.append((test.file.events.count, test.model))
            }
            let events = test.file.events
            for count in 0...events.count {
                // The operation under way: what the model allowed at its end, or before.
                let next = marks.first { $0.count >= count } ?? marks[marks.count - 1]
                let bytes = RecordingFile.cut(before, events[0..<count], &random)
                try verifyCut(bytes, next.model, backing, test, "\(shape) \(seed) \(count)")
            }
        }
    }

    private func verifyCut(
        _ bytes: [UInt8],
        _ model: SectorModel,
        _ backing: (any DiskImage)?,
        _ test: ImageUnderTest,
        _ name: String
    ) throws {
        let file = RecordingFile(bytes)
        let header = try QCOW2Header(file)
        if !header.isDirty {
            let closed = try QCOW2Image(file, header: header, isReadOnly: true, backing: backing)
            let report = try closed.check()
            #expect(report.corruptionCount == 0, "\(name): \(report.problems.prefix(3))")
        }
        let image = try QCOW2Image(file, header: header, isReadOnly: false, backing: backing)
        #expect(try image.check().corruptionCount == 0, "\(name)")
        for sector in model.values.indices {
            let value = try test.read(image, sector)
            guard !model.values[sector].contains(value) else { continue }
            Issue.record("\(name): sector \(sector) reads \(value), not one of \(model.values[sector])")
            return
        }
        // It goes on from there.
        try image.store(ImageUnderTest.content(7, 512), at: 0)
        try image.close()
        #expect(try image.check().corruptionCount == 0, "\(name): after another write")
    }

    @Test(arguments: [ImageShape.small, .lazy, .usual])
    func `A host disk that is full loses nothing that was flushed`(shape: ImageShape) throws {
        for room in 0..<30 {
            var random = SeededRandom(UInt64(room))
            let test = try ImageUnderTest(sectors: 300, shape.options, backing: nil)
            for _ in 0..<20 { try test.write(&random) }
            try test.flush()
            test.file.setRoom(room)
            for _ in 0..<20 {
                do { try test.write(&random) } catch {}
                if random.below(4) == 0 { do { try test.image.flush() } catch {} }
            }
            test.file.setRoom(nil)
            try test.image.flush()
            for sector in test.model.values.indices {
                let value = try test.read(test.image, sector)
                #expect(test.model.values[sector].contains(value))
            }
            let report = try test.image.check()
            #expect(report.corruptionCount == 0, "\(room): \(report.problems.prefix(3))")
        }
    }
}
