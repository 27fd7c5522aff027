public import Boot
public import DeviceModel
public import DiskImage
public import Engine
public import GuestMemory
public import MachineState
public import Networking
public import PCI
public import SystemCalls

/// Why a machine cannot be made or cannot go on; the message names the file or the part.
public enum MachineError: Error, Sendable {
    case boot(BootError)
    case memory(GuestMemoryError)
    case disk(DiskImageError)
    case network(NetworkError)
    case bus(BusError)
    case pci(PCIError)
    /// A file or socket of the host's could not be opened.
    case cannotOpen(path: String, cause: SystemCallError)
    case cannotMakePseudoTerminal(cause: SystemCallError)
    case badProcessorCount(Int)
    /// The engine that was asked for cannot run here.
    case engine(reason: String)
    /// A saved machine cannot be taken up.
    case state(StateError)
    case processor(index: Int, VirtualCPUError)
}

extension MachineError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .boot(let error): "\(error)"
        case .memory(let error): "\(error)"
        case .disk(let error): "\(error)"
        case .network(let error): "\(error)"
        case .bus(let error): "\(error)"
        case .pci(let error): "\(error)"
        case .cannotOpen(let path, let cause): "\(path): cannot be opened: \(cause)"
        case .cannotMakePseudoTerminal(let cause): "cannot make a pseudo-terminal: \(cause)"
        case .badProcessorCount(let count):
            "a machine cannot have \(count) processors: 1 to \(MachineConfiguration.processorLimit) are possible"
        case .engine(let reason): reason
        case .state(let error): "\(error)"
        case .processor(let index, .unsupported(let reason, let instruction)):
            "processor \(index) cannot go on at 0x\(String(instruction, radix: 16)): \(reason)"
        }
    }
}
