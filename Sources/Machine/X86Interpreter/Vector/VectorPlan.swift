import HostCode

/// How one form of a vector or x87 instruction is executed: found once when its block is decoded, and named by
/// ``DecodedInstruction/immediate`` (its address) from then on.
struct VectorPlan {
    /// What executes the instruction.
    enum Kind: UInt8 {
        /// Always #UD: the host cannot execute it and there is no software version.
        case undefined
        /// A host stub, perhaps with a memory operand through the operand buffer.
        case stub
        /// A host stub that uses MM registers.
        case mmx
        /// A host stub for an x87 instruction that is not a control instruction.
        case x87
        /// x87 control, in Swift: by opcode and ModRM.
        case x87Control
        /// FXSAVE, XSAVE and their like; LDMXCSR, STMXCSR.
        case extendedState
        case emms
        case zeroUpper
        case zeroAll
        /// XMM or YMM from memory, whole or its low bytes with the rest zeroed.
        case load
        /// The low bytes of XMM or YMM to memory.
        case store
        /// XMM or YMM to another.
        case copy
        /// A register zeroed by PXOR and its like with itself.
        case zero
        /// XMM from the low 32 or 64 bits of a general register, zero-extended.
        case fromGeneral
        /// A general register from the low 32 or 64 bits of XMM.
        case toGeneral
        case maskedLoad
        case maskedStore
        /// MASKMOVQ, MASKMOVDQU, VMASKMOVDQU: bytes to DS:rDI.
        case maskedBytes
        case gather
        case sha
    }

    /// What has to be enabled, and how it fails.
    enum Gate: UInt8 {
        case none
        case sse
        case avx
        case mmx
        /// SSE with MM registers.
        case sseMMX
        case x87
    }

    struct Traits: OptionSet {
        let rawValue: UInt16
        static let readsMemory = Traits(rawValue: 1)
        static let writesMemory = Traits(rawValue: 2)
        /// The stub runs with the guest's MXCSR, and so may end by SIGFPE where that unmasks an exception.
        static let simd = Traits(rawValue: 4)
        static let readsFlags = Traits(rawValue: 8)
        static let writesFlags = Traits(rawValue: 16)
        /// Bits 127:64 or more are zeroed up to YMM's end (VEX).
        static let zeroesUpper = Traits(rawValue: 32)
    }

    var kind = Kind.undefined
    var gate = Gate.none
    var traits: Traits = []
    /// Of the memory operand, or of what ``Kind/load`` and its like move.
    var byteCount = 0
    /// A memory operand with one of these address bits set is #GP(0).
    var alignmentMask: UInt64 = 0
    /// Register numbers, for the kinds that Swift executes.
    var destination: UInt8 = 0
    var source: UInt8 = 0
    var encoding: VectorEncoding
    var code = HostCodeAddress(rawValue: 0)
}

/// Where the parts of the 256 scratch bytes lie, from the start of the block.
enum VectorScratch {
    /// The memory operand, up to 128 bytes.
    static let operand = Layout.scratch
    /// RFLAGS before and after.
    static let flags = Layout.scratch + 0x88
    static let hostControl = Layout.scratch + 0x90
    /// Two registers saved for an instruction in several steps.
    static let result = Layout.scratch + 0xA0
    /// 832 bytes: an image of FXSAVE or XSAVE on its way to or from guest memory.
    static let area = Layout.vectorImage
}

/// Where the vector registers lie, from the start of the block.
enum VectorRegister {
    static let mxcsr = 0x400 + 24
    static func low(_ number: Int) -> Int { 0x400 + 160 &+ number &* 16 }
    static func high(_ number: Int) -> Int { 0x400 + 576 &+ number &* 16 }
    /// ST(i), or MMi while TOP is 0.
    static func x87(_ number: Int) -> Int { 0x400 + 32 &+ number &* 16 }
}
