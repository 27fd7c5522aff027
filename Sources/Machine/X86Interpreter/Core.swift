import Engine
import GuestMemory
import X86
import X86Decoder

/// A pointer to one decoded instruction in a block.
typealias Instruction = UnsafeMutablePointer<DecodedInstruction>

/// The interpreter's hot state, behind one stable pointer: the guest's ``CPUState`` first, then what the interpreter keeps
/// beside it. Every handler is a method of this trivial value, so that a call passes one register.
///
/// While a handler runs, RIP (``CPUState/rip``) is already that of the next instruction. A handler that throws has changed
/// nothing that the guest can see, but for what its instruction documents (string instructions keep finished iterations);
/// the run loop puts RIP back. So read every memory operand and check everything before the first write to state.
struct Core {
    let raw: UnsafeMutableRawPointer

    @inline(__always) var state: CPUState { CPUState(raw: raw) }

    /// What is not hot: memory, the interrupt controller, the CPU model, counters.
    @inline(__always) var services: Services {
        // SAFETY: `Services` is kept alive by the `Interpreter` that owns both.
        raw.load(fromByteOffset: Layout.services, as: Unmanaged<Services>.self)._withUnsafeGuaranteedRef { $0 }
    }
}

/// Where the interpreter's own fields lie in its block, in bytes.
enum Layout {
    static let services = 0x800
    /// The pointer after the last instruction of the running block; set to the current one to leave the block early.
    static let blockEnd = 0x808
    /// The base of the software TLB of the current privilege (user, supervisor, supervisor with AC).
    static let tlb = 0x810
    /// RIP of the running instruction.
    static let instructionRIP = 0x818
    /// Bytes of scratch for vector operands, 64-byte aligned.
    static let scratch = 0x900
    static let tlbTables = 0x1000
    static let tlbEntries = 1024
    static let tlbEntryByteCount = 32
    static let tlbTableByteCount = tlbEntries * tlbEntryByteCount
    static let byteCount = tlbTables + 3 * tlbTableByteCount
}
