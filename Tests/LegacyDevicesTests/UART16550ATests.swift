import DeviceModel
import GuestMemory
import LegacyDevices
import Testing

struct UART16550ATests {
    let timers = ManualTimerService()
    let wire = RecordingLine()
    let output = RecordingOutput()
    let uart: UART16550A

    init() {
        uart = UART16550A(output: output, timers: timers, interrupt: wire.line)
        uart.writeByte(0x08, 4)
    }

    @Test func `Output is batched until the delay is over`() {
        for byte in "hello".utf8 { uart.writeByte(byte, 0) }
        #expect(output.batches.isEmpty)
        timers.advance(by: UART16550A.flushDelay)
        #expect(output.batches == [Array("hello".utf8)])
        uart.writeByte(0x21, 0)
        uart.flush()
        #expect(output.text == "hello!")
    }

    @Test func `Sixty thousand bytes make few batches and keep their order`() {
        let bytes = (0..<60_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        for byte in bytes { uart.writeByte(byte, 0) }
        uart.flush()
        #expect(output.batches.count <= 15)
        #expect(output.batches.flatMap { $0 } == bytes)
    }

    @Test func `The divisor hides the data registers while DLAB is set`() {
        uart.writeByte(0x80, 3)
        uart.writeByte(0x34, 0)
        uart.writeByte(0x12, 1)
        #expect(uart.readByte(0) == 0x34 && uart.readByte(1) == 0x12)
        uart.writeByte(0x03, 3)
        #expect(uart.readByte(1) == 0)
        uart.flush()
        #expect(output.batches.isEmpty)
    }

    @Test func `The transmitter interrupt is taken by reading it and comes back with each character`() {
        #expect(uart.readByte(2) == 0x01)
        uart.writeByte(0x02, 1)
        #expect(wire.level)
        #expect(uart.readByte(2) == 0x02)
        #expect(!wire.level)
        #expect(uart.readByte(2) == 0x01)
        uart.writeByte(0x41, 0)
        #expect(wire.level)
        #expect(uart.readByte(2) == 0x02)
        uart.writeByte(0x00, 1)
        uart.writeByte(0x02, 1)
        #expect(uart.readByte(2) == 0x02)
    }

    @Test func `Interrupts are told in the order of their priority`() {
        uart.writeByte(0x01, 2)
        uart.writeByte(0x0F, 1)
        _ = uart.readByte(6)
        uart.writeByte(0x41, 0)
        uart.receiveBreak()
        #expect(uart.readByte(2) == 0xC6)
        #expect(uart.readByte(5) == 0xF1)
        #expect(uart.readByte(2) == 0xC4)
        #expect(uart.readByte(0) == 0)
        #expect(uart.readByte(2) == 0xC2)
        #expect(uart.readByte(2) == 0xC1)
        #expect(!wire.level)
    }

    @Test func `Below the trigger level the interrupt is the character timeout`() {
        uart.writeByte(0x81, 2)
        uart.writeByte(0x01, 1)
        uart.receive([1, 2, 3])
        #expect(uart.readByte(2) == 0xCC)
        uart.receive([4, 5, 6, 7, 8])
        #expect(uart.readByte(2) == 0xC4)
        #expect(uart.readByte(0) == 1)
        #expect(uart.readByte(2) == 0xCC)
    }

    @Test func `Bytes wait behind the FIFO and none is lost`() {
        uart.writeByte(0x01, 2)
        uart.receive(Array(0..<200))
        #expect(uart.unreadByteCount == 200)
        var received: [UInt8] = []
        while uart.readByte(5) & 1 != 0 { received.append(uart.readByte(0)) }
        #expect(received == Array(0..<200))
        #expect(uart.readByte(5) == 0x60)
    }

    @Test func `Clearing the FIFO drops what it holds`() {
        uart.writeByte(0x01, 2)
        uart.receive([1, 2, 3])
        uart.writeByte(0x03, 2)
        #expect(uart.readByte(5) & 1 == 0)
    }

    @Test func `OUT2 lets the interrupt through`() {
        uart.writeByte(0x01, 1)
        uart.writeByte(0x00, 4)
        uart.receive([1])
        #expect(!wire.level)
        uart.writeByte(0x08, 4)
        #expect(wire.level)
        #expect(uart.readByte(0) == 1)
        #expect(!wire.level)
    }

    @Test func `Loopback returns characters and modem lines`() {
        uart.writeByte(0x10, 4)
        _ = uart.readByte(6)
        uart.writeByte(0x1A, 4)
        #expect(uart.readByte(6) == 0x99)
        #expect(uart.readByte(6) == 0x90)
        uart.writeByte(0x15, 4)
        #expect(uart.readByte(6) & 0xF0 == 0x60)
        uart.writeByte(0x5A, 0)
        #expect(uart.readByte(5) & 1 == 1)
        uart.writeByte(0x5B, 0)
        #expect(uart.readByte(5) & 2 == 2)
        #expect(uart.readByte(0) == 0x5A)
        uart.flush()
        #expect(output.batches.isEmpty)
    }

    @Test func `The scratch register keeps a byte, LSR and MSR show an idle line with a peer`() {
        uart.writeByte(0xA5, 7)
        #expect(uart.readByte(7) == 0xA5)
        #expect(uart.readByte(5) == 0x60)
        #expect(uart.readByte(6) == 0xB0)
    }
}
