import DeviceModel
import Engine
import GuestMemory
import InterruptControllers
import Synchronization

/// Records what a local APIC signals.
final class RecordingCPU: VirtualCPU {
    private let log = Mutex<[VirtualCPUEvent]>([])
    /// The events since this was asked last.
    func takeEvents() -> [VirtualCPUEvent] {
        log.withLock { log in
            defer { log = [] }
            return log
        }
    }

    func run() throws(VirtualCPUError) -> VMExit { .halted }
    func completeRead(with value: UInt64) {}
    func interrupt() {}
    func signal(_ event: VirtualCPUEvent) { log.withLock { $0.append(event) } }
    var isRunnable: Bool { false }
    var counters: [(name: String, value: UInt64)] { [] }
}

/// A time-stamp counter that runs at 2 GHz of the timer service's time.
final class TestClock: MachineClock {
    let timers: ManualTimerService
    init(_ timers: ManualTimerService) { self.timers = timers }
    var nanoseconds: UInt64 { timers.now }
    var timestamp: UInt64 { timers.now * 2 }
    var timestampFrequency: UInt64 { 2_000_000_000 }
}

/// A PC's interrupt hardware with some processors, each enabled by its spurious-interrupt vector register.
final class InterruptFixture {
    let timers = ManualTimerService(now: 1000)
    let fabric = InterruptFabric()
    let pair: InterruptController8259
    let ioAPIC: IOAPIC
    let router: InterruptRouter
    let apics: [LocalAPIC]
    let cpus: [RecordingCPU]

    init(cpuCount: Int = 1) {
        let clock = TestClock(timers)
        pair = InterruptController8259(output: fabric.externalInterruptLine)
        fabric.connect(externalInterrupts: pair)
        ioAPIC = IOAPIC(id: 0, fabric: fabric)
        router = InterruptRouter(pair: pair, ioAPIC: ioAPIC)
        var apics: [LocalAPIC] = []
        var cpus: [RecordingCPU] = []
        for id in 0..<cpuCount {
            let apic = LocalAPIC(id: UInt32(id), isBootstrap: id == 0, fabric: fabric, timers: timers, clock: clock)
            let cpu = RecordingCPU()
            apic.connect(cpu)
            apic[0xF0] = 0x1FF
            apics.append(apic)
            cpus.append(cpu)
        }
        self.apics = apics
        self.cpus = cpus
    }

    var apic: LocalAPIC { apics[0] }
    var cpu: RecordingCPU { cpus[0] }

    /// Writes half a redirection table entry.
    func redirect(_ pin: Int, _ low: UInt32, _ high: UInt32 = 0) {
        ioAPIC.write(UInt64(0x11 + 2 * pin), at: 0, width: .dword)
        ioAPIC.write(UInt64(high), at: 0x10, width: .dword)
        ioAPIC.write(UInt64(0x10 + 2 * pin), at: 0, width: .dword)
        ioAPIC.write(UInt64(low), at: 0x10, width: .dword)
    }

    func redirection(_ pin: Int) -> UInt32 {
        ioAPIC.write(UInt64(0x10 + 2 * pin), at: 0, width: .dword)
        return UInt32(ioAPIC.read(at: 0x10, width: .dword))
    }
}

extension LocalAPIC {
    /// A register of the xAPIC page.
    subscript(offset: UInt64) -> UInt32 {
        get { UInt32(read(at: offset, width: .dword)) }
        set { write(UInt64(newValue), at: offset, width: .dword) }
    }

    func endInterrupt() { self[0xB0] = 0 }
}
