import DeviceModel
import GuestMemory
import InterruptControllers
import Testing

struct InterruptController8259Tests {
    let fixture = InterruptFixture()
    var apic: LocalAPIC { fixture.apic }
    var pair: InterruptController8259 { fixture.pair }

    private func write(_ device: any BusDevice, _ offset: UInt64, _ values: UInt64...) {
        for value in values { device.write(value, at: offset, width: .byte) }
    }

    /// As PC firmware does: vectors 0x08 and 0x70, nothing masked.
    private func initialize(mode: UInt64 = 0x01) {
        write(pair.firstPorts, 0, 0x11)
        write(pair.firstPorts, 1, 0x08, 0x04, mode, 0x00)
        write(pair.secondPorts, 0, 0x11)
        write(pair.secondPorts, 1, 0x70, 0x02, mode & ~0x10, 0x00)
    }

    private func raise(_ irqs: Int...) { for irq in irqs { fixture.router.line(irq).pulse() } }

    private var inService: UInt64 {
        write(pair.firstPorts, 0, 0x0B)
        return pair.firstPorts.read(at: 0, width: .byte)
    }

    @Test func `Before initialization nothing is delivered`() {
        raise(1)
        #expect(!apic.hasDeliverableInterrupt)
    }

    @Test func `Interrupts come through LINT0 in the order of priority`() {
        initialize()
        raise(4, 1, 12)
        #expect(apic.acknowledge() == 0x09)
        #expect(inService == 0x02)
        #expect(!apic.hasDeliverableInterrupt)
        write(pair.firstPorts, 0, 0x20)
        #expect(apic.acknowledge() == 0x74)
        #expect(inService == 0x04)
        write(pair.secondPorts, 0, 0x20)
        #expect(!apic.hasDeliverableInterrupt)
        write(pair.firstPorts, 0, 0x20)
        #expect(apic.acknowledge() == 0x0C)
        write(pair.firstPorts, 0, 0x20)
        #expect(!apic.hasDeliverableInterrupt)
    }

    @Test func `A higher input interrupts a lower one in service`() {
        initialize()
        raise(5)
        #expect(apic.acknowledge() == 0x0D)
        raise(6)
        #expect(!apic.hasDeliverableInterrupt)
        raise(3)
        #expect(apic.acknowledge() == 0x0B)
        #expect(inService == 0x28)
        write(pair.firstPorts, 0, 0x65)
        #expect(inService == 0x08)
    }

    @Test func `A level that goes away before the acknowledge is spurious: vector 7, nothing in service`() {
        initialize()
        write(pair.triggerPorts, 0, 0x20)
        #expect(pair.triggerPorts.read(at: 0, width: .word) == 0x0020)
        let line = fixture.router.line(5)
        line.set(true)
        #expect(apic.hasDeliverableInterrupt)
        line.set(false)
        #expect(!apic.hasDeliverableInterrupt)
        #expect(pair.acknowledgeInterrupt() == 0x0F)
        #expect(inService == 0)
    }

    @Test func `A level asks again after EOI, an edge does not`() {
        initialize()
        write(pair.triggerPorts, 1, 0x02)
        let level = fixture.router.line(9)
        level.set(true)
        #expect(apic.acknowledge() == 0x71)
        write(pair.secondPorts, 0, 0x20)
        write(pair.firstPorts, 0, 0x20)
        #expect(apic.acknowledge() == 0x71)
        level.set(false)
        write(pair.secondPorts, 0, 0x20)
        write(pair.firstPorts, 0, 0x20)
        fixture.router.line(1).set(true)
        #expect(apic.acknowledge() == 0x09)
        write(pair.firstPorts, 0, 0x20)
        #expect(!apic.hasDeliverableInterrupt)
    }

    @Test func `The mask holds back and keeps requests`() {
        initialize()
        write(pair.firstPorts, 1, 0xFF)
        #expect(pair.firstPorts.read(at: 1, width: .byte) == 0xFF)
        raise(3)
        #expect(!apic.hasDeliverableInterrupt)
        #expect(pair.firstPorts.read(at: 0, width: .byte) == 0x08)
        write(pair.firstPorts, 1, 0xF7)
        #expect(apic.acknowledge() == 0x0B)
    }

    @Test func `Automatic end leaves nothing in service`() {
        initialize(mode: 0x03)
        raise(3, 4)
        #expect(apic.acknowledge() == 0x0B)
        #expect(inService == 0)
        #expect(apic.acknowledge() == 0x0C)
    }

    @Test func `Rotation makes the ended input the lowest`() {
        initialize()
        raise(0, 1)
        #expect(apic.acknowledge() == 0x08)
        raise(0)
        write(pair.firstPorts, 0, 0xA0)
        #expect(apic.acknowledge() == 0x09)
        write(pair.firstPorts, 0, 0x20)
        #expect(apic.acknowledge() == 0x08)
        write(pair.firstPorts, 0, 0x20, 0xC3)
        raise(3, 4)
        #expect(apic.acknowledge() == 0x0C)
    }

    @Test func `In special mask mode a masked input in service lets lower ones through`() {
        initialize()
        raise(1)
        #expect(apic.acknowledge() == 0x09)
        raise(6)
        #expect(!apic.hasDeliverableInterrupt)
        write(pair.firstPorts, 0, 0x68)
        #expect(!apic.hasDeliverableInterrupt)
        write(pair.firstPorts, 1, 0x02)
        #expect(apic.acknowledge() == 0x0E)
    }

    @Test func `Polling takes the place of the acknowledge`() {
        initialize()
        raise(4)
        write(pair.firstPorts, 0, 0x0C)
        #expect(pair.firstPorts.read(at: 0, width: .byte) == 0x84)
        #expect(inService == 0x10)
        write(pair.firstPorts, 0, 0x0C)
        #expect(pair.firstPorts.read(at: 0, width: .byte) == 0)
    }

    @Test func `A masked LINT0 stops the pair`() {
        initialize()
        apic[0x350] = 0x1_0700
        raise(4)
        #expect(!apic.hasDeliverableInterrupt)
        apic[0x350] = 0x700
        #expect(apic.acknowledge() == 0x0C)
    }
}
