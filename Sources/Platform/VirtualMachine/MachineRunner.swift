internal import DeviceModel
internal import Engine
internal import GuestMemory
internal import InterruptControllers
internal import SystemCalls
internal import Telemetry
internal import X86

/// Runs the vCPUs of one machine in turns, on the thread that calls ``run()``, and brings their accesses to the devices.
final class MachineRunner {
    /// A vCPU and the APIC that only it sees at its page.
    struct Member {
        let processor: Processor
        let localAPIC: LocalAPIC?
    }

    /// Accesses to devices after which the next vCPU gets its turn.
    private static let accessesPerTurn = 1000

    private let members: [Member]
    private let ports: Bus
    private let memoryBus: Bus
    private let control: MachineControl
    private let time: MachineTime
    private let trace: MachineTrace?
    private var counts = ExitCounts()

    init(
        members: [Member],
        ports: Bus,
        memoryBus: Bus,
        control: MachineControl,
        time: MachineTime,
        trace: MachineTrace? = nil
    ) {
        self.members = members
        self.ports = ports
        self.memoryBus = memoryBus
        self.control = control
        self.time = time
        self.trace = trace
    }

    /// Runs until somebody ends the machine, or a vCPU shuts down.
    ///
    /// - Returns: nil where somebody asks for something first, which ``MachineControl/takeRequests()`` tells.
    func run() throws(MachineError) -> MachineOutcome? {
        defer { control.setRunning(nil) }
        let clock = TurnClock()
        defer { clock.stop() }
        if members.count > 1, members.contains(where: { !$0.processor.endsTurns }) {
            do throws(SystemCallError) { try clock.start(control) } catch {
                throw .engine(reason: "cannot start a thread: \(error)")
            }
        }
        while true {
            var hasRun = false
            for (index, member) in members.enumerated() where member.processor.cpu.isRunnable {
                guard control.begin(member.processor.cpu) else { return control.outcome }
                hasRun = true
                try takeTurn(member, index)
                control.setRunning(nil)
            }
            if control.wantsAttention { return control.outcome }
            if !hasRun { idle() }
        }
    }

    /// Nobody has anything to do.
    ///
    /// An event that comes after the loop asked has notified `control`, so it is not slept through.
    private func idle() {
        counts.sleeps += 1
        if case .counted(let clock) = time, clock.skipToNextTimer() { return }
        control.sleep()
    }

    /// Runs one vCPU until its slice is used up, it halts, or the machine ends.
    private func takeTurn(_ member: Member, _ index: Int) throws(MachineError) {
        for _ in 0..<Self.accessesPerTurn {
            let exit = try step(member.processor, index)
            serve(exit, member, index)
            guard exit.isAccess, control.outcome == nil else { return }
        }
    }

    /// Brings every vCPU that can be saved to the end of the instruction that it is at.
    func settle() {
        for (index, member) in members.enumerated() {
            guard let cpu = member.processor.cpu as? any SaveableCPU else { continue }
            while let exit = cpu.settle() { serve(exit, member, index) }
        }
    }

    private func serve(_ exit: VMExit, _ member: Member, _ index: Int) {
        let cpu = member.processor.cpu
        var value: UInt64?
        switch exit {
        case .portRead(let port, let width):
            counts.portReads += 1
            let answer = ports.read(UInt64(port), width: width)
            value = answer
            cpu.completeRead(with: answer)
        case .portWrite(let port, let written, let width):
            counts.portWrites += 1
            ports.write(written, to: UInt64(port), width: width)
        case .memoryRead(let address, let width):
            counts.memoryReads += 1
            let answer = read(address, width, member.localAPIC)
            value = answer
            cpu.completeRead(with: answer)
        case .memoryWrite(let address, let written, let width):
            counts.memoryWrites += 1
            write(written, address, width, member.localAPIC)
        case .halted: counts.halts += 1
        case .shutdown: control.end(.tripleFault)
        case .interrupted, .debug: counts.interruptions += 1
        }
        if let trace { trace.record(exit, value: value, rip: member.processor.state.rip, processor: index) }
    }

    /// One `run()`, with time counted where time is instructions.
    private func step(_ processor: Processor, _ index: Int) throws(MachineError) -> VMExit {
        if case .counted(let clock) = time { clock.begin(processor.state) }
        defer { if case .counted(let clock) = time { clock.end() } }
        do throws(VirtualCPUError) { return try processor.cpu.run() } catch { throw .processor(index: index, error) }
    }

    private func read(_ address: GuestAddress, _ width: AccessWidth, _ apic: LocalAPIC?) -> UInt64 {
        if let apic, apic.pageAddress == address.rawValue & ~0xFFF {
            return apic.read(at: address.rawValue & 0xFFF, width: width) & width.mask
        }
        return memoryBus.read(address.rawValue, width: width)
    }

    private func write(_ value: UInt64, _ address: GuestAddress, _ width: AccessWidth, _ apic: LocalAPIC?) {
        if let apic, apic.pageAddress == address.rawValue & ~0xFFF {
            apic.write(value & width.mask, at: address.rawValue & 0xFFF, width: width)
        } else {
            memoryBus.write(value, to: address.rawValue, width: width)
        }
    }

    /// The counters of the runner and of each vCPU.
    var reports: [CounterReport] {
        [counts.report]
            + members.enumerated().flatMap { index, member in
                if let cpu = member.processor.cpu as? any ReportingCPU {
                    return cpu.reports.map { $0.part(of: "cpu\(index)") }
                }
                var report = CounterReport(part: "cpu\(index)")
                for counter in member.processor.cpu.counters { report.add(counter.name, counter.value) }
                return [report]
            }
    }

    /// LSTAR of the first vCPU.
    var systemCallEntry: UInt64 { members.first?.processor.state.lstar ?? 0 }
}

/// How often vCPUs returned, by reason.
private struct ExitCounts {
    var portReads: UInt64 = 0
    var portWrites: UInt64 = 0
    var memoryReads: UInt64 = 0
    var memoryWrites: UInt64 = 0
    var halts: UInt64 = 0
    var interruptions: UInt64 = 0
    var sleeps: UInt64 = 0

    var report: CounterReport {
        var report = CounterReport(part: "machine")
        report.add("port reads", portReads)
        report.add("port writes", portWrites)
        report.add("memory reads of devices", memoryReads)
        report.add("memory writes to devices", memoryWrites)
        report.add("halts", halts)
        report.add("interruptions", interruptions)
        report.add("idle sleeps", sleeps)
        return report
    }
}
