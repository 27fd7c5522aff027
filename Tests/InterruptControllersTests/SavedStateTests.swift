import DeviceModel
import GuestMemory
import InterruptControllers
import MachineState
import Testing

extension InterruptFixture {
    fileprivate var parts: [any Saveable] { [pair, ioAPIC] + apics }

    /// One random access; what it read, and what the processors can take.
    fileprivate func access(_ random: inout Generator, _ lines: [InterruptLine]) -> UInt64 {
        let devices: [any BusDevice] = [
            apics[0], apics[1], ioAPIC, pair.firstPorts, pair.secondPorts, pair.triggerPorts,
        ]
        let device = devices[Int(random.next() % UInt64(devices.count))]
        let width = [AccessWidth.byte, .word, .dword][Int(random.next() % 3)]
        let offset = random.next() % (random.next() % 2 == 0 ? 0x20 : 0x1000) & ~(random.next() % 2 * 0xF)
        let apic = apics[Int(random.next() % 2)]
        switch random.next() % 8 {
        case 0, 1: return device.read(at: offset, width: width) & width.mask
        case 2, 3: device.write(random.value(), at: offset, width: width)
        case 4: _ = apic.writeRegister(0x800 + UInt32(random.next() % 0x40), random.value())
        case 5:
            return apic.readRegister([0x1B, 0x6E0, 0x800 + UInt32(random.next() % 0x40)][Int(random.next() % 3)]) ?? 1
        case 6: _ = apic.writeRegister(0x6E0, random.value())
        default:
            lines[Int(random.next() % 16)].set(random.next() % 2 == 0)
            fabric.deliver(MSI(address: 0xFEE0_0000 | random.next() & 0xFFFFF, data: UInt32(random.next() >> 32)))
            timers.advance(by: random.next() % 100_000)
            return UInt64(apic.acknowledge() ?? 0)
        }
        return apics.reduce(0) { $0 << 1 | ($1.hasDeliverableInterrupt ? 1 : 0) }
    }
}

@Suite struct SavedStateTests {
    @Test(arguments: Array(1...20) as [UInt64])
    func `Controllers that were saved and loaded go on as those that were not`(seed: UInt64) throws {
        var random = Generator(state: seed)
        let (first, second) = (InterruptFixture(cpuCount: 2), InterruptFixture(cpuCount: 2))
        let lines = (0..<16).map { first.router.line($0) }
        var levels = [Bool](repeating: false, count: 16)
        for _ in 0..<3000 {
            _ = first.access(&random, lines)
            if random.next() % 8 == 0 {
                let line = Int(random.next() % 16)
                levels[line].toggle()
                lines[line].set(levels[line])
            }
        }
        for line in 0..<16 { lines[line].set(levels[line]) }
        second.timers.advance(to: first.timers.now)
        // Devices drive their wires first, as they do when a machine is loaded.
        let others = (0..<16).map { second.router.line($0) }
        for line in 0..<16 { others[line].set(levels[line]) }
        for (part, other) in zip(first.parts, second.parts) {
            try StateSection(part.stateName, saving: part).load(into: other)
        }
        #expect(first.apics.map(\.hasDeliverableInterrupt) == second.apics.map(\.hasDeliverableInterrupt))
        var other = random
        for step in 0..<3000 {
            let (here, there) = (first.access(&random, lines), second.access(&other, others))
            guard here == there else {
                let values = (here, there)
                #expect(values.0 == values.1, "step \(step)")
                return
            }
        }
    }

    @Test func `A section that was cut anywhere is refused`() throws {
        let (first, second) = (InterruptFixture(), InterruptFixture())
        for (part, other) in zip(first.parts, second.parts) {
            let section = try StateSection(part.stateName, saving: part)
            for count in 0..<section.contents.count {
                var cut = section
                cut.contents.removeLast(section.contents.count - count)
                #expect(throws: StateFault.self, "\(part.stateName), \(count) bytes") { try cut.load(into: other) }
            }
        }
    }

    @Test func `The state of the bootstrap processor does not fit another`() throws {
        let fixture = InterruptFixture(cpuCount: 2)
        let section = try StateSection("apic", saving: fixture.apics[0])
        #expect(throws: StateFault.badValue(field: "base", value: "0xfee00900")) {
            try section.load(into: fixture.apics[1])
        }
    }
}
