import DeviceModel
import GuestMemory
import LegacyDevices
import Testing

struct RealTimeClockTests {
    let timers = ManualTimerService()
    let wire = RecordingLine()
    let clock: RealTimeClock
    let ports: any BusDevice
    static let second: UInt64 = 1_000_000_000

    init() {
        // 2026-11-21 23:59:58, a Saturday.
        clock = RealTimeClock(start: 1_795_305_598, timers: timers, interrupt: wire.line)
        ports = clock.ports
    }

    private func read(_ index: UInt8) -> UInt8 {
        ports.writeByte(index, 0)
        return ports.readByte(1)
    }

    private func write(_ value: UInt8, _ index: UInt8) {
        ports.writeByte(index, 0)
        ports.writeByte(value, 1)
    }

    private var time: [UInt8] { [0x32, 9, 8, 7, 6, 4, 2, 0].map(read) }

    @Test func `The time reads in BCD and goes on over midnight`() {
        #expect(time == [0x20, 0x26, 0x11, 0x21, 7, 0x23, 0x59, 0x58])
        timers.advance(by: 2 * Self.second)
        #expect(time == [0x20, 0x26, 0x11, 0x22, 1, 0x00, 0x00, 0x00])
    }

    @Test func `Binary and 12-hour formats`() {
        write(0x06, 11)
        #expect(time == [20, 26, 11, 21, 7, 23, 59, 58])
        write(0x00, 11)
        #expect(read(4) == 0x91)
        timers.advance(by: 2 * Self.second)
        #expect(read(4) == 0x12)
    }

    @Test func `Software sets the time while SET is on`() {
        write(0x82, 11)
        for (index, value) in [(0, 0x30), (2, 0x15), (4, 0x08), (7, 0x29), (8, 0x02), (9, 0x24), (0x32, 0x20)]
            as [(UInt8, UInt8)]
        {
            write(value, index)
        }
        timers.advance(by: 10 * Self.second)
        #expect(read(0) == 0x30)
        write(0x02, 11)
        timers.advance(by: Self.second)
        #expect(time == [0x20, 0x24, 0x02, 0x29, 5, 0x08, 0x15, 0x31])
    }

    @Test func `Update in progress shows at the end of each second`() {
        #expect(read(10) == 0x26)
        timers.advance(by: Self.second - 200_000)
        #expect(read(10) == 0xA6)
        timers.advance(by: 200_000)
        #expect(read(10) == 0x26)
    }

    @Test func `The alarm interrupts when all its bytes match, reading C ends it`() {
        write(0x01, 1)
        write(0x00, 3)
        write(0xFF, 5)
        write(0x22, 11)
        timers.advance(by: 2 * Self.second)
        #expect(!wire.level)
        timers.advance(by: Self.second)
        #expect(wire.level)
        #expect(read(12) & 0xB0 == 0xB0)
        #expect(!wire.level)
        #expect(read(12) == 0)
    }

    @Test func `The update interrupt comes each second`() {
        write(0x12, 11)
        for _ in 0..<3 {
            timers.advance(by: Self.second)
            #expect(wire.level)
            #expect(read(12) & 0x90 == 0x90)
        }
    }

    @Test func `The periodic interrupt comes at the rate of register A`() {
        write(0x42, 11)
        for _ in 0..<1024 {
            guard let next = timers.nextDeadline else { break }
            timers.advance(to: next)
            #expect(read(12) & 0xC0 == 0xC0)
        }
        #expect(timers.now == Self.second)
        #expect(wire.risingEdges == 1024)
    }

    @Test func `Memory keeps bytes, sizes are where firmware looks, register D is good`() {
        write(0x5A, 0x40)
        #expect(read(0x40) == 0x5A)
        clock.setMemorySize(below4GiB: 0xC000_0000, above4GiB: 0x4000_0000)
        #expect(read(0x15) == 0x80 && read(0x16) == 0x02)
        #expect(read(0x17) == 0xFF && read(0x18) == 0xFF && read(0x30) == 0xFF && read(0x31) == 0xFF)
        #expect(read(0x34) == 0x00 && read(0x35) == 0xBF)
        #expect(read(0x5B) == 0x00 && read(0x5C) == 0x40 && read(0x5D) == 0x00)
        #expect(read(13) == 0x80)
    }

    @Test func `Bit 7 of the index masks NMI`() {
        ports.writeByte(0x8D, 0)
        #expect(clock.masksNMI)
        #expect(ports.readByte(1) == 0x80)
        ports.writeByte(0x0D, 0)
        #expect(!clock.masksNMI)
    }

    @Test func `Nonsense in the time registers is harmless`() {
        for index in UInt8(0)...9 { write(0xFF, index) }
        write(0xFF, 0x32)
        _ = time
        write(0x00, 8)
        timers.advance(by: Self.second)
        _ = time
    }
}
