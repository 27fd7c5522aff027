import DeviceModel
import GuestMemory
import LegacyDevices
import MachineState
import Testing

/// A PC's legacy devices with what they are connected to.
private final class Rig {
    let timers: ManualTimerService
    let machine = RecordingMachine()
    let output = RecordingOutput()
    let lines = (0..<6).map { _ in RecordingLine() }
    let pit: PIT8254
    let clock: RealTimeClock
    let uart: UART16550A
    let keyboard: KeyboardController
    let power: ACPIPowerManagement
    let reset: ResetControl
    let debug: DebugPorts
    let configuration: FirmwareConfiguration
    let memory: GuestMemory

    init(now: UInt64) throws {
        timers = ManualTimerService(now: now)
        memory = try GuestMemory(byteCount: 1 << 16)
        pit = PIT8254(timers: timers, interrupt: lines[0].line)
        clock = RealTimeClock(start: 1_000_000_000, timers: timers, interrupt: lines[1].line)
        uart = UART16550A(output: output, timers: timers, interrupt: lines[2].line)
        keyboard = KeyboardController(
            interrupt: lines[3].line,
            auxiliaryInterrupt: lines[4].line,
            machine: machine
        )
        power = ACPIPowerManagement(timers: timers, interrupt: lines[5].line, machine: machine)
        reset = ResetControl(machine: machine)
        debug = DebugPorts(output: output, machine: machine)
        configuration = FirmwareConfiguration(memory: memory)
    }

    var parts: [any Saveable] { [pit, clock, uart, keyboard, power, reset, debug, configuration] }

    var devices: [any BusDevice] {
        [
            pit.channelPorts, pit.speakerPort, clock.ports, uart, keyboard.dataPort, keyboard.commandPort,
            power.eventBlock, power.controlBlock, power.timerBlock, power.generalPurposeBlock, reset.resetPort,
            reset.systemControlPort, debug.progressPort, configuration.ports, configuration.dmaPorts,
        ]
    }

    /// One random access; what it read.
    func access(_ random: inout UInt64) -> UInt64 {
        func next() -> UInt64 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return random >> 16
        }
        let device = devices[Int(next() % UInt64(devices.count))]
        let width = [AccessWidth.byte, .byte, .word, .dword][Int(next() % 4)]
        switch next() % 8 {
        case 0:
            timers.advance(by: next() % (next() % 64 == 0 ? 10_000_000_000 : 100_000))
            return 0
        case 1:
            uart.receive([UInt8(truncatingIfNeeded: next())])
            return 0
        case 2, 3, 4: return device.read(at: next() % 10, width: width) & width.mask
        default:
            device.write(next() % 4 == 0 ? .max : next(), at: next() % 10, width: width)
            return 0
        }
    }

    var levels: [Bool] { lines.map(\.level) }
}

@Suite struct SavedStateTests {
    @Test(arguments: Array(1...20) as [UInt64])
    func `A device that was saved and loaded goes on as the one that was not`(seed: UInt64) throws {
        var random = seed
        let first = try Rig(now: 0)
        first.configuration.add(file: "etc/some", [1, 2, 3])
        for _ in 0..<2000 { _ = first.access(&random) }
        first.uart.flush()
        let second = try Rig(now: first.timers.now)
        for (part, other) in zip(first.parts, second.parts) {
            try StateSection(part.stateName, saving: part).load(into: other)
        }
        second.clock.resume()
        #expect(first.levels == second.levels)
        var other = random
        for step in 0..<2000 {
            let (here, there) = (first.access(&random), second.access(&other))
            guard here == there, first.levels == second.levels else {
                #expect(here == there, "step \(step)")
                #expect(first.levels == second.levels, "step \(step)")
                break
            }
        }
        #expect(first.machine.requests.suffix(5) == second.machine.requests.suffix(5))
    }

    @Test func `A section that was cut anywhere, or is too long, is refused`() throws {
        var random: UInt64 = 5
        let rig = try Rig(now: 0)
        for _ in 0..<500 { _ = rig.access(&random) }
        for (part, other) in zip(rig.parts, try Rig(now: rig.timers.now).parts) {
            let section = try StateSection(part.stateName, saving: part)
            for count in 0..<section.contents.count {
                var cut = section
                cut.contents.removeLast(section.contents.count - count)
                #expect(throws: StateFault.self, "\(part.stateName), \(count) bytes") { try cut.load(into: other) }
            }
            var long = section
            long.contents.append(0)
            #expect(throws: StateFault.leftover(byteCount: 1)) { try long.load(into: other) }
        }
    }

    @Test func `Random bytes for a state trap nothing, whatever is done next`() throws {
        var random: UInt64 = 9
        func next() -> UInt64 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return random >> 16
        }
        var loadedCount = 0
        for _ in 0..<300 {
            let rig = try Rig(now: next() % 1_000_000_000)
            for (part, fresh) in zip(rig.parts, try Rig(now: 0).parts) {
                var section = try StateSection(part.stateName, saving: fresh)
                for _ in 0..<(1 + next() % 4) where !section.contents.isEmpty {
                    section.contents[Int(next() % UInt64(section.contents.count))] = UInt8(truncatingIfNeeded: next())
                }
                if (try? section.load(into: part)) != nil { loadedCount += 1 }
            }
            for _ in 0..<100 { _ = rig.access(&random) }
        }
        #expect(loadedCount > 100)
    }

    @Test func `The date goes on while the machine stands still`() throws {
        func date(_ clock: RealTimeClock) -> [UInt64] {
            ([7, 8, 9] as [UInt64]).map { register in
                clock.ports.write(register, at: 0, width: .byte)
                return clock.ports.read(at: 1, width: .byte)
            }
        }
        let timers = ManualTimerService(now: 5_000_000_000)
        let clock = RealTimeClock(timers: timers, interrupt: .unconnected)
        // The guest has its own idea of the date: some 47 days on.
        timers.advance(by: 1 << 52)
        let section = try StateSection("rtc", saving: clock)
        // Saved long ago: the machine's time is where it was, and the date is the host's, 47 days on.
        let other = RealTimeClock(timers: ManualTimerService(now: 3_000_000_000), interrupt: .unconnected)
        try section.load(into: other)
        other.resume()
        #expect(date(other) == date(clock))
        #expect(date(other) != date(RealTimeClock(timers: ManualTimerService(), interrupt: .unconnected)))
    }
}
