import DeviceModel
import Engine
import InterruptControllers
import Testing

struct InterruptFabricTests {
    let fixture = InterruptFixture(cpuCount: 4)

    /// Which processors get `vector`.
    private func receivers(of vector: UInt8) -> [Int] {
        fixture.apics.indices.filter { fixture.apics[$0].acknowledge() == vector }
    }

    private func sendIPI(_ low: UInt32, to destination: UInt32, from sender: Int = 0) {
        fixture.apics[sender][0x310] = destination << 24
        fixture.apics[sender][0x300] = low
    }

    @Test func `A physical destination names one processor, 0xFF all`() {
        sendIPI(0x50, to: 2)
        #expect(receivers(of: 0x50) == [2])
        sendIPI(0x51, to: 0xFF)
        #expect(receivers(of: 0x51) == [0, 1, 3])
        fixture.apics[2].endInterrupt()
        #expect(receivers(of: 0x51) == [2])
    }

    @Test func `Shorthands name self, all, and all others`() {
        sendIPI(0x4_0050, to: 3, from: 1)
        #expect(receivers(of: 0x50) == [1])
        sendIPI(0x8_0061, to: 3, from: 1)
        #expect(receivers(of: 0x61) == [0, 1, 2, 3])
        sendIPI(0xC_0072, to: 3, from: 1)
        #expect(receivers(of: 0x72) == [0, 2, 3])
    }

    @Test func `Flat logical destinations are a bit each`() {
        for (index, apic) in fixture.apics.enumerated() { apic[0xD0] = 1 << UInt32(24 + index) }
        sendIPI(0x850, to: 0b1010)
        #expect(receivers(of: 0x50) == [1, 3])
    }

    @Test func `Cluster destinations are a cluster and a bit each`() {
        for (index, apic) in fixture.apics.enumerated() {
            apic[0xE0] = 0x0FFF_FFFF
            apic[0xD0] = UInt32(index / 2) << 28 | 1 << UInt32(24 + index % 2)
        }
        sendIPI(0x850, to: 0x12)
        #expect(receivers(of: 0x50) == [3])
        sendIPI(0x861, to: 0x13)
        #expect(receivers(of: 0x61) == [2, 3])
    }

    @Test func `x2APIC destinations have 32 bits`() {
        for apic in fixture.apics { #expect(apic.writeRegister(0x1B, (apic.readRegister(0x1B) ?? 0) | 0x400)) }
        #expect(fixture.apics[0].writeRegister(0x830, 3 << 32 | 0x50))
        #expect(receivers(of: 0x50) == [3])
        #expect(fixture.apics[0].writeRegister(0x830, 0b0110 << 32 | 0x861))
        #expect(receivers(of: 0x61) == [1, 2])
        #expect(fixture.apics[0].writeRegister(0x830, 0xFFFF_FFFF << 32 | 0x72))
        #expect(receivers(of: 0x72) == [0, 1, 2, 3])
    }

    @Test func `Lowest priority goes to one processor, the least busy`() {
        for (index, apic) in fixture.apics.enumerated() {
            apic[0xD0] = 1 << UInt32(24 + index)
            apic.taskPriority = index == 2 ? 1 : 3
        }
        fixture.fabric.deliver(MSI(address: 0xFEE0_F00C, data: 0x150))
        #expect(receivers(of: 0x50) == [2])
    }

    @Test func `INIT, start-up and NMI are signalled to the processor`() {
        for cpu in fixture.cpus { _ = cpu.takeEvents() }
        sendIPI(0x0000_C500, to: 1)
        sendIPI(0x0000_8500, to: 1)
        sendIPI(0x0000_0699, to: 1)
        #expect(fixture.cpus[1].takeEvents() == [.initialize, .startUp(vector: 0x99)])
        sendIPI(0xC_0400, to: 0)
        #expect(
            fixture.cpus.map { $0.takeEvents() } == [
                [], [.nonMaskableInterrupt], [.nonMaskableInterrupt], [.nonMaskableInterrupt],
            ]
        )
        // INIT resets the APIC but not its ID.
        #expect(fixture.apics[1][0xF0] == 0xFF)
        #expect(fixture.apics[1][0x20] == 1 << 24)
    }

    @Test func `An MSI is physical or logical by its destination mode`() {
        for (index, apic) in fixture.apics.enumerated() { apic[0xD0] = 1 << UInt32(24 + index) }
        fixture.fabric.deliver(MSI(address: 0xFEE0_1000, data: 0x50))
        #expect(receivers(of: 0x50) == [1])
        fixture.fabric.deliver(MSI(address: 0xFEE0_1004, data: 0x61))
        #expect(receivers(of: 0x61) == [0])
    }

    @Test func `A write outside the interrupt window is no interrupt`() {
        fixture.fabric.deliver(MSI(address: 0xFED0_0000, data: 0x50))
        #expect(receivers(of: 0x50).isEmpty)
    }
}
