import DeviceModel
import GuestMemory
import PCI
import Testing

@Suite struct ConfigurationTests {
    @Test func `Identification registers ignore writes`() throws {
        let machine = FakeMachine()
        try machine.bus.add(plainFunction(), at: PCILocation(slot: 3))
        machine.write(0xFFFF_FFFF, 3, 0x00)
        machine.write(0xFFFF_FFFF, 3, 0x08)
        #expect(machine.read(3, 0x00) == 0x5678_1234)
        #expect(machine.read(3, 0x08) == 0xFF00_0000)
    }

    @Test func `The command register keeps only the bits that exist`() throws {
        let machine = FakeMachine()
        try machine.bus.add(plainFunction(), at: PCILocation(slot: 3))
        machine.write(0xFFFF, 3, 0x04, .word)
        #expect(machine.read(3, 0x04, .word) == 0x0547)
    }

    @Test func `An absent function reads as all ones at every width`() {
        let machine = FakeMachine()
        #expect(machine.read(7, 0) == 0xFFFF_FFFF)
        #expect(machine.read(7, 2, .word) == 0xFFFF)
        #expect(machine.read(7, 1, .byte) == 0xFF)
    }

    @Test func `A slot is given once`() throws {
        let machine = FakeMachine()
        try machine.bus.add(plainFunction(), at: PCILocation(slot: 3))
        #expect(throws: PCIError.slotUnavailable(PCILocation(slot: 3))) {
            try machine.bus.add(plainFunction(), at: PCILocation(slot: 3))
        }
        #expect("\(PCIError.slotUnavailable(PCILocation(slot: 0x1F)))" == "PCI slot 00:1f.0 is taken or does not exist")
    }

    @Test(
        arguments: [
            (.memory32, 0x1000, 0xFFFF_F000), (.memory64, 0x4000, 0xFFFF_C004), (.port, 0x20, 0xFFFF_FFE1),
        ] as [(PCIBaseAddress.Kind, UInt64, UInt64)]
    )
    func `All ones written to a base address register read back as its size`(
        kind: PCIBaseAddress.Kind,
        byteCount: UInt64,
        expected: UInt64
    ) throws {
        let machine = FakeMachine()
        try machine.bus.add(plainFunction([(0, kind, byteCount)]), at: PCILocation(slot: 3))
        machine.write(0xFFFF_FFFF, 3, 0x10)
        machine.write(0xFFFF_FFFF, 3, 0x14)
        #expect(machine.read(3, 0x10) == expected)
        #expect(machine.read(3, 0x14) == (kind == .memory64 ? 0xFFFF_FFFF : 0))
    }

    @Test func `A range is mapped while its space is decoded and nowhere while it is sized`() throws {
        let machine = FakeMachine()
        try machine.bus.add(plainFunction([(0, .memory32, 0x1000), (1, .port, 0x20)]), at: PCILocation(slot: 3))
        machine.write(0xFE00_0000, 3, 0x10)
        machine.write(0xC000, 3, 0x14)
        #expect(machine.addressSpace.bases(.memory).isEmpty)
        machine.write(2, 3, 0x04, .word)
        #expect(machine.addressSpace.bases(.memory) == [0xFE00_0000])
        #expect(machine.addressSpace.bases(.port).isEmpty)
        machine.write(3, 3, 0x04, .word)
        #expect(machine.addressSpace.bases(.port) == [0xC000])
        machine.write(0xFFFF_FFFF, 3, 0x10)
        #expect(machine.addressSpace.bases(.memory).isEmpty)
        machine.write(0xFE10_0000, 3, 0x10)
        #expect(machine.addressSpace.bases(.memory) == [0xFE10_0000])
        machine.bus.reset()
        #expect(machine.addressSpace.bases(.memory).isEmpty && machine.addressSpace.bases(.port).isEmpty)
        #expect(machine.read(3, 0x10) == 0)
    }

    @Test func `Resources are assigned without overlap and decoded`() throws {
        let machine = FakeMachine()
        try machine.bus.add(plainFunction([(0, .memory32, 0x1000), (1, .port, 0x20)]), at: PCILocation(slot: 3))
        try machine.bus.add(plainFunction([(0, .memory64, 0x4000)], pin: 1), at: PCILocation(slot: 4))
        try machine.bus.assignResources(memoryWindow: 0xFE00_1000..<0xFE10_0000, portWindow: 0xC000..<0xD000)
        #expect(machine.addressSpace.bases(.memory) == [0xFE00_4000, 0xFE00_8000])
        #expect(machine.addressSpace.bases(.port) == [0xC000])
        #expect(machine.read(4, 0x10) == 0xFE00_4004)
        #expect(machine.read(4, 0x3C, .byte) == 20)
    }

    @Test func `A window that is too small is named`() throws {
        let machine = FakeMachine()
        try machine.bus.add(plainFunction([(0, .memory32, 0x1000)]), at: PCILocation(slot: 3))
        let error = PCIError.windowExhausted(.memory, byteCount: 0x1000, PCILocation(slot: 3))
        #expect(throws: error) {
            try machine.bus.assignResources(memoryWindow: 0xFE00_0000..<0xFE00_0800, portWindow: 0..<0)
        }
        #expect("\(error)" == "the PCI memory window has no room for 4096 bytes of 00:03.0")
    }

    @Test func `Ports and the memory window show the same registers`() throws {
        let machine = FakeMachine()
        let window = PCIExpressWindow(machine.bus)
        try machine.bus.add(LPCBridge(), at: LPCBridge.location)
        for register in stride(from: 0, to: 256, by: 4) {
            let offset = UInt64(0x1F << 15 | register)
            #expect(window.read(at: offset, width: .dword) == machine.read(0x1F, register))
            #expect(window.read(at: offset + 1, width: .word) == machine.read(0x1F, register + 1, .word))
            #expect(window.read(at: offset + 3, width: .byte) == machine.read(0x1F, register + 3, .byte))
        }
        window.write(0xAB, at: 0x1F << 15 | 0x3C, width: .byte)
        #expect(machine.read(0x1F, 0x3C, .byte) == 0xAB)
        #expect(window.read(at: 0x1F << 15 | 0x100, width: .dword) == 0)
        #expect(window.read(at: 1 << 20, width: .dword) == 0xFFFF_FFFF)
        #expect(window.read(at: .max, width: .qword) == .max)
    }

    @Test func `The address port answers double words only`() {
        let machine = FakeMachine()
        machine.ports.write(0x8000_1234, at: 0, width: .dword)
        machine.ports.write(0x55, at: 1, width: .byte)
        #expect(machine.ports.read(at: 0, width: .dword) == 0x8000_1234)
        #expect(machine.ports.read(at: 0, width: .byte) == 0xFF)
    }
}

