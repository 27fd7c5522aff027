import Glibc
import Testing

@testable import DiskImage

/// Images that were cut, given to qemu-img as well.
@Suite struct CutImageTests {
    private static let sectors = 400
    private static let backedSectors = 300

    /// Writes at random, cut at about fifty points; what was not flushed is lost, torn or reordered.
    @Test(arguments: ImageShape.allCases, [false, true])
    func `qemu-img finds no corruption in a cut image, and all that was flushed`(
        shape: ImageShape,
        isBacked: Bool
    ) throws {
        guard PeerTool.path != nil else {
            print("skipped: qemu-img is not installed, cut images are only checked by our own code")
            return
        }
        let folder = PeerTool.memoryFolder("cut-\(shape)-\(isBacked)")
        defer { PeerTool.remove(folder) }
        var random = SeededRandom(isBacked ? 4711 : 4712)
        let backing = isBacked ? try ImageUnderTest.backing(Self.backedSectors) : nil
        if isBacked {
            let bytes = try #require(backing).bytes(at: 0, Self.backedSectors * 512)
            PeerTool.write(bytes, to: folder + "/backing")
        }
        let test = try ImageUnderTest(sectors: Self.sectors, shape.options, backing: backing)
        let before = test.file.bytes
        test.file.record()
        var marks: [(count: Int, model: SectorModel)] = [(0, test.model)]
        for _ in 0..<50 {
            let old = test.model
            switch random.below(10) {
            case 0: try test.zero(&random)
            case 1: try test.discard(&random)
            case 2, 3:
                try test.image.flush()
                marks.append((test.file.events.count, old))
                test.model.settle()
            case 4 where shape.hasSnapshots: try test.snapshot(&random)
            default: try test.write(&random)
            }
            marks.append((test.file.events.count, test.model))
        }
        let events = test.file.events
        var dirtyCount = 0
        for number in 0..<50 {
            let count = random.below(events.count + 1)
            let next = marks.first { $0.count >= count } ?? marks[marks.count - 1]
            let bytes = RecordingFile.cut(before, events[0..<count], &random)
            if try verify(bytes, next.model, folder, "\(shape) \(number): \(count) of \(events.count)") {
                dirtyCount += 1
            }
        }
        // Lazy refcounts were put to the test.
        #expect((dirtyCount > 0) == (shape == .lazy))
    }

    /// - Returns: Whether the image was dirty.
    private func verify(_ bytes: [UInt8], _ model: SectorModel, _ folder: String, _ name: String) throws -> Bool {
        let (path, flat) = (folder + "/cut.qcow2", folder + "/flat")
        PeerTool.write(bytes, to: path)
        let isDirty = try QCOW2Header(RecordingFile(bytes)).isDirty
        if isDirty {
            // Counts that were put off are too low by intention: qemu-img corrects them as it opens the image for writing.
            #expect(PeerTool.run(["check", "-q", "-f", "qcow2", "-r", "all", path]) == 0, "\(name): repair")
        } else {
            let status = PeerTool.run(["check", "-q", "-f", "qcow2", path])
            #expect(status == 0 || status == 3, "\(name): status \(status)")
            if status == 3 {
                #expect(PeerTool.run(["check", "-q", "-f", "qcow2", "-r", "leaks", path]) == 0, "\(name): leaks")
            }
        }
        #expect(PeerTool.run(["check", "-q", "-f", "qcow2", path]) == 0, "\(name): second check")
        #expect(PeerTool.run(["convert", "-f", "qcow2", "-O", "raw", path, flat]) == 0, "\(name): convert")
        let content = try RawDiskImage(path: flat, isReadOnly: true)
        for sector in model.values.indices {
            let found = try content.bytes(at: UInt64(sector * 512), 512)
            guard model.values[sector].contains(where: { ImageUnderTest.content($0, 512) == found }) else {
                Issue.record("\(name): sector \(sector) starts \(found[..<8]), not one of \(model.values[sector])")
                break
            }
        }
        return isDirty
    }
}
