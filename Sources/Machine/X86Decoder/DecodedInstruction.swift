/// What one operand of a decoded instruction is, in a byte: the kind in bits 7:4, a register number in bits 3:0.
@frozen
public struct Operand: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
    public let rawValue: UInt8
    @inlinable @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }
    @inlinable @inline(__always) public init(_ kind: Kind, _ number: UInt8 = 0) {
        rawValue = kind.rawValue << 4 | number & 15
    }

    @frozen
    public enum Kind: UInt8, Sendable {
        case none = 0
        /// A general register; for 8-bit operands AL...DIL and R8B...R15B.
        case general
        /// AH CH DH BH: the number is 0...3, of the register whose bits 15:8 it is.
        case highByte
        /// Memory at base + index·scale + displacement in the instruction's segment.
        case memory
        /// ``DecodedInstruction/immediate``, sign-extended as the instruction asks; far pointers: offset in bits 31:0, selector in 47:32.
        case immediate
        /// A branch target: ``DecodedInstruction/immediate`` is added to the address of the next instruction.
        case relative
        case segment
        case control
        case debug
        /// The constant 1 (shifts by one, INT1's like).
        case one
        /// MM0...MM7.
        case mmx
        /// XMM or YMM, as ``DecodedInstruction/operandByteCount`` or the row says.
        case vector
        /// ST(i).
        case x87
        /// Memory at ES:rDI (string instructions).
        case stringDestination
        /// Memory at segment:rSI (string instructions, ``DecodedInstruction/segment``).
        case stringSource
        /// Bits 7:4 or 3:0 of an immediate name a vector register (VBLENDVPS and its like); decoded to that register as ``vector``.
        case reserved
    }

    @inlinable @inline(__always) public var kind: Kind { Kind(rawValue: rawValue >> 4) ?? .none }
    @inlinable @inline(__always) public var number: Int { Int(rawValue & 15) }
    @inlinable @inline(__always) public var isMemory: Bool { rawValue >> 4 == Kind.memory.rawValue }

    public static let none = Operand(rawValue: 0)
}

/// The prefixes that an instruction has, as far as they still matter after decoding.
@frozen
public struct InstructionPrefixes: OptionSet, Sendable, BitwiseCopyable {
    public let rawValue: UInt8
    @inlinable @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }
    public static let lock = InstructionPrefixes(rawValue: 1)
    /// F3, where it is not part of the opcode.
    public static let repeatEqual = InstructionPrefixes(rawValue: 2)
    /// F2, where it is not part of the opcode.
    public static let repeatNotEqual = InstructionPrefixes(rawValue: 4)
    public static let operandSize = InstructionPrefixes(rawValue: 8)
    public static let rexW = InstructionPrefixes(rawValue: 16)
    public static let rex = InstructionPrefixes(rawValue: 32)
    public static let vex = InstructionPrefixes(rawValue: 64)
    /// VEX.L: 256 bits.
    public static let vexL = InstructionPrefixes(rawValue: 128)
}

/// One instruction, decoded: a trivial value of 32 bytes, so that decoded code is an array.
@frozen
public struct DecodedInstruction: Sendable, BitwiseCopyable {
    public var operation: Operation = .undefined
    /// The index of its row in ``OpcodeTable``.
    public var row: UInt16 = 0
    /// In the SDM's order, destination first.
    ///
    /// Implicit operands are left out where the mnemonic implies them, as the SDM leaves them out (`MUL r/m` has one);
    /// accumulators and CL that it writes down are ``Operand/Kind/general``.
    public var operands: (Operand, Operand, Operand, Operand) = (.none, .none, .none, .none)
    /// In bytes, 1...15.
    public var length: UInt8 = 0
    /// The effective operand size in bytes: 1, 2, 4 or 8 for integer instructions (of the destination where operands differ);
    /// 8, 16 or 32 for vector ones.
    public var operandByteCount: UInt8 = 0
    /// The effective address size in bytes: 2, 4 or 8.
    public var addressByteCount: UInt8 = 0
    public var prefixes: InstructionPrefixes = []
    /// The effective segment of the memory operand, 0...5; overrides and the SS default of rBP and rSP are applied, and in
    /// 64-bit mode overrides other than FS and GS are already dropped (the segment is then DS, or SS by default).
    public var segment: UInt8 = 3
    /// 0...15, 16 for none, 17 for RIP (of the next instruction), 18 where ``immediate`` is the whole address (moffs).
    public var base: UInt8 = 16
    /// 0...15, 16 for none; for VSIB the vector register's number.
    public var index: UInt8 = 16
    /// The index is shifted left by 0...3.
    public var scale: UInt8 = 0
    public var displacement: Int32 = 0
    /// The width in bytes of the operand that ModRM.rm names, memory or register; 0 where it has none (LEA, INVLPG, prefetches).
    public var memoryByteCount: UInt8 = 0
    /// Not the decoder's: the interpreter keeps its quick handler here.
    ///
    /// The decoder leaves 0.
    public var handler: UInt8 = 0
    /// The last opcode byte.
    public var opcode: UInt8 = 0
    /// The ModRM byte, 0 where there is none.
    public var modRM: UInt8 = 0
    /// The immediate, sign-extended to 64 bits where the instruction sign-extends it, else zero-extended.
    ///
    /// Of two immediates (ENTER; EXTRQ) the first is in bits 15:0, the second in 23:16.
    public var immediate: UInt64 = 0

    @inlinable public init() {}
}