@Suite struct BridgeTests {
    @Test func `The host bridge is the Q35 hub and places the configuration window`() throws {
        let machine = FakeMachine()
        let bridge = PCIHostBridge(window: PCIExpressWindow(machine.bus), in: machine.addressSpace)
        try machine.bus.add(bridge, at: PCIHostBridge.location)
        #expect(machine.read(0, 0) == 0x29C0_8086)
        #expect(machine.addressSpace.bases(.memory).isEmpty)
        machine.write(0, 0, 0x64)
        machine.write(0xB000_0001, 0, 0x60)
        #expect(machine.addressSpace.bases(.memory) == [0xB000_0000])
        machine.write(0xE000_0001, 0, 0x60)
        #expect(machine.addressSpace.bases(.memory) == [0xE000_0000])
        machine.write(0, 0, 0x60)
        #expect(machine.addressSpace.bases(.memory).isEmpty)
        machine.write(0x33, 0, 0x95, .byte)
        #expect(machine.read(0, 0x95, .byte) == 0x33)
    }

    @Test func `A window base given by the machine is there from the start and after reset`() {
        let machine = FakeMachine()
        let bridge = PCIHostBridge(
            window: PCIExpressWindow(machine.bus),
            in: machine.addressSpace,
            windowBase: 0xE000_0000
        )
        bridge.writeConfiguration(0, at: 0x60, width: .dword)
        #expect(machine.addressSpace.bases(.memory).isEmpty)
        bridge.reset()
        #expect(machine.addressSpace.bases(.memory) == [0xE000_0000])
    }

    @Test func `The LPC bridge tells where the power-management ports lie`() throws {
        let machine = FakeMachine()
        let log = PlaceLog()
        try machine.bus.add(LPCBridge { log.append($0) }, at: LPCBridge.location)
        #expect(machine.read(0x1F, 0) == 0x2918_8086)
        machine.write(0x0601, 0x1F, 0x40)
        #expect(log.places.isEmpty)
        machine.write(0x80, 0x1F, 0x44, .byte)
        machine.write(0x80, 0x1F, 0x44, .byte)
        #expect(log.places == [0x600])
        machine.bus.reset()
        #expect(log.places == [0x600, nil])
        #expect(machine.read(0x1F, 0x40) == 1)
    }

    @Test func `Interrupt routes are those that the firmware wrote`() {
        let bridge = LPCBridge()
        #expect(bridge.interruptRoute(ofLine: 0) == nil)
        bridge.writeConfiguration(0x0B, at: 0x69, width: .byte)
        #expect(bridge.interruptRoute(ofLine: 5) == 11)
        #expect(bridge.interruptRoute(ofLine: 8) == nil)
    }
}
