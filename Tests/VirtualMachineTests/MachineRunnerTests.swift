import DeviceModel
import Engine
import GuestMemory
import Synchronization
import Telemetry
import Testing
import X86

@testable import VirtualMachine

/// Answers reads with 0x5A + offset, records writes.
private final class RecordingDevice: BusDevice {
    let writes = Mutex<[[UInt64]]>([])
    let onWrite: @Sendable () -> Void

    init(onWrite: @escaping @Sendable () -> Void = {}) { self.onWrite = onWrite }

    func read(at offset: UInt64, width: AccessWidth) -> UInt64 { 0x5A + offset }
    func write(_ value: UInt64, at offset: UInt64, width: AccessWidth) {
        writes.withLock { $0.append([offset, value, UInt64(width.rawValue)]) }
        onWrite()
    }
}

@Suite struct MachineRunnerTests {
    private let ports = Bus(name: "port")
    private let memoryBus = Bus(name: "memory")
    private let control = MachineControl()

    private func runner(_ cpus: [ScriptedProcessor], _ time: MachineTime? = nil) -> MachineRunner {
        MachineRunner(
            members: cpus.map { MachineRunner.Member(processor: Processor(cpu: $0, state: $0.state), localAPIC: nil) },
            ports: ports,
            memoryBus: memoryBus,
            control: control,
            time: time ?? MachineTime(.host)
        )
    }

    @Test func `Accesses reach the device of their bus, and reads are answered`() throws {
        let (control, portDevice) = (control, RecordingDevice())
        let memoryDevice = RecordingDevice { control.end(.powerOff) }
        try ports.map(portDevice, base: 0x100, byteCount: 8)
        try memoryBus.map(memoryDevice, base: 0xF000_0000, byteCount: 8)
        let cpu = ScriptedProcessor([
            .portWrite(port: 0x102, value: 0x77, width: .byte), .portRead(port: 0x101, width: .word),
            .portRead(port: 0x9999, width: .byte), .memoryRead(GuestAddress(0xF000_0004), width: .dword),
            .memoryWrite(GuestAddress(0xF000_0000), value: 0x1234, width: .word),
        ])
        #expect(try runner([cpu]).run() == .powerOff)
        #expect(portDevice.writes.withLock { $0 } == [[2, 0x77, 1]])
        #expect(memoryDevice.writes.withLock { $0 } == [[0, 0x1234, 2]])
        #expect(cpu.answers == [0x5B, 0xFF, 0x5E])
    }

    @Test func `A shutdown is a triple fault`() throws {
        #expect(try runner([ScriptedProcessor([.interrupted, .shutdown])]).run() == .tripleFault)
    }

    @Test func `The first reason to end counts`() throws {
        control.end(.exit(value: 3))
        control.end(.powerOff)
        #expect(try runner([ScriptedProcessor([.interrupted])]).run() == .exit(value: 3))
    }

    @Test func `vCPUs take turns, and one that polls a device does not keep the others waiting`() throws {
        let (control, device) = (control, RecordingDevice())
        try ports.map(device, base: 0, byteCount: 1)
        let ending = RecordingDevice { control.end(.powerOff) }
        try ports.map(ending, base: 1, byteCount: 1)
        let poller = ScriptedProcessor([VMExit](repeating: .portRead(port: 0, width: .byte), count: 100_000))
        let other = ScriptedProcessor([.portWrite(port: 1, value: 0, width: .byte)])
        #expect(try runner([poller, other]).run() == .powerOff)
        #expect(poller.answers.count <= 1000)
    }

    @Test func `An idle machine sleeps until an event is posted from another thread`() throws {
        let cpu = ScriptedProcessor([.halted])
        let port = ProcessorPort(cpu, control: control)
        let (control, ending) = (control, RecordingDevice())
        try ports.map(ending, base: 1, byteCount: 1)
        try HostThread.start {
            cpu.append([.shutdown])
            port.signal(.interruptPending)
        }
        #expect(try runner([cpu]).run() == .tripleFault)
        #expect(control.outcome == .tripleFault)
    }

    @Test func `An event for another vCPU interrupts the one that runs`() {
        let (first, second) = (ScriptedProcessor([]), ScriptedProcessor([]))
        control.setRunning(first)
        ProcessorPort(first, control: control).signal(.interruptPending)
        #expect(first.interruptions == 0)
        ProcessorPort(second, control: control).signal(.interruptPending)
        #expect(first.interruptions == 1)
        #expect(second.interruptions == 0)
    }

    @Test func `Counters tell of each kind of exit`() throws {
        let cpu = ScriptedProcessor([.portRead(port: 0, width: .byte), .interrupted, .halted, .shutdown])
        let runner = runner([cpu])
        _ = try runner.run()
        let rows = Dictionary(uniqueKeysWithValues: runner.reports[0].rows.map { ($0.name, $0.value) })
        #expect(rows["port reads"] == 1)
        #expect(rows["interruptions"] == 1)
        #expect(rows["halts"] == 1)
        #expect(runner.reports.map(\.part) == ["machine", "cpu0"])
    }

    @Test func `With counted time a halted machine jumps to its next timer`() throws {
        let clock = InstructionClock()
        let control = control
        let fired = Mutex<[UInt64]>([])
        let timer = clock.makeTimer {
            fired.withLock { $0.append(clock.now) }
            control.end(.powerOff)
        }
        timer.arm(at: 5_000_000_000)
        let cpu = ScriptedProcessor([.interrupted, .halted], instructionsPerRun: 100)
        #expect(try runner([cpu], .counted(clock)).run() == .powerOff)
        #expect(fired.withLock { $0 } == [5_000_000_000])
    }
}

@Suite struct InstructionClockTests {
    @Test func `Time goes on by a nanosecond an instruction of whichever vCPU runs`() {
        let clock = InstructionClock()
        let (first, second) = (ScriptedProcessor([]), ScriptedProcessor([]))
        second.state.instructionCount = 1_000_000
        clock.begin(first.state)
        first.state.instructionCount += 30
        #expect(clock.nanoseconds == 30)
        clock.end()
        first.state.instructionCount += 1000
        clock.begin(second.state)
        second.state.instructionCount += 12
        #expect(clock.timestamp == 42)
        clock.end()
        #expect(clock.now == 42)
    }

    @Test func `A timer fires when the run that passes its deadline ends`() {
        let clock = InstructionClock()
        let count = Atomic<Int>(0)
        withExtendedLifetime(clock.makeTimer { count.add(1, ordering: .relaxed) }) { timer in
            timer.arm(at: 50)
            let cpu = ScriptedProcessor([])
            clock.begin(cpu.state)
            cpu.state.instructionCount += 49
            clock.end()
            #expect(count.load(ordering: .relaxed) == 0)
            clock.begin(cpu.state)
            cpu.state.instructionCount += 1
            clock.end()
            #expect(count.load(ordering: .relaxed) == 1)
            #expect(!clock.skipToNextTimer())
        }
    }
}

@Suite struct HostClockTests {
    @Test func `The clock starts where it is told and never goes back`() {
        let clock = HostClock(now: 1_000_000_000_000)
        var last: UInt64 = 1_000_000_000_000
        for _ in 0..<1000 {
            let now = clock.nanoseconds
            #expect(now >= last)
            last = now
        }
        #expect(clock.timestampFrequency == 1_000_000_000)
    }
}
