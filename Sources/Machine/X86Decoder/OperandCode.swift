/// How the decoder finds one operand of a row: what the SDM's first operand letter says (SDM 2D appendix A.2).
@frozen
public enum OperandMode: UInt8, Sendable {
    case none
    /// The same operand for every instruction of the row.
    case fixed
    /// E: a general register or memory.
    case rmGeneral
    /// Eb.
    case rmByte
    /// G.
    case regGeneral
    /// Gb.
    case regByte
    /// Z: the register in the opcode's low bits.
    case opcodeGeneral
    case opcodeByte
    /// B: a general register in VEX.vvvv.
    case vvvvGeneral
    case segment
    case control
    case debug
    /// Ib, zero-extended.
    case immediateByte
    /// Is: a byte, sign-extended.
    case immediateSigned
    case immediateWord
    /// Iz: 16 or 32 bits.
    case immediateZ
    /// Iv: 16, 32 or 64 bits.
    case immediateV
    /// The second byte of two immediates.
    case immediateSecond
    case farPointer
    case relativeByte
    case relativeZ
    /// O: an address as wide as the address size.
    case offset
    case stringSource
    case stringDestination
    case mmxReg
    case mmxRM
    case vectorReg
    case vectorRM
    case vectorVVVV
    /// L: a vector register in bits 7:4 of an immediate byte.
    case vectorImmediate
    case x87RM
}

/// A width that may depend on operand size, VEX.L and mode; resolved through a table of 16 bytes for each case.
enum WidthCode: UInt8, CaseIterable {
    case none
    case b
    case w
    case d
    case q
    /// 80 bits.
    case t
    /// 128 bits.
    case o
    /// 256 bits.
    case qq
    /// 16, 32 or 64 bits, by operand size.
    case v
    /// 16 or 32 bits.
    case z
    /// 32 or 64 bits.
    case y
    /// 128 or 256 bits, by VEX.L.
    case x
    /// Half of `x`.
    case h
    /// A quarter of `x`.
    case f
    /// An eighth of `x`.
    case e
    /// A far pointer: operand size and a selector.
    case p
    /// A pseudo-descriptor: 6 or 10 bytes, by mode.
    case s
    /// BOUND's pair.
    case a
    /// 32 or 64 bits, by mode.
    case m
    /// The x87 environment.
    case env
    /// The x87 state.
    case state
    /// 64 or 256 bits, by VEX.L (VMOVDDUP).
    case dup

    /// In bytes.
    ///
    /// `operandSize` is 2, 4 or 8.
    func byteCount(operandSize: Int, isWide: Bool, isLong: Bool) -> UInt8 {
        switch self {
        case .none: 0
        case .b: 1
        case .w: 2
        case .d: 4
        case .q: 8
        case .t: 10
        case .o: 16
        case .qq: 32
        case .v: UInt8(operandSize)
        case .z: operandSize == 2 ? 2 : 4
        case .y: operandSize == 8 ? 8 : 4
        case .x: isWide ? 32 : 16
        case .h: isWide ? 16 : 8
        case .f: isWide ? 8 : 4
        case .e: isWide ? 4 : 2
        case .p: UInt8(operandSize + 2)
        case .s: isLong ? 10 : 6
        case .a: operandSize == 2 ? 4 : 8
        case .m: isLong ? 8 : 4
        case .env: operandSize == 2 ? 14 : 28
        case .state: operandSize == 2 ? 94 : 108
        case .dup: isWide ? 32 : 8
        }
    }
}

/// One operand of a row, parsed from its letters.
struct OperandCode {
    var mode = OperandMode.none
    var width = WidthCode.none
    var fixed = Operand.none
    var access = OperandAccess.none
    /// Comes from ModRM.rm.
    var isRM = false
    /// Needs a ModRM byte.
    var usesModRM = false
    /// Only memory, or only a register, makes a valid instruction.
    var isMemoryOnly = false
    var isRegisterOnly = false
}

/// The letters of operands: those of the SDM's opcode maps, with a few of ours where the SDM has none.
///
/// A leading `=` says that the operand is written, `+` that it is read and written, nothing that it is read.
enum OperandLetters {
    /// Parses `letters`, operands separated by commas.
    ///
    /// A code that is not known is an operand without mode; the tests check that no row has one.
    static func parse(_ letters: StaticString) -> [OperandCode] {
        var codes: [OperandCode] = []
        var key: UInt64 = 0
        var access = OperandAccess.read
        func finish() {
            guard key != 0 else { return }
            var code = known[key] ?? OperandCode()
            code.access = access
            codes.append(code)
            key = 0
            access = .read
        }
        for index in 0..<letters.utf8CodeUnitCount {
            let character = letters.utf8Start[index]
            switch character {
            case UInt8(ascii: ","): finish()
            case UInt8(ascii: "+"): access = .readWrite
            case UInt8(ascii: "="): access = .write
            default: key = key << 8 | UInt64(character)
            }
        }
        finish()
        return codes
    }

