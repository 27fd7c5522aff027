import DeviceModel
import GuestMemory
import InterruptControllers
import Testing

struct RandomAccessTests {
    @Test func `Random register accesses trap nothing`() {
        let fixture = InterruptFixture(cpuCount: 2)
        let pair = fixture.pair
        let devices: [any BusDevice] = [
            fixture.apics[0], fixture.apics[1], fixture.ioAPIC, pair.firstPorts, pair.secondPorts, pair.triggerPorts,
        ]
        var random = Generator(state: 0x5EED)
        for _ in 0..<30_000 {
            let device = devices[Int(random.next() % UInt64(devices.count))]
            let width = [AccessWidth.byte, .word, .dword, .qword][Int(random.next() % 4)]
            let offset = random.next() % (random.next() % 2 == 0 ? 0x20 : 0x1000) & ~(random.next() % 2 * 0xF)
            let apic = fixture.apics[Int(random.next() % 2)]
            switch random.next() % 8 {
            case 0: _ = device.read(at: offset, width: width)
            case 1...3: device.write(random.value(), at: offset, width: width)
            case 4: _ = apic.writeRegister(0x800 + UInt32(random.next() % 0x40), random.value())
            case 5: _ = apic.readRegister([0x1B, 0x6E0, 0x800 + UInt32(random.next() % 0x40)][Int(random.next() % 3)])
            case 6:
                _ = apic.writeRegister(0x1B, 0xFEE0_0000 | (random.next() & 0xC00))
                _ = apic.writeRegister(0x6E0, random.value())
            default:
                fixture.router.line(Int(random.next() % 16)).set(random.next() % 2 == 0)
                fixture.fabric.deliver(
                    MSI(address: 0xFEE0_0000 | random.next() & 0xFFFFF, data: UInt32(random.next() >> 32))
                )
                _ = apic.acknowledge()
                fixture.timers.advance(by: random.next() % 100_000)
            }
        }
        #expect(fixture.timers.now > 0)
    }
}

/// A linear congruential generator: the same accesses each time.
struct Generator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 16
    }

    /// Small, large or any value.
    mutating func value() -> UInt64 {
        switch next() % 3 {
        case 0: next() % 0x100
        case 1: .max - next() % 0x100
        default: next() << 16 ^ next()
        }
    }
}
