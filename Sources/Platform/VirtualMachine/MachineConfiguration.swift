public import Engine
public import Networking
public import VirtioBlock
public import X86

/// Everything that makes one `pc` machine, as a value.
public struct MachineConfiguration: Sendable {
    public var boot: BootSource
    /// RAM in bytes, a multiple of 4096.
    public var memoryByteCount: Int
    public var processorCount: Int
    public var model: CPUModel
    public var disks: [DiskConfiguration]
    /// What becomes of requests that the host's disks cannot carry out.
    public var diskFailures = DiskFailureReaction.automatic
    public var networks: [NetworkConfiguration]
    /// Where the frames of every network port are written to.
    public var capturePath: String?
    /// Devices that connect the guest with its host.
    public var services = ServiceConfiguration()
    /// What COM1 is connected to.
    public var serial: SerialPort
    public var clock: ClockKind
    /// Adds a virtio console, which then carries ``serial`` in COM1's place.
    public var hasVirtioConsole: Bool
    /// A guest that resets starts again; otherwise the machine ends.
    public var restartsOnReset: Bool
    public var engine: EngineKind
    /// Whether an engine that need not count instructions does, for its counters.
    public var countsInstructions: Bool
    /// Whether `perf report` is given names for translated code, in `/tmp/perf-PID.map`.
    public var writesPerfMap: Bool

    /// The most vCPUs that a machine can have: what 8-bit APIC IDs can name.
    public static let processorLimit = 64

    public init(
        boot: BootSource,
        memoryByteCount: Int,
        processorCount: Int = 1,
        model: CPUModel,
        disks: [DiskConfiguration] = [],
        networks: [NetworkConfiguration] = [],
        capturePath: String? = nil,
        serial: SerialPort = .standardIO,
        clock: ClockKind = .host,
        hasVirtioConsole: Bool = false,
        restartsOnReset: Bool = true,
        engine: EngineKind = .interpret,
        countsInstructions: Bool = false,
        writesPerfMap: Bool = false
    ) {
        self.boot = boot
        self.memoryByteCount = memoryByteCount
        self.processorCount = processorCount
        self.model = model
        self.disks = disks
        self.networks = networks
        self.capturePath = capturePath
        self.serial = serial
        self.clock = clock
        self.hasVirtioConsole = hasVirtioConsole
        self.restartsOnReset = restartsOnReset
        self.engine = engine
        self.countsInstructions = countsInstructions
        self.writesPerfMap = writesPerfMap
    }
}

/// What a serial port is connected to on the host.
public enum SerialPort: Hashable, Sendable {
    /// Standard input and output.
    case standardIO
    /// Output to a file, made or cut to nothing; no input.
    case file(path: String)
    /// A new pseudo-terminal.
    case pseudoTerminal
    /// A listening socket that serves one client at a time.
    case unixSocket(path: String)
    /// Nothing: output is lost.
    case disconnected
}

/// What executes the guest's code.
public enum EngineKind: Hashable, Sendable {
    case interpret
    case translate
    /// Translated, and everything compared with the interpreter; one processor.
    case check
}

/// Where the guest's time comes from.
public enum ClockKind: Hashable, Sendable {
    /// The host's monotonic clock.
    case host
    /// One nanosecond an executed instruction; idle time is skipped.
    case instructions
}

/// What is logged, and where to.
public struct TraceConfiguration: Hashable, Sendable {
    public var events: TraceEvents
    /// A file, made or cut to nothing; nil stands for standard error.
    public var path: String?

    public init(events: TraceEvents, path: String? = nil) {
        self.events = events
        self.path = path
    }
}
