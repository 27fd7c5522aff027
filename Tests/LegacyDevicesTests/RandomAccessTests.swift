import DeviceModel
import GuestMemory
import LegacyDevices
import Testing

struct RandomAccessTests {
    @Test(arguments: [1, 2, 3] as [UInt64]) func `Random register accesses trap nothing`(seed: UInt64) throws {
        let timers = ManualTimerService()
        let machine = RecordingMachine()
        let pit = PIT8254(timers: timers, interrupt: .unconnected)
        let clock = RealTimeClock(start: Int64(bitPattern: seed) - 2, timers: timers, interrupt: .unconnected)
        let uart = UART16550A(output: RecordingOutput(), timers: timers, interrupt: .unconnected)
        let keyboard = KeyboardController(interrupt: .unconnected, auxiliaryInterrupt: .unconnected, machine: machine)
        let power = ACPIPowerManagement(timers: timers, interrupt: .unconnected, machine: machine)
        let reset = ResetControl(machine: machine)
        let debug = DebugPorts(output: RecordingOutput(), machine: machine)
        let configuration = FirmwareConfiguration(memory: try GuestMemory(byteCount: 1 << 16))
        configuration.add(file: String(repeating: "long", count: 40), [1, 2, 3])
        let devices: [any BusDevice] = [
            pit.channelPorts, pit.speakerPort, clock.ports, uart, keyboard.dataPort, keyboard.commandPort,
            power.eventBlock,
            power.controlBlock, power.timerBlock, power.generalPurposeBlock, reset.resetPort, reset.systemControlPort,
            debug.console, debug.progressPort, debug.exitPort, configuration.ports, configuration.dmaPorts,
        ]
        var random = seed
        func next() -> UInt64 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return random >> 16
        }
        for _ in 0..<30_000 {
            let device = devices[Int(next() % UInt64(devices.count))]
            let width = [AccessWidth.byte, .word, .dword, .qword][Int(next() % 4)]
            switch next() % 8 {
            case 0: timers.advance(by: next() % (next() % 64 == 0 ? 10_000_000_000 : 100_000))
            case 1: uart.receive([UInt8(truncatingIfNeeded: next())])
            case 2, 3, 4: _ = device.read(at: next() % 10, width: width)
            default: device.write(next() % 4 == 0 ? .max : next(), at: next() % 10, width: width)
            }
        }
        #expect(timers.now > 0)
    }
}
