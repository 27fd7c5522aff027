import DiskImage
import Glibc
import GuestMemory
import Testing
import Virtio
import VirtioBlock

/// Raw files, whose transfers the host carries out on a ring where it has one.
@Suite struct DirectTransferTests {
    private static let byteCount = 200 * 512

    /// A temporary file with `bytes`, removed from its folder: the image keeps it.
    private func image(_ bytes: [UInt8]) throws -> RawDiskImage {
        var template = Array("/tmp/viv-direct-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        defer { unlink(path) }
        try #require(write(descriptor, bytes, bytes.count) == bytes.count)
        return try RawDiskImage(path: path)
    }

    @Test(arguments: 0..<8 as Range<UInt64>) func `Many transfers at once leave what a flat model has`(
        seed: UInt64
    ) throws {
        var numbers = SeededNumbers(state: seed)
        var model = (0..<Self.byteCount).map { UInt8(truncatingIfNeeded: $0 / 512) }
        let rig = try BlockRig(try image(model), queues: 2)
        for _ in 0..<20 {
            // Transfers under way together, each with eight sectors of its own at most.
            var reads: [(slot: Int, range: Range<Int>)] = []
            for slot in 0..<25 {
                let count = Int.random(in: 1...8, using: &numbers) * 512
                let start = slot * 8 * 512
                if Bool.random(using: &numbers) {
                    let bytes = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &numbers) }
                    try rig.offer(1, sector: UInt64(start / 512), writing: bytes, slot: slot, queue: slot % 2)
                    model.replaceSubrange(start..<(start + count), with: bytes)
                } else {
                    try rig.offer(0, sector: UInt64(start / 512), reading: count, slot: slot, queue: slot % 2)
                    reads.append((slot, start..<(start + count)))
                }
            }
            try rig.settle()
            for slot in 0..<25 { #expect(try rig.status(slot) == 0) }
            for read in reads {
                #expect(try rig.bytes(read.slot, read.range.count) == Array(model[read.range]), "slot \(read.slot)")
            }
        }
        #expect(try rig.usedCount(0) + rig.usedCount(1) == 500)
    }

    @Test func `The last sector of a file that ends within it reads as if zeros followed`() throws {
        let rig = try BlockRig(try image([UInt8](repeating: 7, count: 1000)))
        try rig.offer(0, reading: 1024, slot: 0)
        try rig.settle()
        #expect(try rig.status(0) == 0)
        #expect(try rig.bytes(0, 1024) == [UInt8](repeating: 7, count: 1000) + [UInt8](repeating: 0, count: 24))
    }

    @Test func `A transfer beyond the disk fails, and the next one works`() throws {
        let rig = try BlockRig(try image([UInt8](repeating: 7, count: 1024)))
        try rig.offer(0, sector: 2, reading: 512, slot: 0)
        try rig.offer(1, sector: .max, writing: [UInt8](repeating: 1, count: 512), slot: 1)
        try rig.offer(0, sector: 1, reading: 512, slot: 2)
        try rig.settle()
        #expect(try [rig.status(0), rig.status(1), rig.status(2)] == [1, 1, 0])
    }

    @Test func `A reset waits for what is under way`() throws {
        let image = try image([UInt8](repeating: 7, count: Self.byteCount))
        for _ in 0..<50 {
            let rig = try BlockRig(image)
            for slot in 0..<20 { try rig.offer(0, reading: 4096, slot: slot) }
            try rig.process()
            rig.device.reset()
            let mark = [UInt8](repeating: 0xA5, count: 16)
            for slot in 0..<20 { try rig.memory.copyIn(mark, at: GuestAddress(rig.data(slot))) }
            // Nothing is written into memory that may have another use now.
            usleep(100)
            for slot in 0..<20 { #expect(try rig.bytes(slot, 16) == mark) }
        }
    }
}
