import X86
import X86Decoder

/// Makes random encodings of a given row by trial: random prefixes before the row's opcode and random bytes behind it, until the
/// decoder says that this is the row.
struct OracleEncoder {
    static let longest = 15
    private let candidate = UnsafeMutablePointer<UInt8>.allocate(capacity: 32)
    private var count = 0
    /// Whether the GS base can be set, so that a GS override leads to the data.
    var usesGS = false

    private mutating func put(_ byte: UInt8) {
        candidate[count] = byte
        count += 1
    }

    /// `base`: A register 0...7 but 4 that every memory operand is to use as its only address register, or nil.
    ///
    /// Returns the instruction and its bytes, or nil if no trial hit the row.
    mutating func encode(_ index: UInt16, base: UInt8?, _ random: inout OracleRandom) -> (DecodedInstruction, [UInt8])?
    {
        let row = OpcodeTable.row(index)
        for _ in 0..<3000 {
            assemble(row, base, &random)
            var instruction = DecodedInstruction()
            let status = InstructionDecoder.decode(candidate, count: 31, size: .bits64, into: &instruction)
            guard status == .complete, instruction.row == index, instruction.operation != .undefined else { continue }
            if let base, usesMemory(instruction), instruction.base != base || instruction.index != 16 { continue }
            return (instruction, Array(UnsafeBufferPointer(start: candidate, count: Int(instruction.length))))
        }
        return nil
    }

    private func usesMemory(_ i: DecodedInstruction) -> Bool {
        i.operands.0.isMemory || i.operands.1.isMemory || i.operands.2.isMemory || i.operands.3.isMemory
    }

    private mutating func assemble(_ row: OpcodeRow, _ base: UInt8?, _ random: inout OracleRandom) {
        count = 0
        let isVEX = row.map == .vex0F || row.map == .vex0F38 || row.map == .vex0F3A
        if !isVEX {
            switch random.below(8) {
            case 0, 1: put(0x66)
            case 2: put(0xF3)
            case 3: put(0xF2)
            default: break
            }
            if row.allowsLock, random.chance(percent: 25) { put(0xF0) }
        }
        if random.chance(percent: 10) { put(0x67) }
        if random.chance(percent: 8) {
            put(usesGS && base == nil && random.chance(percent: 60) ? 0x65 : [0x26, 0x2E, 0x36, 0x3E][random.below(4)])
        }
        let bits = random.next()
        let register = bits & 3 != 0
        switch row.map {
        case .vex0F, .vex0F38, .vex0F3A:
            let selector: UInt8 = row.map == .vex0F ? 1 : row.map == .vex0F38 ? 2 : 3
            let extension3 = UInt8(truncatingIfNeeded: bits >> 8) & 0xE0
            // Half of them without a second source register.
            let last = UInt8(truncatingIfNeeded: bits >> 16) | (bits & 8 == 0 ? 0x78 : 0)
            if selector == 1, bits & 4 == 0 {
                put(0xC5)
                put(last)
            } else {
                put(0xC4)
                put((base == nil ? extension3 : extension3 | 0x60) | selector)
                put(last)
            }
        default:
            if bits & 16 == 0 {
                let rex = UInt8(truncatingIfNeeded: bits >> 24) & 15
                put(0x40 | (base == nil ? rex : rex & 12))
            }
        }
        switch row.map {
        case .map0F: put(0x0F)
        case .map0F38:
            put(0x0F)
            put(0x38)
        case .map0F3A:
            put(0x0F)
            put(0x3A)
        default: break
        }
        put(row.opcode)
        var modRM = random.byte()
        if register, bits & 32 == 0 { modRM |= 0xC0 }
        if let base, modRM < 0xC0 { modRM = 0x40 | modRM & 0x38 | base }
        put(modRM)
        while count < 31 {
            let word = random.next()
            for byte in 0..<8 where count < 31 { put(UInt8(truncatingIfNeeded: word >> UInt64(byte * 8))) }
        }
    }
}
