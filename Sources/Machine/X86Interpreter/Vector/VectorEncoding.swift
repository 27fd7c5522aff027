import HostCode

/// The encoding of an x87, MMX, SSE or AVX instruction, taken apart so that it can be written again for the host.
///
/// In the written instruction vector, MMX and x87 registers keep their numbers, a general register becomes RAX, and memory
/// becomes the operand buffer at a fixed displacement from RDI; prefixes that only concern addresses are gone.
struct VectorEncoding: Hashable {
    enum Map: UInt8 {
        case oneByte
        case map0F
        case map0F38
        case map0F3A
    }

    var map = Map.oneByte
    /// The mandatory prefix: 0 none, 1 66, 2 F3, 3 F2.
    var pp: UInt8 = 0
    var opcode: UInt8 = 0
    var modRM: UInt8 = 0
    var hasModRM = false
    /// The register numbers of ModRM.reg and ModRM.rm, 0...15 with their REX or VEX bits.
    var reg: UInt8 = 0
    var rm: UInt8 = 0
    var vvvv: UInt8 = 0
    var isVEX = false
    var w = false
    /// VEX.L.
    var isWide = false
    var hasImmediate = false
    var immediate: UInt8 = 0

    var isMemory: Bool { hasModRM && modRM < 0xC0 }
    /// ModRM.reg without its extension: part of the opcode in groups.
    var group: UInt8 { modRM >> 3 & 7 }

    /// Map, mandatory prefix and opcode in one number: `0xMPOO`, map and prefix as numbered above.
    var key: Int { Int(map.rawValue) << 12 | Int(pp) << 8 | Int(opcode) }

    /// Takes apart the `length` bytes of a decoded instruction; nil for what no vector instruction looks like.
    init?(_ bytes: UnsafePointer<UInt8>, length: Int, addressByteCount: UInt8, isLong: Bool) {
        var at = 0
        func peek(_ offset: Int = 0) -> UInt8 { at + offset < length ? bytes[at + offset] : 0 }
        var rex: UInt8 = 0
        prefixes: while at < length {
            switch peek() {
            case 0x66: if pp == 0 { pp = 1 }
            case 0xF3: pp = 2
            case 0xF2: pp = 3
            case 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x67, 0xF0: break
            case 0x40...0x4F where isLong:
                rex = peek()
                at += 1
                // REX counts only right before the opcode.
                if Self.isPrefix(peek(), isLong: isLong) { rex = 0 }
                continue prefixes
            default: break prefixes
            }
            at += 1
        }
        w = rex & 8 != 0
        var r = (rex & 4) << 1
        var b = (rex & 1) << 3
        switch peek() {
        case 0xC5:
            isVEX = true
            map = .map0F
            r = peek(1) & 0x80 != 0 ? 0 : 8
            vvvv = ~peek(1) >> 3 & 15
            isWide = peek(1) & 4 != 0
            pp = peek(1) & 3
            at += 2
        case 0xC4:
            isVEX = true
            guard let known = Map(rawValue: peek(1) & 31) else { return nil }
            map = known
            r = peek(1) & 0x80 != 0 ? 0 : 8
            b = peek(1) & 0x20 != 0 ? 0 : 8
            w = peek(2) & 0x80 != 0
            vvvv = ~peek(2) >> 3 & 15
            isWide = peek(2) & 4 != 0
            pp = peek(2) & 3
            at += 3
        case 0x0F:
            at += 1
            map = .map0F
            if peek() == 0x38 {
                map = .map0F38
                at += 1
            } else if peek() == 0x3A {
                map = .map0F3A
                at += 1
            }
        default: break
        }
        if !isLong {
            r = 0
            b = 0
            vvvv &= 7
        }
        guard at < length else { return nil }
        opcode = peek()
        at += 1
        hasModRM = map == .oneByte ? 0xD8...0xDF ~= opcode : !(map == .map0F && opcode == 0x77)
        if hasModRM {
            guard at < length else { return nil }
            modRM = peek()
            at += 1
            reg = modRM >> 3 & 7 | r
            rm = modRM & 7 | b
            if isMemory { at += Self.addressByteCount(modRM, sib: peek(), addressSize: addressByteCount) }
        }
        guard at <= length else { return nil }
        if at < length {
            hasImmediate = true
            immediate = bytes[length - 1]
        }
    }

    private static func isPrefix(_ byte: UInt8, isLong: Bool) -> Bool {
        switch byte {
        case 0x66, 0xF3, 0xF2, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x67, 0xF0: true
        case 0x40...0x4F: isLong
        default: false
        }
    }

    /// How many bytes of SIB and displacement follow a ModRM byte that names memory.
    private static func addressByteCount(_ modRM: UInt8, sib: UInt8, addressSize: UInt8) -> Int {
        let mod = modRM >> 6
        let rm = modRM & 7
        if addressSize == 2 {
            switch mod {
            case 0: return rm == 6 ? 2 : 0
            case 1: return 1
            default: return 2
            }
        }
        let hasSIB = rm == 4
        let base = hasSIB ? sib & 7 : rm
        let displacement =
            switch mod {
            case 0: base == 5 ? 4 : 0
            case 1: 1
            default: 4
            }
        return displacement + (hasSIB ? 1 : 0)
    }

    /// Writes the instruction for the host.
    ///
    /// `memory`: What replaces a memory operand.
    ///
    /// `generalIsReg`: Whether ModRM.reg names a general register; it becomes RAX.
    ///
    /// `generalIsRM`: Likewise ModRM.rm.
    func emit(into assembler: inout Assembler, memory: HostMemory, generalIsReg: Bool, generalIsRM: Bool) {
        let reg = generalIsReg ? 0 : reg
        let rm = isMemory ? memory.base.rawValue : generalIsRM ? 0 : rm
        if isVEX {
            assembler.vex(map: map.rawValue, pp: pp, w: w, isWide: isWide, reg: reg, vvvv: vvvv, rm: rm)
        } else {
            if map != .oneByte, pp != 0 { assembler.byte(pp == 1 ? 0x66 : pp == 2 ? 0xF3 : 0xF2) }
            if map != .oneByte { assembler.rex(w: w, reg, rm) }
            switch map {
            case .oneByte: break
            case .map0F: assembler.byte(0x0F)
            case .map0F38: assembler.bytes(0x0F, 0x38)
            case .map0F3A: assembler.bytes(0x0F, 0x3A)
            }
        }
        assembler.byte(opcode)
        if hasModRM {
            if isMemory { assembler.modRM(reg, memory) } else { assembler.byte(0xC0 | (reg & 7) << 3 | rm & 7) }
        }
        if hasImmediate { assembler.byte(immediate) }
    }
}
