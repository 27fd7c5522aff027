import DeviceModel
import GuestMemory
import LegacyDevices
import Synchronization
import Testing

struct KeyboardControllerTests {
    let wire = RecordingLine()
    let machine = RecordingMachine()
    let gate = RecordingLine()
    let controller: KeyboardController
    let data: any BusDevice
    let command: any BusDevice

    init() {
        let gateLine = gate.line
        controller = KeyboardController(
            interrupt: wire.line,
            auxiliaryInterrupt: .unconnected,
            machine: machine,
            addressLine20: { gateLine.set($0) }
        )
        data = controller.dataPort
        command = controller.commandPort
    }

    private var answers: [UInt8] {
        var bytes: [UInt8] = []
        while command.readByte() & 1 != 0 { bytes.append(data.readByte()) }
        return bytes
    }

    @Test func `The self test answers 55 and sets the system flag`() {
        #expect(command.readByte() & 0x05 == 0)
        command.writeByte(0xAA)
        #expect(command.readByte() & 0x0D == 0x0D)
        #expect(answers == [0x55])
        command.writeByte(0xAB)
        #expect(answers == [0x00])
    }

    @Test func `The reset pulse resets the machine`() {
        command.writeByte(0xFE)
        #expect(machine.requests == [.reset])
        command.writeByte(0xF1)
        #expect(machine.requests == [.reset])
        command.writeByte(0xD1)
        data.writeByte(0xCE)
        #expect(machine.requests == [.reset, .reset])
    }

    @Test func `The keyboard answers reset, identify and scan code commands`() {
        data.writeByte(0xFF)
        #expect(answers == [0xFA, 0xAA])
        data.writeByte(0xF2)
        #expect(answers == [0xFA, 0xAB, 0x83])
        data.writeByte(0xF0)
        data.writeByte(0x00)
        #expect(answers == [0xFA, 0xFA, 0x02])
        data.writeByte(0xF0)
        data.writeByte(0x01)
        data.writeByte(0xF0)
        data.writeByte(0x00)
        #expect(answers == [0xFA, 0xFA, 0xFA, 0xFA, 0x01])
        data.writeByte(0xEE)
        #expect(answers == [0xEE])
        data.writeByte(0x01)
        #expect(answers == [0xFE])
    }

    @Test func `Each byte is an interrupt while the command byte allows it`() {
        command.writeByte(0x60)
        data.writeByte(0x61)
        data.writeByte(0xF2)
        #expect(wire.risingEdges == 1)
        #expect(data.readByte() == 0xFA)
        #expect(wire.risingEdges == 2)
        _ = answers
        #expect(!wire.level)
        command.writeByte(0x60)
        data.writeByte(0x60)
        data.writeByte(0xF4)
        #expect(!wire.level)
        #expect(answers == [0xFA])
    }

    @Test func `Keys come translated to set 1 unless that is off`() {
        controller.press([0x1C, 0xF0, 0x1C, 0xE0, 0x75])
        #expect(answers == [0x1E, 0x9E, 0xE0, 0x48])
        command.writeByte(0x60)
        data.writeByte(0x21)
        controller.press([0x1C, 0xF0, 0x1C])
        #expect(answers == [0x1C, 0xF0, 0x1C])
    }

    @Test func `The output port opens and closes the A20 gate`() {
        command.writeByte(0xD1)
        data.writeByte(0xCD)
        #expect(!gate.level)
        command.writeByte(0xDF)
        #expect(gate.level)
        command.writeByte(0xD0)
        #expect(answers.first.map { $0 & 2 } == 2)
        command.writeByte(0xDD)
        #expect(!gate.level)
    }

    @Test func `There is no mouse`() {
        command.writeByte(0xD4)
        data.writeByte(0xFF)
        #expect(command.readByte() & 0x21 == 0x21)
        #expect(answers == [0xFE])
    }

    @Test func `A guest that never reads fills nothing but its own queue`() {
        for _ in 0..<10_000 { data.writeByte(0xEE) }
        #expect(answers.count <= 64)
    }
}
