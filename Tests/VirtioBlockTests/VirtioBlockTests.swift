import DeviceModel
import DiskImage
import Glibc
import GuestMemory
import Testing
import Virtio
import VirtioBlock

/// A block device over a temporary file of eight sectors, sector n filled with n, driven without a worker.
final class BlockFixture {
    let path: String
    let memory: GuestMemory
    let ring: DriverRing
    let device: VirtioBlock
    static let header: UInt64 = 0x8000
    static let data: UInt64 = 0x9000
    static let status: UInt64 = 0xA000

    init(isReadOnly: Bool = false) throws {
        var template = Array("/tmp/viv-block-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        try #require(descriptor >= 0)
        path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        let bytes = (0..<8).flatMap { [UInt8](repeating: UInt8($0), count: 512) }
        try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
        close(descriptor)
        memory = try GuestMemory(byteCount: 0x10_0000)
        ring = DriverRing(memory)
        device = VirtioBlock(
            try RawDiskImage(path: path, isReadOnly: isReadOnly),
            VirtioBlockConfiguration(identifier: "disk-0"),
            timers: ManualTimerService()
        )
        device.activate(Activation(memory: memory, features: .version1, queues: [try ring.queue()]))
    }
    deinit { unlink(path) }

    /// One request with its data in one buffer; returns its status byte and what the used ring says was written.
    func request(_ type: UInt32, sector: UInt64, data: (Int, isWritable: Bool)? = nil) throws -> (UInt8, UInt32) {
        try memory.store(type, at: GuestAddress(Self.header))
        try memory.store(0 as UInt32, at: GuestAddress(Self.header + 4))
        try memory.store(sector, at: GuestAddress(Self.header + 8))
        try memory.store(0xFF as UInt8, at: GuestAddress(Self.status))
        var buffers: [(address: UInt64, byteCount: Int, isWritable: Bool)] = [(Self.header, 16, false)]
        if let data { buffers.append((Self.data, data.0, data.isWritable)) }
        buffers.append((Self.status, 1, true))
        try ring.offer(buffers)
        try process()
        let used = try #require(try ring.takeUsed())
        return (try memory.load(UInt8.self, at: GuestAddress(Self.status)), used.byteCount)
    }

    /// Serves what was made available, up to its end.
    func process() throws {
        try device.process(queue: 0)
        try #require(device.drain())
    }

    func data(_ count: Int) throws -> [UInt8] { try memory.copyOut(at: GuestAddress(Self.data), byteCount: count) }
    func setData(_ bytes: [UInt8]) throws { try memory.copyIn(bytes, at: GuestAddress(Self.data)) }

    /// Sectors that a discard or write-zeroes request names.
    func setRange(sector: UInt64, count: UInt32, flags: UInt32) throws {
        try memory.store(sector, at: GuestAddress(Self.data))
        try memory.store(count, at: GuestAddress(Self.data + 8))
        try memory.store(flags, at: GuestAddress(Self.data + 12))
    }
}

@Suite struct VirtioBlockTests {
    @Test func `Configuration tells capacity, block size and limits`() throws {
        let fixture = try BlockFixture()
        #expect(fixture.device.readConfig(at: 0, width: .qword) == 8)
        #expect(fixture.device.readConfig(at: 12, width: .dword) == 254)
        #expect(fixture.device.readConfig(at: 20, width: .dword) == 512)
        #expect(fixture.device.readConfig(at: 24, width: .byte) == 3)
        #expect(fixture.device.readConfig(at: 44, width: .dword) == 8)
        #expect(fixture.device.readConfig(at: 34, width: .word) == 1)
        #expect(fixture.device.readConfig(at: 36, width: .dword) == 1 << 22)
        #expect(fixture.device.readConfig(at: 56, width: .byte) == 1)
        #expect(fixture.device.readConfig(at: .max, width: .qword) == 0)
    }

    @Test func `Sectors are read and written back`() throws {
        let fixture = try BlockFixture()
        #expect(try fixture.request(0, sector: 3, data: (1024, isWritable: true)) == (0, 1025))
        #expect(try fixture.data(513) == [UInt8](repeating: 3, count: 512) + [4])
        try fixture.setData([UInt8](repeating: 0xAB, count: 512))
        #expect(try fixture.request(1, sector: 7, data: (512, isWritable: false)) == (0, 1))
        #expect(try fixture.request(4, sector: 0) == (0, 1))
        #expect(try fixture.request(0, sector: 7, data: (512, isWritable: true)).0 == 0)
        #expect(try fixture.data(512) == [UInt8](repeating: 0xAB, count: 512))
    }

    @Test func `A request may be cut into buffers anywhere`() throws {
        let fixture = try BlockFixture()
        try fixture.memory.store(0 as UInt64, at: GuestAddress(0x8000))
        try fixture.memory.store(5 as UInt64, at: GuestAddress(0x8008))
        try fixture.ring.offer([
            (0x8000, 3, false), (0x8003, 13, false), (0x9000, 100, true), (0xB000, 413, true),
        ])
        try fixture.process()
        #expect(try fixture.ring.takeUsed()?.byteCount == 513)
        let tail = try fixture.memory.copyOut(at: GuestAddress(0xB000), byteCount: 413)
        #expect(tail == [UInt8](repeating: 5, count: 412) + [0])
    }

