import DiskImage
import Glibc
import GuestMemory
import Testing
import Virtio
import VirtioBlock

@Suite struct DiskFailureTests {
    static func sector(_ value: Int) -> [UInt8] { [UInt8](repeating: UInt8(truncatingIfNeeded: value), count: 512) }

    @Test(arguments: [ENOSPC, EDQUOT], [1, 3, 40])
    func `A full disk holds writes until there is room, and none is lost`(errno: CInt, failures: Int) throws {
        let image = ScriptedImage()
        let rig = try BlockRig(image, queues: 2)
        image.fail(failures, "pwrite", errno)
        for slot in 0..<16 {
            try rig.offer(1, sector: UInt64(slot), writing: Self.sector(slot + 1), slot: slot, queue: slot % 2)
        }
        try rig.process()
        try rig.wait("writes are still held") { try rig.usedCount(0) + rig.usedCount(1) == 16 }
        try rig.wait("the policy was not told of the end") { rig.events.kinds.last == "released" }
        for slot in 0..<16 {
            #expect(try rig.status(slot) == 0)
            #expect(Array(image.bytes[slot * 512..<slot * 512 + 512]) == Self.sector(slot + 1))
        }
        // Held and released take turns.
        for (index, kind) in rig.events.kinds.enumerated() {
            #expect(kind == (index % 2 == 0 ? "held, pausing" : "released"))
        }
    }

    @Test func `Reads go on while writes are held, and draining says that some are`() throws {
        let image = ScriptedImage()
        let rig = try BlockRig(image, retryInterval: 3_600_000_000_000)
        image.fail(8)
        for slot in 0..<8 { try rig.offer(1, sector: UInt64(slot), writing: Self.sector(7), slot: slot) }
        try rig.process()
        #expect(!rig.device.drain())
        #expect(try rig.usedCount() == 0)
        try rig.offer(0, reading: 512, slot: 8)
        try rig.process()
        try rig.wait("the read is held too") { try rig.status(8) == 0 }
        // At once, rather than in an hour.
        rig.device.retryHeld()
        try rig.wait("writes are still held") { try rig.usedCount() == 9 }
        #expect(rig.device.drain())
    }

