/// How a machine came to its end.
public enum MachineOutcome: Hashable, Sendable {
    case powerOff
    /// The guest asked for a reset, and the machine is not to start again.
    case reset
    /// A vCPU went to the shutdown state (SDM 3A §6.15 "Interrupt 8").
    case tripleFault
    /// The guest wrote this to isa-debug-exit.
    case exit(value: UInt8)
    /// The user ended it.
    case quit
}

extension MachineOutcome: CustomStringConvertible {
    public var description: String {
        switch self {
        case .powerOff: "the guest powered off"
        case .reset: "the guest reset"
        case .tripleFault: "the guest ended in a triple fault"
        case .exit(let value): "the guest exited with \(value)"
        case .quit: "ended by the user"
        }
    }
}
