/// When a row applies, and its traits.
///
/// The conditions are sets of values for each ``Dimension``; a dimension that a rule does not mention allows every value.
struct EncodingRule: OptionSet, Sendable {
    let rawValue: UInt64
    private static func bit(_ position: UInt64) -> EncodingRule { EncodingRule(rawValue: 1 << position) }

    /// What the decoder may look at to choose a row; the raw value is also the order in which it looks.
    enum Dimension: UInt8, CaseIterable {
        case mode
        case prefix
        case rexB
        case mod
        case reg
        case rm
        case operandSize
        case addressSize
        case w
        case l

        /// The lowest bit in an ``EncodingRule`` and the number of values.
        var bits: (position: UInt64, count: Int) {
            switch self {
            case .prefix: (0, 4)
            case .mode: (4, 2)
            case .operandSize: (6, 4)
            case .addressSize: (10, 4)
            case .mod: (14, 2)
            case .w: (16, 2)
            case .l: (18, 2)
            case .rexB: (20, 2)
            case .reg: (24, 8)
            case .rm: (32, 8)
            }
        }

        var mask: UInt64 { (1 << UInt64(bits.count) - 1) << bits.position }
    }

    /// Mandatory prefixes: none, 66, F3, F2.
    static let np = bit(0)
    static let p66 = bit(1)
    static let f3 = bit(2)
    static let f2 = bit(3)
    /// Outside 64-bit mode, in 64-bit mode.
    static let not64 = bit(4)
    static let only64 = bit(5)
    static let o16 = bit(6)
    static let o32 = bit(7)
    static let o64 = bit(8)
    static let a16 = bit(10)
    static let a32 = bit(11)
    static let a64 = bit(12)
    static let memory = bit(14)
    static let register = bit(15)
    static let w0 = bit(16)
    static let w1 = bit(17)
    static let l0 = bit(18)
    static let l1 = bit(19)
    static let b0 = bit(20)
    static let b1 = bit(21)
    /// ModRM.reg.
    static func slash(_ value: UInt64) -> EncodingRule { bit(24 + value) }
    static let slash0 = bit(24)
    static let slash1 = bit(25)
    static let slash2 = bit(26)
    static let slash3 = bit(27)
    static let slash4 = bit(28)
    static let slash5 = bit(29)
    static let slash6 = bit(30)
    static let slash7 = bit(31)
    /// ModRM.rm.
    static func rm(_ value: UInt64) -> EncodingRule { bit(32 + value) }

    // Traits.
    /// LOCK is allowed with a memory destination.
    static let lock = bit(40)
    /// The operand size is 64 bits in 64-bit mode, 16 with 66.
    static let default64 = bit(41)
    /// The operand size is 64 bits in 64-bit mode, whatever prefixes say.
    static let force64 = bit(42)
    static let endsBlock = bit(43)
    static let privileged = bit(44)
    static let sensitive = bit(45)
    /// The memory operand's index is a vector register.
    static let vsib = bit(46)
    /// Raises #XM.
    static let simd = bit(47)
    /// A 16-byte memory operand need not be aligned (legacy SSE).
    static let unaligned = bit(48)
    /// ModRM.mod is ignored: the operand is a register.
    static let modIgnored = bit(49)
    /// The memory operand must be aligned even with VEX.
    static let aligned = bit(50)

    /// The values that this rule allows in `dimension`, a bit each; all when it names none.
    func allowed(_ dimension: Dimension) -> UInt64 {
        let (position, count) = dimension.bits
        let named = rawValue >> position & (1 << UInt64(count) - 1)
        return named == 0 ? 1 << UInt64(count) - 1 : named
    }

    func constrains(_ dimension: Dimension) -> Bool { rawValue & dimension.mask != 0 }
}

/// The effect of an instruction on the arithmetic flags and DF, in the RFLAGS layout.
struct FlagEffect: Sendable {
    var read: UInt16 = 0
    var written: UInt16 = 0
    var undefined: UInt16 = 0

    static let c: UInt16 = 0x001
    static let p: UInt16 = 0x004
    static let a: UInt16 = 0x010
    static let z: UInt16 = 0x040
    static let s: UInt16 = 0x080
    static let d: UInt16 = 0x400
    static let o: UInt16 = 0x800
    static let all: UInt16 = 0x8D5

    static let none = FlagEffect()
    static let arithmetic = FlagEffect(written: all)
    static let withCarry = FlagEffect(read: c, written: all)
    /// INC, DEC.
    static let keepingCarry = FlagEffect(written: all & ~c)
    static let logic = FlagEffect(written: all & ~a, undefined: a)
    /// Shifts by a variable count keep every flag when the count is 0.
    static let shift = FlagEffect(read: all, written: all & ~a, undefined: a | o)
    static let shiftByOne = FlagEffect(written: all & ~a, undefined: a)
    static let rotate = FlagEffect(read: c | o, written: c | o, undefined: o)
    static let rotateByOne = FlagEffect(written: c | o)
    static let rotateCarry = FlagEffect(read: c | o, written: c | o, undefined: o)
    static let rotateCarryByOne = FlagEffect(read: c, written: c | o)
    static let multiply = FlagEffect(written: c | o, undefined: all & ~(c | o))
    static let divide = FlagEffect(undefined: all)
    static let bitTest = FlagEffect(written: c, undefined: all & ~(c | z))
    static let bitScan = FlagEffect(written: z, undefined: all & ~z)
    static let zeroCount = FlagEffect(written: z | c, undefined: all & ~(z | c))
    static let carryOnly = FlagEffect(written: c)
    static let zeroOnly = FlagEffect(written: z)
    static let direction = FlagEffect(written: d)
    static let string = FlagEffect(read: d)
    static let stringCompare = FlagEffect(read: d, written: all)
    static let decimal = FlagEffect(read: a | c, written: a | c | s | z | p, undefined: o)
    static let ascii = FlagEffect(read: a, written: a | c, undefined: o | s | z | p)
    static let asciiMultiply = FlagEffect(written: s | z | p, undefined: o | a | c)
    /// BMI1: PF undefined, OF cleared.
    static let bmi = FlagEffect(written: all & ~(a | p), undefined: a | p)
    static let bextr = FlagEffect(written: z | c | o, undefined: a | s | p)
    /// PTEST, UCOMISS, RDRAND: all written, some cleared.
    static let compare = FlagEffect(written: all)
    static let x87Compare = FlagEffect(written: z | p | c)

    /// What the condition in bits 3:0 of an opcode reads.
    static func condition(_ number: Int) -> FlagEffect {
        let flags: [UInt16] = [o, c, z, c | z, s, p, s | o, z | s | o]
        return FlagEffect(read: flags[number >> 1 & 7])
    }
}

/// A set of general registers, a bit each in encoding order.
struct RegisterSet: OptionSet, Sendable {
    let rawValue: UInt16
    static let rax = RegisterSet(rawValue: 1)
    static let rcx = RegisterSet(rawValue: 2)
    static let rdx = RegisterSet(rawValue: 4)
    static let rbx = RegisterSet(rawValue: 8)
    static let rsp = RegisterSet(rawValue: 16)
    static let rbp = RegisterSet(rawValue: 32)
    static let rsi = RegisterSet(rawValue: 64)
    static let rdi = RegisterSet(rawValue: 128)
    static let r11 = RegisterSet(rawValue: 0x800)
    static let all = RegisterSet(rawValue: 0xFF)
}