    @Test func `The policy is told what failed, where and why`() throws {
        let image = ScriptedImage()
        let rig = try BlockRig(image)
        image.fail(1)
        try rig.offer(1, sector: 5, writing: Self.sector(1), slot: 0)
        try rig.process()
        try rig.wait("the write is still held") { try rig.usedCount() == 1 }
        guard case .held(let failure, _) = rig.events.all.first else {
            Issue.record("not held")
            return
        }
        #expect(failure.isFull)
        #expect(
            "\(failure)"
                == "disk: cannot write 512 bytes at 2560: disk image scripted failed: pwrite: No space left on device (28)"
        )
    }

    @Test(
        arguments: [
            (.automatic, EIO, 1), (.report, ENOSPC, 1), (.report, EIO, 1), (.pause, EIO, 0), (.retry, EIO, 0),
            (.retry, ENOSPC, 0),
        ] as [(DiskFailureReaction, CInt, UInt8)]
    )
    func `Other failures are reported or held as the user says`(
        reaction: DiskFailureReaction,
        errno: CInt,
        status: UInt8
    ) throws {
        let image = ScriptedImage()
        let rig = try BlockRig(image, reaction: reaction)
        image.fail(2, "pwrite", errno)
        for slot in 0..<2 { try rig.offer(1, sector: UInt64(slot), writing: Self.sector(1), slot: slot) }
        try rig.process()
        try rig.wait("requests are still held") { try rig.usedCount() == 2 }
        #expect(try rig.status(0) == status)
        #expect(try rig.status(1) == status)
        let kinds = Set(rig.events.kinds).subtracting(["released"])
        #expect(kinds == [status == 1 ? "reported" : reaction == .retry ? "held" : "held, pausing"])
    }

    @Test func `A flush that the host's kernel refused is reported, whatever the user says`() throws {
        let image = ScriptedImage()
        let rig = try BlockRig(image, reaction: .pause)
        image.fail(1, "fdatasync", EIO)
        try rig.offer(4, slot: 0)
        try rig.settle()
        #expect(try rig.status(0) == 1)
        #expect(rig.events.kinds == ["reported"])
    }

    @Test func `A reset gives up what is held, and says how much`() throws {
        let image = ScriptedImage()
        let rig = try BlockRig(image, retryInterval: 3_600_000_000_000)
        image.fail(.max)
        for slot in 0..<3 { try rig.offer(1, sector: UInt64(slot), writing: Self.sector(7), slot: slot) }
        try rig.process()
        #expect(!rig.device.drain())
        rig.device.reset()
        #expect(try rig.usedCount() == 0)
        try rig.wait("the policy was not told") { rig.events.kinds.last == "released" }
        #expect(rig.events.kinds == ["held, pausing", "abandoned 3", "released"])
    }

    @Test func `Writes of chance under two backing files end equal to a flat model`() throws {
        var template = Array("/tmp/viv-chain-XXXXXX".utf8CString)
        let folder = try #require(mkdtemp(&template).map { String(cString: $0) })
        defer {
            for name in ["base", "middle", "top"] { unlink("\(folder)/\(name)") }
            rmdir(folder)
        }
        let byteCount = 2 << 20
        var numbers = SeededNumbers(state: 5)
        func block(_ count: Int) -> [UInt8] {
            let value = UInt8.random(in: 1...255, using: &numbers)
            return (0..<count).map { value &+ UInt8(truncatingIfNeeded: $0 / 512) }
        }
        var model = block(byteCount)
        let file = open("\(folder)/base", O_CREAT | O_WRONLY, 0o600)
        #expect(write(file, model, byteCount) == byteCount)
        close(file)
        for (name, backing, format) in [("middle", "base", .raw), ("top", "middle", .qcow2)]
            as [(String, String, DiskImageFormat)]
        {
            var options = QCOW2CreateOptions(byteCount: UInt64(byteCount))
            options.clusterBits = name == "top" ? 12 : 16
            options.backingPath = backing
            options.backingFormat = format
            try DiskImageOperation.create("\(folder)/\(name)", qcow2: options)
        }
        for name in ["middle", "top"] {
            do {
                let image = try OpenedDiskImage(path: "\(folder)/\(name)", DiskImageOptions(format: .qcow2)).image
                let rig = try BlockRig(image, queues: 3)
                for _ in 0..<60 {
                    // Twelve requests at once, none of which touch the same sectors.
                    let first = Int.random(in: 0..<16, using: &numbers)
                    for slot in 0..<12 {
                        let start = (first + slot * 340) * 512
                        let count = Int.random(in: 1...64, using: &numbers) * 512
                        guard start + count <= byteCount else { continue }
                        let sector = UInt64(start / 512)
                        switch Int.random(in: 0..<8, using: &numbers) {
                        case 0:
                            let flags = UInt32.random(in: 0...1, using: &numbers)
                            try rig.offerRange(
                                13,
                                sector: sector,
                                count: UInt32(count / 512),
                                flags: flags,
                                slot: slot,
                                queue: slot % 3
                            )
                            model.replaceSubrange(start..<start + count, with: [UInt8](repeating: 0, count: count))
                        case 1: try rig.offer(4, slot: slot, queue: slot % 3)
                        default:
                            let bytes = block(count)
                            try rig.offer(1, sector: sector, writing: bytes, slot: slot, queue: slot % 3)
                            model.replaceSubrange(start..<start + count, with: bytes)
                        }
                    }
                    try rig.settle()
                    for slot in 0..<12 { #expect(try rig.status(slot) != 1) }
                }
                for start in stride(from: 0, to: byteCount, by: 65536) {
                    try rig.offer(0, sector: UInt64(start / 512), reading: 65536, slot: 0)
                    try rig.settle()
                    #expect(try rig.bytes(0, 65536) == Array(model[start..<start + 65536]), "\(name) at \(start)")
                }
                try rig.offer(4, slot: 0)
                try rig.settle()
            }
        }
        // Opened anew, the file says the same.
        let reopened = try OpenedDiskImage(path: "\(folder)/top", DiskImageOptions(format: .qcow2, isReadOnly: true))
            .image
        var bytes = [UInt8](repeating: 0, count: byteCount)
        try bytes.withUnsafeMutableBytes { try reopened.read(into: $0, at: 0) }
        #expect(bytes == model)
    }
}
