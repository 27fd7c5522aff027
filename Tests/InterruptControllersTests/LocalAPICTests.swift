import DeviceModel
import Engine
import InterruptControllers
import Testing

struct LocalAPICTests {
    let fixture = InterruptFixture()
    var apic: LocalAPIC { fixture.apic }

    private func send(_ vector: UInt8) { fixture.fabric.deliver(MSI(address: 0xFEE0_0000, data: UInt32(vector))) }

    @Test func `A disabled APIC takes no vectors`() {
        apic[0xF0] = 0xFF
        send(0x40)
        #expect(!apic.hasDeliverableInterrupt)
        #expect(apic.acknowledge() == nil)
    }

    @Test func `The highest vector comes first and blocks its class until EOI`() {
        send(0x41)
        send(0x45)
        #expect(fixture.cpu.takeEvents() == [.interruptPending, .interruptPending])
        #expect(apic.acknowledge() == 0x45)
        #expect(apic[0xA0] == 0x40)
        #expect(!apic.hasDeliverableInterrupt)
        #expect(apic.acknowledge() == nil)
        send(0x52)
        #expect(apic.acknowledge() == 0x52)
        apic.endInterrupt()
        #expect(!apic.hasDeliverableInterrupt)
        #expect(fixture.cpu.takeEvents() == [.interruptPending])
        apic.endInterrupt()
        #expect(fixture.cpu.takeEvents() == [.interruptPending])
        #expect(apic.acknowledge() == 0x41)
    }

    @Test func `IRR and ISR show each vector at its place`() {
        send(0x65)
        #expect(apic[0x230] == 1 << 5)
        #expect(apic.acknowledge() == 0x65)
        #expect(apic[0x230] == 0)
        #expect(apic[0x130] == 1 << 5)
    }

    @Test func `The task priority holds back its class and lower ones`() {
        apic.taskPriority = 5
        #expect(apic[0x80] == 0x50)
        send(0x5F)
        #expect(!apic.hasDeliverableInterrupt)
        send(0x60)
        #expect(apic.acknowledge() == 0x60)
        apic.endInterrupt()
        _ = fixture.cpu.takeEvents()
        apic.taskPriority = 4
        #expect(fixture.cpu.takeEvents() == [.interruptPending])
        #expect(apic.acknowledge() == 0x5F)
    }

    @Test func `Vectors below 16 are errors`() {
        apic[0x370] = 0xE1
        send(3)
        #expect(apic.acknowledge() == 0xE1)
        #expect(apic[0x280] == 0)
        apic[0x280] = 0
        #expect(apic[0x280] == 1 << 6)
        apic[0x280] = 0
        #expect(apic[0x280] == 0)
        apic[0x300] = 0x4_0005
        apic[0x280] = 0
        #expect(apic[0x280] == 1 << 5)
    }

    @Test func `Software disable masks the local vectors`() {
        apic[0x320] = 0x40
        #expect(apic[0x320] == 0x40)
        apic[0xF0] = 0xFF
        #expect(apic[0x320] == 0x1_0040)
        apic[0x320] = 0x40
        #expect(apic[0x320] == 0x1_0040)
    }

