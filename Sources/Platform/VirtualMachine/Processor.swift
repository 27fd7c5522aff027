public import Engine
public import GuestMemory
public import X86

/// One vCPU of a machine, with what the machine must know of it.
public struct Processor: Sendable {
    public let cpu: any VirtualCPU
    /// Its registers; touched only by the thread that runs it.
    public let state: CPUState
    /// Tells the engine that ``state`` was changed by somebody else.
    public let stateChanged: @Sendable () -> Void
    /// Whether its turn ends by itself after some instructions; otherwise it has to be interrupted.
    public let endsTurns: Bool

    public init(
        cpu: any VirtualCPU,
        state: CPUState,
        endsTurns: Bool = true,
        stateChanged: @escaping @Sendable () -> Void = {}
    ) {
        self.cpu = cpu
        self.state = state
        self.endsTurns = endsTurns
        self.stateChanged = stateChanged
    }
}

/// What an engine is given to make a vCPU.
public struct ProcessorSetup: Sendable {
    public let index: Int
    /// How many vCPUs the machine has.
    public let count: Int
    public let memory: GuestMemory
    public let controller: any InterruptController
    public let clock: any MachineClock
    public let model: CPUModel
    public let trace: (any TraceSink)?
}

/// Makes the vCPUs of one machine: the one place where an engine is chosen.
public protocol ProcessorFactory: Sendable {
    /// A vCPU in its reset state. Those but the first wait for a start-up interrupt.
    func makeProcessor(_ setup: ProcessorSetup) throws(MachineError) -> Processor
}
