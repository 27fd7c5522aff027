// vivfuzz KIND FIRST-SEED SECONDS [COUNT]: one seed after another, until the time is over or COUNT seeds are done.
// KIND is code, devices, disk, loaders, network, services (shared folders and sockets), translate (64-bit code, translated and
// compared with the interpreter) or oracle (the same with the cases of the oracle). Prints each seed before it is run, so that the last line of a run that died names it; ends with
// a line of figures. A seed that takes more than 20 s is a hang: SIGALRM ends the process.
import Boot
import Glibc
import GuestMemory
import Networking
import Synchronization
import Telemetry
import TestSupport
import VirtualMachine
import X86

let words = CommandLine.arguments
guard words.count >= 4, let first = UInt64(words[2]), let seconds = Double(words[3]) else {
    print("usage: vivfuzz code|devices|disk|loaders|network|services|translate|oracle FIRST-SEED SECONDS [COUNT]")
    exit(64)
}
let limit = words.count > 4 ? UInt64(words[4]) ?? .max : .max

func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// A line on standard output, written at once: the process may die.
func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = write(STDOUT_FILENO, bytes, bytes.count)
}

/// A disk of 1 MiB that has no name.
func makeDisk() -> String {
    var name = Array("/tmp/vivfuzz.XXXXXX".utf8CString)
    let file = mkstemp(&name)
    ftruncate(file, 1 << 20)
    let path = name.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    unlink(path)
    return "/proc/self/fd/\(file)"
}

/// Ends the turns of a vCPU whose turns do not end by themselves.
final class TurnTicker: Sendable {
    private let isOver = Atomic(false)

    init(_ control: MachineControl) {
        let work = Unmanaged.passRetained(Work(self, control))
        var thread = pthread_t()
        pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument else { return nil }
                let work = Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
                while !work.ticker.isOver.load(ordering: .relaxed) {
                    usleep(300)
                    work.control.endTurn()
                }
                return nil
            },
            work.toOpaque()
        )
        pthread_detach(thread)
    }

    private final class Work: Sendable {
        let ticker: TurnTicker
        let control: MachineControl

        init(_ ticker: TurnTicker, _ control: MachineControl) {
            self.ticker = ticker
            self.control = control
        }
    }

    func stop() { isOver.store(true, ordering: .relaxed) }
}

/// What is shared by the seeds of a process, and its figures.
struct FuzzRun {
    let disk: String
    let backend: SerialBackend
    var instructions: UInt64 = 0
    var exceptions: UInt64 = 0
    var rounds: UInt64 = 0
    var accesses: UInt64 = 0
    var accepted: UInt64 = 0
    var checked: UInt64 = 0
    var disturbed: UInt64 = 0
    /// A stack that lets nothing out to the host.
    var network: UserNetwork?

    func configuration(_ random: inout RandomSource) -> MachineConfiguration {
        let kernel = HostFile(name: "kernel", bytes: LoaderInput.plainKernel)
        let firmware = HostFile(name: "firmware", bytes: [UInt8](repeating: 0x90, count: 1 << 16))
        return MachineConfiguration(
            boot: random.oneIn(6) ? .firmware(firmware) : .kernel(kernel, initrd: nil, commandLine: ""),
            memoryByteCount: Layout.ramByteCount,
            processorCount: random.oneIn(3) ? 2 : 1,
            model: random.oneIn(4) ? random.pick(CPUModel.all) : .vivariumV3,
            disks: [DiskConfiguration(path: disk)],
            serial: .disconnected,
            clock: .instructions,
            hasVirtioConsole: random.oneIn(3),
            restartsOnReset: random.oneIn(2)
        )
    }

    mutating func runSeed(_ kind: String, _ seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        let control = MachineControl()
        switch kind {
        case "code":
            let factory = FuzzedProcessors(control: control, seed: seed, limit: 100_000)
            var shape = configuration(&random)
            // A code cache lives as long as its memory.
            shape.restartsOnReset = false
            let machine = try VirtualMachine(shape, serial: backend, control: control, factory: factory)
            _ = try machine.run()
            instructions &+= factory.instructionCount
            exceptions &+= factory.exceptionCount
            rounds &+= factory.roundCount
        case "translate":
            let factory = FuzzedProcessors(control: control, seed: seed, limit: 200_000, checks: true)
            var shape = configuration(&random)
            shape.restartsOnReset = false
            shape.processorCount = 1
            shape.clock = .host
            let machine = try VirtualMachine(shape, serial: backend, control: control, factory: factory)
            let turns = TurnTicker(control)
            defer { turns.stop() }
            do throws(MachineError) { _ = try machine.run() } catch {
                say("seed \(seed): \(error)")
                exit(1)
            }
            instructions &+= factory.instructionCount
            exceptions &+= factory.exceptionCount
            rounds &+= factory.roundCount
            for report in machine.reports {
                for row in report.rows {
                    if row.name == "checked instructions" { checked &+= row.value }
                    if row.name.hasPrefix("masked: stretches run again") { disturbed &+= row.value }
                }
            }
        case "oracle":
            let oracle = try TranslatorOracle(seed: seed)
            try oracle.run(count: 4_000)
            checked &+= oracle.caseCount
            if let failure = oracle.failures.first {
                say("\(oracle.failureCount) differences: \(failure)")
                exit(1)
            }
        case "network":
            if network == nil, case .user(let user) = try NetworkConfiguration("user,restrict=on").kind {
                network = try UserNetwork(user)
            }
            var input = try NetworkInput(seed: seed)
            rounds &+= try input.run(network)
        case "devices":
            let factory = RandomDrivers(control: control, seed: seed, limit: 4000)
            let machine = try VirtualMachine(
                configuration(&random),
                serial: backend,
                control: control,
                factory: factory
            )
            _ = try machine.run()
            accesses &+= factory.accessCount
        case "disk": if DiskInput.run(seed: seed) { accepted += 1 }
        case "services":
            guard let count = try ServiceInput.run(seed: seed) else {
                say("seed \(seed): the guest got out of its folder")
                exit(1)
            }
            accesses &+= UInt64(count)
        default:
            if LoaderInput.run(seed: seed) { accepted += 1 }
        }
    }
}

var run = FuzzRun(disk: makeDisk(), backend: try SerialBackend(.disconnected))
let start = now()
var seed = first
while now() - start < seconds, seed - first < limit {
    say("seed \(words[1]) \(seed)")
    alarm(20)
    do { try run.runSeed(words[1], seed) } catch { say("refused \(seed): \(error)") }
    seed += 1
}
alarm(0)
let elapsed = ((now() - start) * 10).rounded() / 10
let figures =
    switch words[1] {
    case "code": "instructions \(run.instructions) exceptions \(run.exceptions) rounds \(run.rounds)"
    case "translate":
        "instructions \(run.instructions) checked \(run.checked) exceptions \(run.exceptions) rounds \(run.rounds) disturbed \(run.disturbed)"
    case "oracle": "cases \(run.checked)"
    case "devices": "accesses \(run.accesses)"
    case "network": "queues served \(run.rounds)"
    case "services": "answered \(run.accesses)"
    default: "accepted \(run.accepted)"
    }
say("done \(words[1]): seeds \(seed - first) \(figures) seconds \(elapsed)")
