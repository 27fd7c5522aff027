import DeviceModel
import GuestMemory
import LegacyDevices
import Testing

struct ACPIPowerManagementTests {
    let timers = ManualTimerService()
    let wire = RecordingLine()
    let machine = RecordingMachine()

    private func make(is32Bits: Bool) -> ACPIPowerManagement {
        ACPIPowerManagement(isTimer32Bits: is32Bits, timers: timers, interrupt: wire.line, machine: machine)
    }

    @Test func `The timer runs at 3.579545 MHz and wraps at its width`() {
        let narrow = make(is32Bits: false)
        let wide = make(is32Bits: true)
        timers.advance(to: 1_000_000_000)
        #expect(narrow.timerBlock.read(at: 0, width: .dword) == 3_579_545)
        timers.advance(to: 10_000_000_000)
        #expect(narrow.timerBlock.read(at: 0, width: .dword) == 35_795_450 % (1 << 24))
        #expect(wide.timerBlock.read(at: 0, width: .dword) == 35_795_450)
        timers.advance(to: 2_000_000_000_000)
        #expect(wide.timerBlock.read(at: 0, width: .dword) == 7_159_090_000 % (1 << 32))
    }

    @Test func `The timer's top bit raises the SCI`() {
        let power = make(is32Bits: false)
        power.eventBlock.write(1, at: 2, width: .word)
        let half = Frequency(hertz: ACPIPowerManagement.timerFrequency).nanoseconds(for: 1 << 23)
        timers.advance(to: half - 1)
        #expect(!wire.level)
        timers.advance(to: half)
        #expect(wire.level)
        #expect(power.eventBlock.read(at: 0, width: .word) == 1)
        power.eventBlock.write(1, at: 0, width: .word)
        #expect(!wire.level)
        timers.advance(to: 2 * half)
        #expect(wire.level)
    }

    @Test func `Sleep type S5 with SLP_EN turns the machine off`() {
        let control = make(is32Bits: true).controlBlock
        #expect(control.read(at: 0, width: .word) == 1)
        control.write(UInt64(ACPIPowerManagement.sleepTypeOff) << 10, at: 0, width: .word)
        #expect(machine.requests.isEmpty)
        control.write(3 << 10 | 1 << 13, at: 0, width: .word)
        #expect(machine.requests.isEmpty)
        control.write(UInt64(ACPIPowerManagement.sleepTypeOff) << 10 | 1 << 13, at: 0, width: .word)
        #expect(machine.requests == [.powerOff])
        #expect(control.read(at: 0, width: .word) == 5 << 10 | 1)
    }

    @Test func `The power button raises the SCI when enabled`() {
        let power = make(is32Bits: true)
        power.pressPowerButton()
        #expect(!wire.level)
        power.eventBlock.write(0x100, at: 2, width: .word)
        #expect(wire.level)
        #expect(power.eventBlock.read(at: 0, width: .dword) == 0x0100_0100)
        power.eventBlock.write(0x100, at: 0, width: .word)
        #expect(!wire.level)
    }

    @Test func `A general-purpose event raises the SCI`() {
        let power = make(is32Bits: true)
        power.generalPurposeBlock.write(0x02, at: 2, width: .byte)
        power.raise(generalPurposeEvent: 1)
        #expect(wire.level)
        power.generalPurposeBlock.write(0x02, at: 0, width: .byte)
        #expect(!wire.level)
    }
}

struct ResetControlTests {
    let machine = RecordingMachine()

    @Test func `The reset register resets with value 6`() {
        let port = ResetControl(machine: machine).resetPort
        port.writeByte(0x02)
        #expect(machine.requests.isEmpty)
        port.writeByte(0x06)
        #expect(machine.requests == [.reset])
    }

    @Test func `Over PCI's address register only byte accesses reset`() {
        let reset = ResetControl(machine: machine)
        let pci = RegisterWindow(read: { offset, _ in 0x8000_0000 + offset }, write: { _, _, _ in })
        let both = reset.overlaying(pci)
        both.write(0x8000_0600, at: 0, width: .dword)
        both.write(0x06, at: 1, width: .word)
        #expect(machine.requests.isEmpty)
        #expect(both.read(at: 0, width: .dword) == 0x8000_0000)
        both.writeByte(0x06, 1)
        #expect(machine.requests == [.reset])
    }

    @Test func `Port 92 gates A20 and resets`() {
        let gate = RecordingLine()
        let line = gate.line
        let port = ResetControl(machine: machine, addressLine20: { line.set($0) }).systemControlPort
        port.writeByte(0x00)
        port.writeByte(0x02)
        #expect(gate.level)
        #expect(port.readByte() == 0x02)
        #expect(machine.requests.isEmpty)
        port.writeByte(0x03)
        #expect(machine.requests == [.reset])
    }
}

struct DebugPortsTests {
    let machine = RecordingMachine()
    let output = RecordingOutput()

    @Test func `The console hands on lines and reads as E9`() {
        let ports = DebugPorts(output: output, machine: machine)
        for byte in "one\ntwo".utf8 { ports.console.writeByte(byte) }
        #expect(output.text == "one\n")
        ports.flush()
        #expect(output.text == "one\ntwo")
        #expect(ports.console.readByte() == 0xE9)
    }

    @Test func `The exit port ends the machine with its value, the progress code is kept`() {
        let ports = DebugPorts(output: nil, machine: machine)
        ports.progressPort.writeByte(0x31)
        #expect(ports.progressCode == 0x31)
        ports.exitPort.write(0x21, at: 0, width: .dword)
        #expect(machine.requests == [.exit(value: 0x21)])
    }
}