    @Test func `Each buffer of a request goes on where the one before ended`() throws {
        let fixture = try BlockFixture()
        try fixture.memory.store(0 as UInt64, at: GuestAddress(0x8000))
        try fixture.memory.store(5 as UInt64, at: GuestAddress(0x8008))
        try fixture.ring.offer([(0x8000, 16, false), (0x9000, 700, true), (0xB000, 325, true)])
        try fixture.process()
        #expect(try fixture.ring.takeUsed()?.byteCount == 1025)
        #expect(try fixture.data(700) == [UInt8](repeating: 5, count: 512) + [UInt8](repeating: 6, count: 188))
        let tail = try fixture.memory.copyOut(at: GuestAddress(0xB000), byteCount: 325)
        #expect(tail == [UInt8](repeating: 6, count: 324) + [0])

        let written = (0..<1024).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        try fixture.memory.store(1 as UInt64, at: GuestAddress(0x8000))
        try fixture.memory.copyIn(Array(written[..<700]), at: GuestAddress(0x9000))
        try fixture.memory.copyIn(Array(written[700...]), at: GuestAddress(0xB000))
        try fixture.ring.offer([(0x8000, 16, false), (0x9000, 700, false), (0xB000, 324, false), (0xA000, 1, true)])
        try fixture.process()
        #expect(try fixture.ring.takeUsed()?.byteCount == 1)
        #expect(try fixture.request(0, sector: 5, data: (1024, isWritable: true)) == (0, 1025))
        #expect(try fixture.data(1024) == written)
    }

    @Test func `The identifier is 20 bytes, padded with zeros`() throws {
        let fixture = try BlockFixture()
        #expect(try fixture.request(8, sector: 0, data: (20, isWritable: true)) == (0, 21))
        #expect(try fixture.data(20) == Array("disk-0".utf8) + [UInt8](repeating: 0, count: 14))
    }

    @Test(
        arguments: [(0, 8, 512), (0, 7, 1024), (0, UInt64.max, 512), (0, 1 << 55, 512), (0, 0, 100)]
            as [(UInt32, UInt64, Int)]
    )
    func `A read outside the disk or of no whole sectors is an I/O error`(
        type: UInt32,
        sector: UInt64,
        count: Int
    ) throws {
        let fixture = try BlockFixture()
        #expect(try fixture.request(type, sector: sector, data: (count, isWritable: true)).0 == 1)
    }

    @Test func `An unknown request is unsupported`() throws {
        let fixture = try BlockFixture()
        #expect(try fixture.request(99, sector: 0) == (2, 1))
    }

    @Test func `A read-only disk says so and refuses writes and discards`() throws {
        let fixture = try BlockFixture(isReadOnly: true)
        #expect(fixture.device.offeredFeatures.contains(VirtioFeatures(bit: 5)))
        #expect(!fixture.device.offeredFeatures.contains(VirtioFeatures(bit: 13)))
        #expect(try fixture.request(1, sector: 0, data: (512, isWritable: false)).0 == 1)
        #expect(try fixture.request(11, sector: 0, data: (16, isWritable: false)).0 == 1)
        #expect(try fixture.request(0, sector: 1, data: (512, isWritable: true)).0 == 0)
    }

    @Test(arguments: [0, 1] as [UInt32])
    func `Zeroes are written to whole ranges`(unmap: UInt32) throws {
        let fixture = try BlockFixture()
        try fixture.setRange(sector: 2, count: 3, flags: unmap)
        #expect(try fixture.request(13, sector: 0, data: (16, isWritable: false)).0 == 0)
        #expect(try fixture.request(0, sector: 1, data: (2560, isWritable: true)).0 == 0)
        let bytes = try fixture.data(2560)
        #expect(bytes[511] == 1 && bytes[512] == 0 && bytes[2047] == 0 && bytes[2048] == 5)
    }

    @Test func `A discard is carried out within the disk only`() throws {
        let fixture = try BlockFixture()
        try fixture.setRange(sector: 7, count: 1, flags: 0)
        #expect(try fixture.request(11, sector: 0, data: (16, isWritable: false)).0 == 0)
        try fixture.setRange(sector: 7, count: 2, flags: 0)
        #expect(try fixture.request(11, sector: 0, data: (16, isWritable: false)).0 == 1)
        try fixture.setRange(sector: .max, count: .max, flags: 0)
        #expect(try fixture.request(11, sector: 0, data: (16, isWritable: false)).0 == 1)
        try fixture.setRange(sector: 0, count: 1, flags: 1)
        #expect(try fixture.request(11, sector: 0, data: (16, isWritable: false)).0 == 2)
        #expect(try fixture.request(11, sector: 0, data: (15, isWritable: false)).0 == 1)
    }

    @Test func `A request without header or status is the driver's fault`() throws {
        let fixture = try BlockFixture()
        try fixture.ring.offer([(0x8000, 15, false), (0x9000, 1, true)])
        #expect(throws: VirtioQueueError.requestTooShort(byteCount: 15)) { try fixture.device.process(queue: 0) }
        let other = try BlockFixture()
        try other.ring.offer([(0x8000, 16, false)])
        #expect(throws: VirtioQueueError.requestTooShort(byteCount: 16)) { try other.device.process(queue: 0) }
    }

    @Test func `After a reset the queue is left alone`() throws {
        let fixture = try BlockFixture()
        fixture.device.reset()
        try fixture.ring.offer([(0x8000, 16, false), (0x9000, 1, true)])
        try fixture.device.process(queue: 0)
        #expect(try fixture.ring.usedIndex == 0)
    }
}