    private static let known: [UInt64: OperandCode] = {
        var codes: [UInt64: OperandCode] = [:]
        func define(_ name: String, _ code: OperandCode) {
            codes[name.utf8.reduce(0) { $0 << 8 | UInt64($1) }] = code
        }
        func rm(_ name: String, _ mode: OperandMode, _ width: WidthCode, memory: Bool = false, register: Bool = false) {
            define(
                name,
                OperandCode(
                    mode: mode,
                    width: width,
                    isRM: true,
                    usesModRM: true,
                    isMemoryOnly: memory,
                    isRegisterOnly: register
                )
            )
        }
        func reg(_ name: String, _ mode: OperandMode, _ width: WidthCode) {
            define(name, OperandCode(mode: mode, width: width, usesModRM: true))
        }
        func plain(_ name: String, _ mode: OperandMode, _ width: WidthCode) {
            define(name, OperandCode(mode: mode, width: width))
        }
        func fixed(_ name: String, _ kind: Operand.Kind, _ number: UInt8, _ width: WidthCode) {
            define(name, OperandCode(mode: .fixed, width: width, fixed: Operand(kind, number)))
        }
        let widths: [(String, WidthCode)] = [
            ("b", .b), ("w", .w), ("d", .d), ("q", .q), ("t", .t), ("o", .o), ("qq", .qq), ("v", .v), ("z", .z),
            ("y", .y),
            ("x", .x), ("h", .h), ("f", .f), ("e", .e), ("p", .p), ("s", .s), ("a", .a), ("m", .m), ("env", .env),
            ("state", .state), ("dup", .dup), ("", .none),
        ]
        for (letter, width) in widths {
            rm("E" + letter, letter == "b" ? .rmByte : .rmGeneral, width)
            rm("R" + letter, letter == "b" ? .rmByte : .rmGeneral, width, register: true)
            rm("M" + letter, .rmGeneral, width, memory: true)
            reg("G" + letter, letter == "b" ? .regByte : .regGeneral, width)
            plain("Z" + letter, letter == "b" ? .opcodeByte : .opcodeGeneral, width)
            plain("B" + letter, .vvvvGeneral, width)
            plain("O" + letter, .offset, width)
            plain("X" + letter, .stringSource, width)
            plain("Y" + letter, .stringDestination, width)
            reg("P" + letter, .mmxReg, width)
            rm("Q" + letter, .mmxRM, width)
            rm("N" + letter, .mmxRM, width, register: true)
            reg("V" + letter, .vectorReg, width)
            rm("W" + letter, .vectorRM, width)
            rm("U" + letter, .vectorRM, width, register: true)
            plain("H" + letter, .vectorVVVV, width)
            plain("L" + letter, .vectorImmediate, width)
        }
        reg("Sw", .segment, .w)
        reg("Cm", .control, .m)
        reg("Dm", .debug, .m)
        // MOV to and from control and debug registers ignore ModRM.mod: neither memory only nor register only.
        rm("Tm", .rmGeneral, .m)
        plain("Ib", .immediateByte, .b)
        plain("Is", .immediateSigned, .b)
        plain("Iw", .immediateWord, .w)
        plain("Iz", .immediateZ, .z)
        plain("Iv", .immediateV, .v)
        plain("Ib2", .immediateSecond, .b)
        plain("Ap", .farPointer, .p)
        plain("Jb", .relativeByte, .b)
        plain("Jz", .relativeZ, .z)
        fixed("AL", .general, 0, .b)
        fixed("CL", .general, 1, .b)
        fixed("AX", .general, 0, .w)
        fixed("DX", .general, 2, .w)
        fixed("rAX", .general, 0, .v)
        fixed("eAX", .general, 0, .z)
        fixed("1", .one, 1, .b)
        for (number, name) in ["ES", "CS", "SS", "DS", "FS", "GS"].enumerated() {
            fixed(name, .segment, UInt8(number), .v)
        }
        fixed("ST0", .x87, 0, .t)
        fixed("XMM0", .vector, 0, .o)
        rm("STi", .x87RM, .t, register: true)
        return codes
    }()
}
