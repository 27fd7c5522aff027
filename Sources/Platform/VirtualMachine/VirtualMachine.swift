internal import Glibc
internal import MachineState
internal import SystemCalls
public import Telemetry
internal import X86Translator

/// A machine from its start to its end, over any number of resets.
///
/// ``run()`` takes the calling thread; ``MachineControl/end(_:)`` stops it from any other.
public final class VirtualMachine {
    private let configuration: MachineConfiguration
    private let serial: SerialBackend
    let control: MachineControl
    private let trace: MachineTrace?
    private let factory: any ProcessorFactory
    /// Open for as long as the machine lives, resets included.
    private let disks: DiskSet
    private let networks: [NetworkPort]
    private let services: HostServices
    private(set) var machine: PCMachine
    private(set) var runner: MachineRunner
    /// The user wants the machine to stand still.
    var isPaused = false
    /// A disk does.
    var isHeld = false
    /// Time, vCPUs and devices stand still.
    var standsStill = false
    /// The machine stands still until ``run()``, as it was loaded.
    private var isLoaded = false

    /// Makes the machine ready to run: files are checked and loaded.
    ///
    /// `serial`: What the guest's first serial port talks to. `saved`: The state to go on from; ``MachineConfiguration/boot`` is
    ///   then for resets alone.
    public convenience init(
        _ configuration: MachineConfiguration,
        serial: SerialBackend,
        control: MachineControl,
        trace: MachineTrace? = nil,
        profile: MachineProfile? = nil,
        saved: SavedMachine? = nil
    ) throws(MachineError) {
        let factory: any ProcessorFactory
        switch configuration.engine {
        case .interpret:
            guard profile == nil, !configuration.writesPerfMap else {
                throw .engine(reason: "only translated code can be profiled: use --engine translate")
            }
            factory = InterpretedProcessors()
        case .translate, .check:
            guard configuration.clock == .host else {
                throw .engine(reason: "time that is counted in instructions needs --engine interpret")
            }
            let checks = configuration.engine == .check
            guard !checks || configuration.processorCount == 1 else {
                throw .engine(reason: "--engine check compares one processor: use --cpus 1")
            }
            let perfMap = configuration.writesPerfMap ? "/tmp/perf-\(getpid()).map" : nil
            let observation = TranslatorObservation(
                isCounting: configuration.countsInstructions,
                profile: profile,
                perfMapPath: perfMap
            )
            if let perfMap, !observation.hasPerfMap {
                throw .cannotOpen(path: perfMap, cause: SystemCallError("open", errno: errno))
            }
            factory = TranslatedProcessors(observation, checks: checks)
        }
        try self.init(configuration, serial: serial, control: control, trace: trace, factory: factory, saved: saved)
    }

    /// The same with an engine of the caller's.
    public init(
        _ configuration: MachineConfiguration,
        serial: SerialBackend,
        control: MachineControl,
        trace: MachineTrace? = nil,
        factory: any ProcessorFactory,
        saved: SavedMachine? = nil
    ) throws(MachineError) {
        self.configuration = configuration
        self.serial = serial
        self.control = control
        self.trace = trace
        self.factory = factory
        disks = try DiskSet(configuration) { isHeld in if isHeld { control.hold() } else { control.release() } }
        networks = try NetworkPort.open(configuration.networks, capturePath: configuration.capturePath)
        services = try HostServices(configuration.services)
        var first = configuration
        // Input waits until the device that gets it has its state.
        if saved != nil { serial.pause() }
        if let saved { first.boot = .saved(firmwareByteCount: saved.shape.firmwareByteCount) }
        machine = try PCMachine(
            first,
            disks: disks,
            networks: networks,
            services: services,
            serial: serial,
            control: control,
            trace: trace,
            factory: factory,
            pausedAt: saved?.shape.nanoseconds
        )
        runner = machine.makeRunner()
        guard let saved else { return }
        isLoaded = true
        do throws(StateError) { try machine.load(saved) } catch {
            machine.stop()
            throw .state(error)
        }
    }

    /// Runs the guest until it ends, or resets where it is not to start again.
    public func run() throws(MachineError) -> MachineOutcome {
        defer {
            machine.stop()
            serial.drain()
            trace?.flush()
            disks.flush()
            control.close()
        }
        if isLoaded {
            isLoaded = false
            machine.resume()
        }
        while true {
            guard let outcome = try runner.run() else {
                serveRequests()
                continue
            }
            guard configuration.restartsOnReset, canRestart, outcome == .reset || outcome == .tripleFault else {
                return outcome
            }
            machine.stop()
            machine = try PCMachine(
                configuration,
                disks: disks,
                networks: networks,
                services: services,
                serial: serial,
                control: control,
                trace: trace,
                factory: factory
            )
            runner = machine.makeRunner()
            isPaused = false
            standsStill = false
            serial.resume()
            control.forgetReset()
        }
    }

    /// A machine that was taken up from a file starts again only if it was told what.
    private var canRestart: Bool {
        if case .saved = configuration.boot { false } else { true }
    }

    /// What ``EngineKind/check`` compared, and what it let differ, a line each.
    public var checkFigures: [String] {
        let rows = runner.reports.flatMap(\.rows).filter { $0.name.hasPrefix("checked") || $0.name.hasPrefix("masked") }
        return rows.map { "\($0.name): \($0.value)" } + Translator.checkMasks.map { "may differ: \($0)" }
    }

    /// The counters of `--stats`, of the last power cycle.
    public var reports: [CounterReport] { runner.reports + machine.pci.reports }

    /// Where the guest's kernel is entered by SYSCALL, of the last power cycle; 0 if nothing has set it.
    public var systemCallEntry: UInt64 { runner.systemCallEntry }
}
