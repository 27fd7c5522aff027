public import X86

/// How one operand is used.
@frozen
public enum OperandAccess: UInt8, Sendable {
    case none
    case read
    case write
    case readWrite
}

/// The Popek-Goldberg class of an instruction.
public enum SensitivityClass: UInt8, Sendable {
    /// Behaves alike at every privilege level and touches no system state.
    case innocuous
    /// Faults outside the privileged mode.
    case privileged
    /// Reads or depends on system state without a fault: what trap-and-emulate cannot see.
    case sensitiveUnprivileged
}

/// The exceptions that an instruction's row names, besides those of its memory accesses and fetch.
@frozen
public struct ExceptionSet: OptionSet, Sendable, BitwiseCopyable {
    public let rawValue: UInt16
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }
    public static let divideError = ExceptionSet(rawValue: 1)
    /// #UD by condition (mode, CR4, register form), not for being unknown.
    public static let invalidOpcode = ExceptionSet(rawValue: 2)
    /// #NM with CR0.TS or CR0.EM.
    public static let deviceNotAvailable = ExceptionSet(rawValue: 4)
    /// #GP(0) when the CPL is too high.
    public static let privilege = ExceptionSet(rawValue: 8)
    /// #GP for other reasons: a bad value, selector or state.
    public static let generalProtection = ExceptionSet(rawValue: 16)
    /// #GP(0) when the memory operand is not aligned to its width (SDM 2 exception types 1, 4 of legacy SSE).
    public static let alignedMemory = ExceptionSet(rawValue: 32)
    /// #MF for a pending x87 exception.
    public static let x87 = ExceptionSet(rawValue: 64)
    /// #XM for an unmasked SIMD floating-point exception.
    public static let simd = ExceptionSet(rawValue: 128)
    public static let stackFault = ExceptionSet(rawValue: 256)
    public static let boundRange = ExceptionSet(rawValue: 512)
    public static let debug = ExceptionSet(rawValue: 1024)
}

/// How the bytes of an opcode are found.
@frozen
public enum OpcodeMapID: UInt8, Sendable {
    case oneByte
    case map0F
    case map0F38
    case map0F3A
    case vex0F
    case vex0F38
    case vex0F3A
    /// D8...DF.
    case x87
}

/// A row of the opcode table: everything the engines and analyses know of one encoding.
@frozen
public struct OpcodeRow: Sendable {
    public var operation: Operation
    /// As GNU and capstone print it, without size suffix.
    public var mnemonic: StaticString
    public var map: OpcodeMapID
    public var opcode: UInt8
    /// How each of the (up to four) operands is used, in the order of ``DecodedInstruction/operands``.
    public var access: (OperandAccess, OperandAccess, OperandAccess, OperandAccess)
    /// Where each of them is encoded.
    public var modes: (OperandMode, OperandMode, OperandMode, OperandMode)
    /// A ModRM byte follows the opcode.
    public var hasModRM: Bool
    /// Arithmetic flags in the RFLAGS layout.
    public var flagsRead: UInt16
    public var flagsWritten: UInt16
    public var flagsUndefined: UInt16
    /// General registers read and written without being operands, a bit each in encoding order; rSP for the stack instructions.
    public var implicitRead: UInt16
    public var implicitWritten: UInt16
    public var feature: CPUFeature
    public var sensitivity: SensitivityClass
    public var exceptions: ExceptionSet
    public var allowsLock: Bool
    /// Ends a basic block: a jump, call, return, interrupt, or a change of mode or translation.
    public var endsBlock: Bool
}
