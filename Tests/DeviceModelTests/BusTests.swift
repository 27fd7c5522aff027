import DeviceModel
import GuestMemory
import Synchronization
import Testing

/// Answers reads with its fill byte and keeps what was written.
private final class Recorder: BusDevice {
    struct Access: Hashable {
        var offset: UInt64
        var value: UInt64
        var width: AccessWidth
    }

    let fill: UInt8
    private let log = Mutex<[Access]>([])
    var writes: [Access] { log.withLock { $0 } }

    init(fill: UInt8) { self.fill = fill }

    func read(at offset: UInt64, width: AccessWidth) -> UInt64 { UInt64(fill) * 0x0101_0101_0101_0101 &+ offset }
    func write(_ value: UInt64, at offset: UInt64, width: AccessWidth) {
        log.withLock { $0.append(Access(offset: offset, value: value, width: width)) }
    }
}

struct BusTests {
    let bus = Bus(name: "port")

    @Test func `An access goes to the device whose range holds it, at its offset`() throws {
        let low = Recorder(fill: 0x10)
        let high = Recorder(fill: 0x20)
        try bus.map(high, base: 0x200, byteCount: 8)
        try bus.map(low, base: 0x100, byteCount: 8)
        bus.write(0xABCD_1234, to: 0x204, width: .word)
        #expect(high.writes == [.init(offset: 4, value: 0x1234, width: .word)])
        #expect(low.writes.isEmpty)
        #expect(bus.read(0x103, width: .byte) == 0x13)
        #expect(bus.read(0x207, width: .byte) == 0x27)
    }

    @Test func `Where nothing is mapped reads are all ones and writes are lost`() {
        #expect(bus.read(0x55, width: .byte) == 0xFF)
        #expect(bus.read(0x55, width: .dword) == 0xFFFF_FFFF)
        #expect(bus.read(.max, width: .qword) == .max)
        bus.write(1, to: 0x55, width: .dword)
    }

    @Test(arguments: [(0x100, 1), (0x0F8, 9), (0x107, 100), (0x0, 0x1000), (0x104, 2)] as [(UInt64, UInt64)])
    func `A range that overlaps is refused`(base: UInt64, byteCount: UInt64) throws {
        let existing = try bus.map(Recorder(fill: 0), base: 0x100, byteCount: 8)
        #expect(throws: BusError.overlap(bus: "port", base: base, byteCount: byteCount, existing: existing)) {
            try bus.map(Recorder(fill: 1), base: base, byteCount: byteCount)
        }
    }

    @Test func `Neighbouring ranges are accepted, empty and wrapping ones refused`() throws {
        try bus.map(Recorder(fill: 0), base: 0x100, byteCount: 8)
        try bus.map(Recorder(fill: 1), base: 0x108, byteCount: 8)
        try bus.map(Recorder(fill: 2), base: 0xF8, byteCount: 8)
        try bus.map(Recorder(fill: 3), base: .max - 7, byteCount: 8)
        #expect(bus.read(.max, width: .byte) == 0x0A)
        #expect(throws: BusError.self) { try bus.map(Recorder(fill: 4), base: 0x1000, byteCount: 0) }
        #expect(throws: BusError.self) { try bus.map(Recorder(fill: 4), base: .max, byteCount: 2) }
    }

    @Test func `A range can move`() throws {
        let device = Recorder(fill: 0x30)
        let first = try bus.map(device, base: 0x1000, byteCount: 16)
        bus.unmap(first)
        #expect(bus.read(0x1000, width: .byte) == 0xFF)
        try bus.map(device, base: 0x2000, byteCount: 16)
        #expect(bus.read(0x2001, width: .byte) == 0x31)
    }

    @Test func `An access that leaves its range is split into bytes`() throws {
        let first = Recorder(fill: 0x10)
        let second = Recorder(fill: 0x20)
        try bus.map(first, base: 0x100, byteCount: 1)
        try bus.map(second, base: 0x101, byteCount: 1)
        #expect(bus.read(0x100, width: .dword) == 0xFFFF_2010)
        bus.write(0x4433_2211, to: 0x0FF, width: .dword)
        #expect(first.writes == [.init(offset: 0, value: 0x22, width: .byte)])
        #expect(second.writes == [.init(offset: 0, value: 0x33, width: .byte)])
    }
}
