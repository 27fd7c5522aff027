import X86Decoder

/// The parts of an instruction's encoding that do not depend on registers and addresses, so that it can be written again with others.
struct InstructionEncoding {
    var hasOperandSizePrefix = false
    var hasLock = false
    /// F2, F3 or 0.
    var repeatPrefix: UInt8 = 0
    var isWide = false
    /// 0 one byte, 1 0F, 2 0F38, 3 0F3A.
    var map: UInt8 = 0
    var opcode: UInt8 = 0
    var isVEX = false
    /// 66, F3 and F2 as 1, 2 and 3.
    var vexPrefix: UInt8 = 0
    var isVEX256 = false
    /// The register numbers of ModRM.reg, ModRM.rm (where it is a register), VEX.vvvv and the opcode's low bits, extended.
    var reg: UInt8 = 0
    var rm: UInt8 = 0
    var vvvv: UInt8 = 0
    var opcodeRegister: UInt8 = 0
    var hasModRM = false
    /// Where the immediate bytes lie, and how many there are.
    var immediateOffset = 0
    var immediateCount = 0

    /// Takes the bytes of a decoded instruction of 64-bit code apart.
    init(_ p: UnsafePointer<UInt8>, length: Int, hasModRM: Bool) {
        self.hasModRM = hasModRM
        var at = 0
        var rex: UInt8 = 0
        prefixes: while true {
            // A REX prefix with another prefix behind it is ignored (SDM 2A §2.2.1).
            var next: UInt8 = 0
            switch p[at] {
            case 0x66: hasOperandSizePrefix = true
            case 0xF0: hasLock = true
            case 0xF2, 0xF3: repeatPrefix = p[at]
            case 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x67: break
            case 0x40...0x4F: next = p[at]
            default: break prefixes
            }
            rex = next
            at += 1
        }
        var extensions: UInt8 = rex & 7
        isWide = rex & 8 != 0
        if p[at] == 0xC5 {
            isVEX = true
            extensions = (~p[at + 1] >> 7 & 1) << 2
            vvvv = ~p[at + 1] >> 3 & 15
            isVEX256 = p[at + 1] & 4 != 0
            vexPrefix = p[at + 1] & 3
            map = 1
            at += 2
        } else if p[at] == 0xC4 {
            isVEX = true
            extensions = ~p[at + 1] >> 5 & 7
            map = p[at + 1] & 31
            isWide = p[at + 2] & 0x80 != 0
            vvvv = ~p[at + 2] >> 3 & 15
            isVEX256 = p[at + 2] & 4 != 0
            vexPrefix = p[at + 2] & 3
            at += 3
        } else if p[at] == 0x0F {
            map = 1
            at += 1
            if p[at] == 0x38 || p[at] == 0x3A {
                map = p[at] == 0x38 ? 2 : 3
                at += 1
            }
        }
        opcode = p[at]
        opcodeRegister = opcode & 7 | (extensions & 1) << 3
        at += 1
        if hasModRM {
            let modRM = p[at]
            at += 1
            reg = modRM >> 3 & 7 | (extensions & 4) << 1
            rm = modRM & 7 | (extensions & 1) << 3
            if modRM >> 6 != 3 {
                var displacement = modRM >> 6 == 1 ? 1 : modRM >> 6 == 2 ? 4 : 0
                if modRM & 7 == 4 {
                    if modRM >> 6 == 0, p[at] & 7 == 5 { displacement = 4 }
                    at += 1
                } else if modRM & 0xC7 == 5 {
                    displacement = 4
                }
                at += displacement
            }
        }
        immediateOffset = at
        immediateCount = length - at
    }
}

/// The operand that ModRM.rm names, on the host.
enum HostOperand {
    case register(UInt8)
    /// [R9 + RCX]: a guest address and its addend.
    case checked
    /// [R9].
    case joined
    /// [RCX]: for AH CH DH BH, which no REX prefix may accompany.
    case joinedLow
}

extension Emitter {
    /// Writes the instruction with the registers now in `e`, with `rm` in place of its ModRM.rm.
    ///
    /// `forcesREX`: SPL BPL SIL DIL are meant by numbers 4 to 7.
    mutating func instruction(
        _ e: InstructionEncoding,
        _ rm: HostOperand,
        forcesREX: Bool,
        immediate: UnsafePointer<UInt8>
    ) {
        var b: UInt8 = 0
        switch rm {
        case .register(let number): b = e.hasModRM ? number >> 3 : e.opcodeRegister >> 3
        case .checked, .joined: b = 1
        case .joinedLow: break
        }
        let r = e.reg >> 3
        if e.isVEX {
            if e.map == 1, !e.isWide, b == 0 {
                byte(0xC5)
                byte((~r & 1) << 7 | (~e.vvvv & 15) << 3 | (e.isVEX256 ? 4 : 0) | e.vexPrefix)
            } else {
                byte(0xC4)
                byte((~r & 1) << 7 | 0x40 | (~b & 1) << 5 | e.map)
                byte((e.isWide ? 0x80 : 0) | (~e.vvvv & 15) << 3 | (e.isVEX256 ? 4 : 0) | e.vexPrefix)
            }
            byte(e.opcode)
        } else {
            if e.hasLock { byte(0xF0) }
            if e.hasOperandSizePrefix { byte(0x66) }
            if e.repeatPrefix != 0 { byte(e.repeatPrefix) }
            let rex = 0x40 | (e.isWide ? 8 : 0) | r << 2 | b
            if rex != 0x40 || forcesREX { byte(rex) }
            if e.map != 0 { byte(0x0F) }
            if e.map == 2 { byte(0x38) } else if e.map == 3 { byte(0x3A) }
            byte(e.hasModRM ? e.opcode : e.opcode & 0xF8 | e.opcodeRegister & 7)
        }
        if e.hasModRM {
            let field = (e.reg & 7) << 3
            switch rm {
            case .register(let number): byte(0xC0 | field | number & 7)
            case .checked:
                byte(field | 4)
                byte(0x09)
            case .joined, .joinedLow: byte(field | 1)
            }
        }
        for index in 0..<e.immediateCount { byte(immediate[e.immediateOffset + index]) }
    }
}
