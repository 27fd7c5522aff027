import X86
import X86Decoder

// BMI1 and BMI2 but for the shifts and MULX: ANDN BEXTR BLSI BLSMSK BLSR BZHI PDEP PEXT; CRC32.
extension Core {
    @inline(never)
    func executeBitField(_ i: Instruction) throws(Fault) {
        if i.pointee.operandByteCount == 8 {
            try bitField(i, UInt64.self)
        } else {
            try bitField(i, UInt32.self)
        }
    }

    /// Undefined flags as Skylake sets them: AF and PF are cleared, and so is SF by BEXTR.
    private func bitField<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        let first = try read(i, i.pointee.operands.1, T.self)
        let result: T
        var carry = false
        switch i.pointee.operation {
        case .andn:
            result = ~first & (try read(i, i.pointee.operands.2, T.self))
        case .bextr:
            let control = register(i.pointee.operands.2.number, UInt64.self)
            let (start, length) = (control & 0xFF, control >> 8 & 0xFF)
            let shifted = start < UInt64(T.bitWidth) ? first &>> T(truncatingIfNeeded: start) : 0
            result = shifted & lowBits(length)
            setRegister(i.pointee.operands.0.number, result)
            return state.setArithmeticFlags(result == 0 ? RFlags.zf : 0)
        case .blsi:
            result = first & (0 &- first)
            carry = first != 0
        case .blsmsk:
            result = first ^ (first &- 1)
            carry = first == 0
        case .blsr:
            result = first & (first &- 1)
            carry = first == 0
        default:
            let index = register(i.pointee.operands.2.number, UInt64.self) & 0xFF
            result = first & lowBits(index)
            carry = index >= UInt64(T.bitWidth)
        }
        setRegister(i.pointee.operands.0.number, result)
        let isNegative = result &>> T(truncatingIfNeeded: T.bitWidth &- 1) != 0
        let flags = (result == 0 ? RFlags.zf : 0) | (isNegative ? RFlags.sf : 0) | (carry ? RFlags.cf : 0)
        state.setArithmeticFlags(flags)
    }

    /// A value whose `count` lowest bits are set.
    @inline(__always)
    private func lowBits<T: OperandInteger>(_ count: UInt64) -> T {
        count < UInt64(T.bitWidth) ? (1 &<< T(truncatingIfNeeded: count)) &- 1 : T.max
    }

    /// PDEP and PEXT: no flags.
    @inline(never)
    func executeBitGather(_ i: Instruction) throws(Fault) {
        let isWide = i.pointee.operandByteCount == 8
        var mask =
            isWide
            ? try read(i, i.pointee.operands.2, UInt64.self) : UInt64(try read(i, i.pointee.operands.2, UInt32.self))
        let source = register(i.pointee.operands.1.number, UInt64.self)
        var result: UInt64 = 0
        var bit: UInt64 = 1
        while mask != 0 {
            let lowest = mask & (0 &- mask)
            if i.pointee.operation == .pdep {
                if source & bit != 0 { result |= lowest }
            } else {
                if source & lowest != 0 { result |= bit }
            }
            mask ^= lowest
            bit &<<= 1
        }
        setRegister(i.pointee.operands.0.number, result)
    }

    /// CRC32 with the polynomial 0x11EDC6F41, bits reflected (SDM 2A "CRC32"): no flags.
    @inline(never)
    func executeChecksum(_ i: Instruction) throws(Fault) {
        let source: UInt64
        switch i.pointee.memoryByteCount {
        case 1: source = UInt64(try read(i, i.pointee.operands.1, UInt8.self))
        case 2: source = UInt64(try read(i, i.pointee.operands.1, UInt16.self))
        case 4: source = UInt64(try read(i, i.pointee.operands.1, UInt32.self))
        default: source = try read(i, i.pointee.operands.1, UInt64.self)
        }
        var remainder = UInt64(register(i.pointee.operands.0.number, UInt32.self)) ^ source
        for _ in 0..<Int(i.pointee.memoryByteCount) &* 8 {
            remainder = remainder &>> 1 ^ (remainder & 1 != 0 ? 0x82F6_3B78 : 0)
        }
        setRegister(i.pointee.operands.0.number, remainder)
    }
}