    @Test func `The version register tells six local vectors`() { #expect(apic[0x30] == 0x0005_0014) }

    @Test func `LINT1 raises NMI only when programmed so`() {
        fixture.fabric.nonMaskableInterruptLine.pulse()
        #expect(fixture.cpu.takeEvents().isEmpty)
        apic[0x360] = 0x400
        fixture.fabric.nonMaskableInterruptLine.pulse()
        #expect(fixture.cpu.takeEvents() == [.nonMaskableInterrupt])
    }

    // MARK: Modes

    @Test func `The mode changes only as the manual's state diagram allows`() {
        let enabled: UInt64 = 0xFEE0_0900
        #expect(apic.readRegister(0x1B) == enabled)
        #expect(apic.readRegister(0x802) == nil)
        #expect(!apic.writeRegister(0x1B, 0xFEE0_0500))
        #expect(!apic.writeRegister(0x1B, enabled | 1))
        #expect(!apic.writeRegister(0x1B, enabled | 1 << 60))
        #expect(apic.writeRegister(0x1B, enabled | 0x400))
        #expect(apic.pageAddress == nil)
        #expect(!apic.writeRegister(0x1B, enabled))
        #expect(apic.writeRegister(0x1B, 0xFEE0_0100))
        #expect(!apic.writeRegister(0x1B, enabled | 0x400))
        #expect(apic.writeRegister(0x1B, enabled))
        #expect(apic.pageAddress == 0xFEE0_0000)
    }

    @Test func `The page moves with its base`() {
        #expect(apic.writeRegister(0x1B, 0x8000_0900))
        #expect(apic.pageAddress == 0x8000_0000)
    }

    @Test func `x2APIC registers are MSRs with their own rules`() {
        let fixture = InterruptFixture(cpuCount: 18)
        let apic = fixture.apics[17]
        apic[0xF0] = 0x1FF
        #expect(apic.writeRegister(0x1B, 0xFEE0_0C00))
        #expect(apic.readRegister(0x802) == 17)
        #expect(apic.readRegister(0x80D) == 0x1_0002)
        #expect(!apic.writeRegister(0x802, 1))
        #expect(!apic.writeRegister(0x80B, 1))
        #expect(apic.writeRegister(0x80B, 0))
        #expect(apic.readRegister(0x80B) == nil)
        #expect(apic.readRegister(0x80E) == nil)
        #expect(apic.readRegister(0x831) == nil)
        #expect(!apic.writeRegister(0x808, 0x100))
        #expect(apic.writeRegister(0x808, 0x20))
        #expect(apic.taskPriority == 2)
        #expect(!apic.writeRegister(0x832, 1 << 32))
        #expect(apic.writeRegister(0x83F, 0x77))
        #expect(apic.acknowledge() == 0x77)
        #expect(apic.readRegister(0x83F) == nil)
    }

    // MARK: Timer

    @Test func `A one-shot timer counts down at the divided rate and fires once`() {
        apic[0x3E0] = 0x0
        apic[0x320] = 0x30
        apic[0x380] = 100_000
        fixture.timers.advance(by: 50_000)
        #expect(apic[0x390] == 75_000)
        fixture.timers.advance(by: 149_999)
        #expect(!apic.hasDeliverableInterrupt)
        fixture.timers.advance(by: 1)
        #expect(apic.acknowledge() == 0x30)
        apic.endInterrupt()
        #expect(apic[0x390] == 0)
        fixture.timers.advance(by: 1_000_000)
        #expect(!apic.hasDeliverableInterrupt)
    }

    @Test func `A periodic timer fires each period without drift`() {
        apic[0x3E0] = 0xB
        apic[0x320] = 0x2_0031
        apic[0x380] = 20_000
        for _ in 0..<3 {
            fixture.timers.advance(by: 19_999)
            #expect(!apic.hasDeliverableInterrupt)
            fixture.timers.advance(by: 1)
            #expect(apic.acknowledge() == 0x31)
            apic.endInterrupt()
        }
        fixture.timers.advance(by: 5_000)
        #expect(apic[0x390] == 15_000)
        apic[0x380] = 0
        fixture.timers.advance(by: 1_000_000)
        #expect(!apic.hasDeliverableInterrupt)
    }

    @Test func `A masked timer counts but does not interrupt`() {
        apic[0x3E0] = 0xB
        apic[0x320] = 0x1_0030
        apic[0x380] = 100
        fixture.timers.advance(by: 1000)
        #expect(!apic.hasDeliverableInterrupt)
        #expect(apic[0x390] == 0)
    }

    @Test func `A time-stamp deadline fires when the counter reaches it, and disarms`() {
        #expect(apic.writeRegister(0x6E0, 5000))
        #expect(apic.readRegister(0x6E0) == 0)
        apic[0x320] = 0x4_0032
        #expect(apic.writeRegister(0x6E0, 5000))
        #expect(apic.readRegister(0x6E0) == 5000)
        fixture.timers.advance(to: 2499)
        #expect(!apic.hasDeliverableInterrupt)
        fixture.timers.advance(to: 2500)
        #expect(apic.acknowledge() == 0x32)
        #expect(apic.readRegister(0x6E0) == 0)
        apic.endInterrupt()
        // A deadline in the past fires at once; 0 disarms.
        #expect(apic.writeRegister(0x6E0, 1))
        fixture.timers.advance(by: 0)
        #expect(apic.acknowledge() == 0x32)
        apic.endInterrupt()
        #expect(apic.writeRegister(0x6E0, 9000))
        #expect(apic.writeRegister(0x6E0, 0))
        fixture.timers.advance(to: 100_000)
        #expect(!apic.hasDeliverableInterrupt)
    }

    @Test func `A deadline that is written in the interrupt handler's window is not lost`() {
        apic[0x320] = 0x4_0032
        for step in UInt64(1)...5 {
            #expect(apic.writeRegister(0x6E0, 2000 + step * 2000))
            fixture.timers.advance(to: 1000 + step * 1000)
            #expect(apic.acknowledge() == 0x32)
            apic.endInterrupt()
        }
    }
}
