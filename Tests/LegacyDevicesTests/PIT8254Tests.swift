import DeviceModel
import GuestMemory
import LegacyDevices
import Testing

struct PIT8254Tests {
    let timers = ManualTimerService()
    let wire = RecordingLine()
    let pit: PIT8254
    let ports: any BusDevice
    let clock = Frequency(hertz: PIT8254.frequency)

    init() {
        pit = PIT8254(timers: timers, interrupt: wire.line)
        ports = pit.channelPorts
    }

    /// Moves time to just after tick `tick` of the timer's clock.
    private func advance(toTick tick: UInt64) { timers.advance(to: clock.nanoseconds(for: tick)) }

    private func program(_ channel: UInt8, control: UInt8, count: UInt16) {
        ports.writeByte(channel << 6 | control, 3)
        ports.writeByte(UInt8(count & 0xFF), UInt64(channel))
        ports.writeByte(UInt8(count >> 8), UInt64(channel))
    }

    private func latchedCount(_ channel: UInt8) -> UInt16 {
        ports.writeByte(channel << 6, 3)
        return count(channel)
    }

    private func count(_ channel: UInt8) -> UInt16 {
        let low = UInt16(ports.readByte(UInt64(channel)))
        return low | UInt16(ports.readByte(UInt64(channel))) << 8
    }

    @Test func `Mode 0 raises its output once, at terminal count, and counts on`() {
        let before = wire.risingEdges
        program(0, control: 0x30, count: 1000)
        #expect(!wire.level)
        advance(toTick: 400)
        #expect(latchedCount(0) == 600)
        advance(toTick: 999)
        #expect(!wire.level)
        advance(toTick: 1000)
        #expect(wire.level)
        advance(toTick: 1010)
        #expect(latchedCount(0) == 65526)
        advance(toTick: 200_000)
        #expect(wire.risingEdges == before + 1)
    }

    @Test func `Mode 2 gives an edge each period, counting from N to 1`() {
        program(0, control: 0x34, count: 1000)
        let before = wire.risingEdges
        #expect(latchedCount(0) == 1000)
        advance(toTick: 999)
        #expect(latchedCount(0) == 1)
        #expect(wire.risingEdges == before)
        advance(toTick: 1000)
        #expect(wire.risingEdges == before + 1)
        #expect(latchedCount(0) == 1000)
        advance(toTick: 5500)
        #expect(wire.risingEdges == before + 5)
        #expect(latchedCount(0) == 500)
    }

    @Test func `A count of 0 is 65536`() {
        program(0, control: 0x34, count: 0)
        let before = wire.risingEdges
        advance(toTick: 65_535)
        #expect(wire.risingEdges == before)
        advance(toTick: 65_536)
        #expect(wire.risingEdges == before + 1)
    }

    @Test func `A new count in mode 2 begins with the next period`() {
        program(0, control: 0x34, count: 1000)
        advance(toTick: 100)
        ports.writeByte(0xD0, 0)
        ports.writeByte(0x07, 0)
        #expect(latchedCount(0) == 900)
        let before = wire.risingEdges
        advance(toTick: 1000)
        #expect(wire.risingEdges == before + 1)
        #expect(latchedCount(0) == 2000)
        advance(toTick: 2999)
        #expect(wire.risingEdges == before + 1)
        advance(toTick: 3000)
        #expect(wire.risingEdges == before + 2)
    }

    @Test func `Mode 3 counts by two and its output is high for half of the period`() {
        let speaker = pit.speakerPort
        speaker.writeByte(0x01)
        program(2, control: 0x36, count: 1000)
        #expect(speaker.readByte() & 0x20 != 0)
        advance(toTick: 100)
        #expect(latchedCount(2) == 800)
        advance(toTick: 499)
        #expect(speaker.readByte() & 0x20 != 0)
        advance(toTick: 500)
        #expect(speaker.readByte() & 0x20 == 0)
        #expect(latchedCount(2) == 1000)
        advance(toTick: 1000)
        #expect(speaker.readByte() & 0x20 != 0)
    }

    @Test func `A latched count stays until it is read`() {
        program(0, control: 0x34, count: 1000)
        advance(toTick: 100)
        ports.writeByte(0x00, 3)
        advance(toTick: 300)
        ports.writeByte(0x00, 3)
        #expect(count(0) == 900)
        #expect(count(0) == 700)
    }

    @Test func `Read-back latches status before count`() {
        program(0, control: 0x34, count: 1000)
        advance(toTick: 250)
        ports.writeByte(0xC2, 3)
        advance(toTick: 600)
        #expect(ports.readByte(0) == 0xB4)
        #expect(count(0) == 750)
        ports.writeByte(0x30, 3)
        ports.writeByte(0xE2, 3)
        #expect(ports.readByte(0) == 0x70)
    }

    @Test func `Binary-coded counts are decimal`() {
        program(0, control: 0x35, count: 0x1000)
        advance(toTick: 1)
        #expect(latchedCount(0) == 0x0999)
        let before = wire.risingEdges
        advance(toTick: 1000)
        #expect(wire.risingEdges == before + 1)
    }

    @Test func `The gate of channel 2 holds and resumes mode 0`() {
        let speaker = pit.speakerPort
        speaker.writeByte(0x00)
        program(2, control: 0x30, count: 1000)
        advance(toTick: 500)
        #expect(latchedCount(2) == 1000)
        speaker.writeByte(0x01)
        advance(toTick: 700)
        #expect(latchedCount(2) == 800)
        speaker.writeByte(0x00)
        advance(toTick: 900)
        #expect(latchedCount(2) == 800)
        speaker.writeByte(0x01)
        advance(toTick: 1699)
        #expect(speaker.readByte() & 0x20 == 0)
        advance(toTick: 1701)
        #expect(speaker.readByte() & 0x20 != 0)
    }

    @Test func `Mode 1 starts with the gate, mode 4 gives one low clock, mode 5 both`() {
        let speaker = pit.speakerPort
        program(2, control: 0x32, count: 100)
        advance(toTick: 500)
        #expect(speaker.readByte() & 0x20 != 0)
        speaker.writeByte(0x01)
        #expect(speaker.readByte() & 0x20 == 0)
        advance(toTick: 601)
        #expect(speaker.readByte() & 0x20 != 0)
        program(2, control: 0x38, count: 100)
        advance(toTick: 700)
        #expect(speaker.readByte() & 0x20 != 0)
        advance(toTick: 701)
        #expect(speaker.readByte() & 0x20 == 0)
        advance(toTick: 702)
        #expect(speaker.readByte() & 0x20 != 0)
        speaker.writeByte(0x00)
        program(2, control: 0x3A, count: 100)
        speaker.writeByte(0x01)
        advance(toTick: 801)
        #expect(speaker.readByte() & 0x20 != 0)
        advance(toTick: 802)
        #expect(speaker.readByte() & 0x20 == 0)
    }

    @Test func `Single-byte access leaves the other byte zero`() {
        ports.writeByte(0x24, 3)
        ports.writeByte(0x02, 0)
        let before = wire.risingEdges
        advance(toTick: 512)
        #expect(wire.risingEdges == before + 1)
        #expect(ports.readByte(0) == 0x02)
    }

    @Test func `Port 0x61's refresh bit toggles`() {
        let first = pit.speakerPort.readByte() & 0x10
        timers.advance(by: 15_085)
        #expect(pit.speakerPort.readByte() & 0x10 != first)
    }
}
