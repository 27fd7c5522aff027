import DeviceModel
import GuestMemory
import InterruptControllers
import Testing

struct IOAPICTests {
    let fixture = InterruptFixture()
    var apic: LocalAPIC { fixture.apic }

    @Test func `The version register tells 24 pins and an EOI register`() {
        fixture.ioAPIC.write(1, at: 0, width: .dword)
        #expect(fixture.ioAPIC.read(at: 0x10, width: .dword) == 0x0017_0020)
        #expect(fixture.ioAPIC.read(at: 0, width: .dword) == 1)
    }

    @Test func `A masked edge is lost`() {
        fixture.redirect(5, 0x1_0045)
        fixture.ioAPIC.setPin(5, true)
        fixture.redirect(5, 0x45)
        #expect(!apic.hasDeliverableInterrupt)
        fixture.ioAPIC.setPin(5, false)
        fixture.ioAPIC.setPin(5, true)
        #expect(apic.acknowledge() == 0x45)
        apic.endInterrupt()
        fixture.ioAPIC.setPin(5, true)
        #expect(!apic.hasDeliverableInterrupt)
    }

    @Test func `A level that is still there after EOI is delivered again`() {
        fixture.redirect(17, 0x8061)
        let line = fixture.router.line(globalSystemInterrupt: 17)
        line.set(true)
        #expect(apic[0x1B0] == 1 << 1)
        #expect(apic.acknowledge() == 0x61)
        #expect(fixture.redirection(17) == 0xC061)
        line.set(true)
        #expect(!apic.hasDeliverableInterrupt)
        apic.endInterrupt()
        #expect(apic.acknowledge() == 0x61)
        line.set(false)
        apic.endInterrupt()
        #expect(!apic.hasDeliverableInterrupt)
        #expect(fixture.redirection(17) == 0x8061)
    }

    @Test func `A level that was masked is delivered when unmasked`() {
        fixture.redirect(17, 0x1_8061)
        fixture.ioAPIC.setPin(17, true)
        #expect(!apic.hasDeliverableInterrupt)
        fixture.redirect(17, 0x8061)
        #expect(apic.acknowledge() == 0x61)
    }

    @Test func `The EOI register ends a vector`() {
        fixture.redirect(17, 0x8061)
        fixture.ioAPIC.setPin(17, true)
        #expect(apic.acknowledge() == 0x61)
        fixture.ioAPIC.setPin(17, false)
        fixture.ioAPIC.write(0x61, at: 0x40, width: .dword)
        #expect(fixture.redirection(17) == 0x8061)
    }

    @Test func `The destination is the entry's high byte`() {
        let fixture = InterruptFixture(cpuCount: 2)
        fixture.redirect(4, 0x44, 1 << 24)
        fixture.router.line(4).set(true)
        #expect(!fixture.apics[0].hasDeliverableInterrupt)
        #expect(fixture.apics[1].acknowledge() == 0x44)
    }

    @Test func `ISA interrupt 0 is pin 2, the others are their own`() {
        fixture.redirect(2, 0x42)
        fixture.redirect(9, 0x49)
        fixture.router.line(0).pulse()
        #expect(apic.acknowledge() == 0x42)
        apic.endInterrupt()
        fixture.router.line(9).pulse()
        #expect(apic.acknowledge() == 0x49)
    }

    @Test func `A shared wire falls when its last device lets go`() {
        fixture.redirect(20, 0x8055)
        let first = fixture.router.line(globalSystemInterrupt: 20)
        let second = fixture.router.line(globalSystemInterrupt: 20)
        first.set(true)
        second.set(true)
        #expect(apic.acknowledge() == 0x55)
        first.set(false)
        apic.endInterrupt()
        #expect(apic.acknowledge() == 0x55)
        second.set(false)
        apic.endInterrupt()
        #expect(apic.acknowledge() == nil)
    }
}
