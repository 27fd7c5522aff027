import DeviceModel
import GuestMemory
import PCI
import Synchronization
import Testing

final class PlaceLog: Sendable {
    private let log = Mutex<[UInt16?]>([])
    func append(_ place: UInt16?) { log.withLock { $0.append(place) } }
    var places: [UInt16?] { log.withLock { $0 } }
}

@Suite struct InterruptTests {
    @Test func `Pins are swizzled onto eight lines and shared lines are up while any pin is`() throws {
        let machine = FakeMachine()
        let first = plainFunction(pin: 1)
        let second = plainFunction(pin: 1)
        try machine.bus.add(first, at: PCILocation(slot: 2))
        try machine.bus.add(second, at: PCILocation(slot: 10))
        #expect(PCIBus.gsi(slot: 2, pin: 1) == 18)
        #expect(PCIBus.gsi(slot: 10, pin: 1) == 18)
        first.configuration.pin.set(true)
        second.configuration.pin.set(true)
        first.configuration.pin.set(false)
        #expect(machine.levels[2].level)
        second.configuration.pin.set(false)
        #expect(!machine.levels[2].level)
    }

    @Test func `The command register cuts the pin off but the status register still tells it`() throws {
        let machine = FakeMachine()
        let function = plainFunction(pin: 1)
        try machine.bus.add(function, at: PCILocation(slot: 1))
        function.configuration.pin.set(true)
        #expect(machine.levels[1].level)
        machine.write(0x0400, 1, 0x04, .word)
        #expect(!machine.levels[1].level)
        #expect(machine.read(1, 0x06, .word) & 8 != 0)
        machine.write(0, 1, 0x04, .word)
        #expect(machine.levels[1].level)
    }

    /// A function with three MSI-X vectors whose capability is at 0x40.
    private func machineWithVectors() throws -> (FakeMachine, PlainFunction, MSIX) {
        let machine = FakeMachine()
        let vectors = MSIX(vectorCount: 3)
        let function = PlainFunction(
            PCIConfiguration(
                PCIConfigurationSpace(plainIdentity, interruptPin: 1),
                baseAddresses: [PCIBaseAddress(register: 0, kind: .memory32, byteCount: 0x1000, device: vectors)],
                msix: (vectors, 0, 0)
            )
        )
        try machine.bus.add(function, at: PCILocation(slot: 1))
        for vector in 0..<3 as Range<UInt64> {
            vectors.write(0xFEE0_0000 + vector << 12, at: vector * 16, width: .qword)
            vectors.write(0x40 + vector, at: vector * 16 + 8, width: .dword)
        }
        return (machine, function, vectors)
    }

    @Test func `The MSI-X capability tells table and pending bits`() throws {
        let (machine, _, vectors) = try machineWithVectors()
        #expect(machine.read(1, 0x34, .byte) == 0x40)
        #expect(machine.read(1, 0x40) == 0x0002_0011)
        #expect(machine.read(1, 0x44) == 0)
        #expect(machine.read(1, 0x48) == UInt64(vectors.pendingOffset))
        machine.write(0xFFFF, 1, 0x42, .word)
        #expect(machine.read(1, 0x42, .word) == 0xC002)
    }

    @Test func `A masked vector stays pending until it is unmasked`() throws {
        let (machine, _, vectors) = try machineWithVectors()
        vectors.signal(1)
        #expect(vectors.read(at: UInt64(vectors.pendingOffset), width: .qword) == 0, "MSI-X is off")
        machine.write(0x8000, 1, 0x42, .word)
        vectors.signal(1)
        vectors.signal(1)
        #expect(vectors.read(at: UInt64(vectors.pendingOffset), width: .qword) == 2)
        #expect(machine.messages.messages.isEmpty)
        vectors.write(0, at: 16 + 12, width: .dword)
        #expect(machine.messages.messages == [MSI(address: 0xFEE0_1000, data: 0x41)])
        #expect(vectors.read(at: UInt64(vectors.pendingOffset), width: .qword) == 0)
        vectors.signal(1)
        #expect(machine.messages.messages.count == 2)
    }

    @Test func `The function mask holds back every vector`() throws {
        let (machine, _, vectors) = try machineWithVectors()
        machine.write(0xC000, 1, 0x42, .word)
        for vector in 0..<3 as Range<UInt64> { vectors.write(0, at: vector * 16 + 12, width: .dword) }
        vectors.signal(0)
        vectors.signal(2)
        vectors.signal(3)
        #expect(machine.messages.messages.isEmpty)
        machine.write(0x8000, 1, 0x42, .word)
        #expect(machine.messages.messages.map(\.data) == [0x40, 0x42])
    }

    @Test func `Messages turn the pin off`() throws {
        let (machine, function, _) = try machineWithVectors()
        function.configuration.pin.set(true)
        #expect(machine.levels[1].level)
        machine.write(0x8000, 1, 0x42, .word)
        #expect(!machine.levels[1].level)
    }

    @Test func `A reset masks every vector and turns MSI-X off`() throws {
        let (machine, function, vectors) = try machineWithVectors()
        machine.write(0x8000, 1, 0x42, .word)
        vectors.write(0, at: 12, width: .dword)
        function.reset()
        #expect(!vectors.isEnabled)
        #expect(vectors.read(at: 12, width: .dword) == 1)
    }

    @Test func `Accesses past the table read as all ones and change nothing`() throws {
        let (_, _, vectors) = try machineWithVectors()
        vectors.write(.max, at: .max, width: .qword)
        vectors.write(.max, at: UInt64(vectors.pendingOffset), width: .qword)
        #expect(vectors.read(at: .max, width: .byte) == 0xFF)
        #expect(vectors.read(at: UInt64(vectors.pendingOffset), width: .dword) == 0)
    }

    @Test func `A plain message interrupt is sent, masked and pending`() throws {
        let machine = FakeMachine()
        let message = PCIMessageInterrupt()
        let function = PlainFunction(PCIConfiguration(PCIConfigurationSpace(plainIdentity), msi: message))
        try machine.bus.add(function, at: PCILocation(slot: 1))
        #expect(machine.read(1, 0x40) == 0x0180_0005)
        machine.write(0xFEE0_1004, 1, 0x44)
        machine.write(0x31, 1, 0x4C, .word)
        message.signal()
        #expect(machine.messages.messages.isEmpty)
        machine.write(1, 1, 0x42, .word)
        message.signal()
        #expect(machine.messages.messages == [MSI(address: 0xFEE0_1004, data: 0x31)])
        machine.write(1, 1, 0x50)
        message.signal()
        #expect(machine.messages.messages.count == 1)
        #expect(machine.read(1, 0x54) == 1)
        machine.write(0, 1, 0x50)
        #expect(machine.messages.messages.count == 2)
        #expect(machine.read(1, 0x54) == 0)
    }
}
