import X86
import X86Decoder

// SHL SHR SAR, ROL ROR RCL RCR, SHLD SHRD, SARX SHLX SHRX RORX.
//
// Undefined flags, as Skylake sets them: OF for any count is what a shift by one of the original operand gives, but that ROL
// and ROR of a register by an immediate other than 1 leave it, and so do RCL and RCR by a multiple of the rotated bits. AF is
// cleared by shifts. Bytes and words shifted by more than their width give CF of the zeros (or signs) that follow.
extension Core {
    @inline(never)
    func executeShift(_ i: Instruction) throws(Fault) {
        switch i.pointee.operandByteCount {
        case 1: try shift(i, UInt8.self)
        case 2: try shift(i, UInt16.self)
        case 4: try shift(i, UInt32.self)
        default: try shift(i, UInt64.self)
        }
    }

    /// The count of a shift, masked as the operand width asks (SDM 2B "SAL/SAR/SHL/SHR").
    @inline(__always)
    private func shiftCount<T: OperandInteger>(_ i: Instruction, _ operand: Operand, _ type: T.Type) -> UInt64 {
        let mask: UInt64 = T.bitWidth == 64 ? 63 : 31
        switch operand.kind {
        case .one: return 1
        case .immediate: return i.pointee.immediate & mask
        default: return state.rcx & mask
        }
    }

    /// Bit `index`, which is less than the width.
    @inline(__always)
    private func bit<T: OperandInteger>(_ value: T, _ index: Int) -> Bool {
        value &>> T(truncatingIfNeeded: index) & 1 != 0
    }

    @inline(__always)
    private func topBit<T: OperandInteger>(_ value: T) -> Bool { bit(value, T.bitWidth &- 1) }

    /// Whether the two topmost bits differ.
    @inline(__always)
    private func topBitsDiffer<T: OperandInteger>(_ value: T) -> Bool { topBit(value) != bit(value, T.bitWidth &- 2) }

    private func shift<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        let destination = try destination(i, i.pointee.operands.0, T.self)
        let a = try read(destination, T.self)
        let count = shiftCount(i, i.pointee.operands.1, T.self)
        // A count of 0 changes no flags, but a 32-bit register is still zero-extended.
        guard count != 0 else { return try writeBack(i, destination, a) }
        let wide = UInt64(truncatingIfNeeded: a)
        let result: T
        switch i.pointee.operation {
        case .shl:
            result = T(truncatingIfNeeded: wide &<< count)
            let carry = count <= UInt64(T.bitWidth) && wide >> (UInt64(T.bitWidth) &- count) & 1 != 0
            setFlags(result, carry: carry, overflow: topBitsDiffer(a))
        case .shr:
            result = T(truncatingIfNeeded: wide &>> count)
            setFlags(result, carry: wide &>> (count &- 1) & 1 != 0, overflow: topBit(a))
        case .sar:
            let signed = Int64(bitPattern: signExtended(a))
            result = T(truncatingIfNeeded: signed &>> Int64(count))
            setFlags(result, carry: signed &>> Int64(count &- 1) & 1 != 0, overflow: false)
        case .rcl, .rcr:
            result = rotateThroughCarry(a, count, left: i.pointee.operation == .rcl)
        default:
            let left = i.pointee.operation == .rol
            let n = T(truncatingIfNeeded: count) & T(truncatingIfNeeded: T.bitWidth &- 1)
            let opposite = 0 &- n
            result = left ? a &<< n | a &>> opposite : a &>> n | a &<< opposite
            let carry = left ? result & 1 != 0 : topBit(result)
            let keepsOverflow = count != 1 && !destination.operand.isMemory && i.pointee.operands.1.kind == .immediate
            let overflow = left ? topBitsDiffer(a) : topBit(a) != (a & 1 != 0)
            setCarry(carry, overflow: keepsOverflow ? state.overflowFlag : overflow)
        }
        try writeBack(i, destination, result)
    }

    /// Rotates the operand with CF above its top bit, and sets CF and OF.
    @inline(__always)
    private func rotateThroughCarry<T: OperandInteger>(_ a: T, _ count: UInt64, left: Bool) -> T {
        let n = Int(count % UInt64(T.bitWidth &+ 1))
        guard n != 0 else { return a }
        let carry: T = state.carryFlag ? 1 : 0
        // Each shift below is by less than the width: n is 1...width.
        let result: T
        let out: Bool
        let overflow: Bool
        if left {
            let shifted = n == T.bitWidth ? 0 : a &<< T(truncatingIfNeeded: n)
            let wrapped = n == 1 ? 0 : a &>> T(truncatingIfNeeded: T.bitWidth &+ 1 &- n)
            result = shifted | carry &<< T(truncatingIfNeeded: n &- 1) | wrapped
            out = bit(a, T.bitWidth &- n)
            overflow = topBitsDiffer(a)
        } else {
            let shifted = n == T.bitWidth ? 0 : a &>> T(truncatingIfNeeded: n)
            let wrapped = n == 1 ? 0 : a &<< T(truncatingIfNeeded: T.bitWidth &+ 1 &- n)
            result = shifted | carry &<< T(truncatingIfNeeded: T.bitWidth &- n) | wrapped
            out = bit(a, n &- 1)
            overflow = topBit(a) != (carry != 0)
        }
        setCarry(out, overflow: overflow)
        return result
    }

    /// SHLD and SHRD.
    ///
    /// Words by more than 16, undefined in the SDM, shift the destination in again behind the source.
    @inline(never)
    func executeDoubleShift(_ i: Instruction) throws(Fault) {
        switch i.pointee.operandByteCount {
        case 2: try doubleShift(i, UInt16.self)
        case 4: try doubleShift(i, UInt32.self)
        default: try doubleShift(i, UInt64.self)
        }
    }

    private func doubleShift<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        let destination = try destination(i, i.pointee.operands.0, T.self)
        let a = try read(destination, T.self)
        let b = register(i.pointee.operands.1.number, T.self)
        let count = shiftCount(i, i.pointee.operands.2, T.self)
        guard count != 0 else { return try writeBack(i, destination, a) }
        let left = i.pointee.operation == .shld
        let result: T
        let carry: Bool
        if T.bitWidth == 16 {
            let outer = UInt64(truncatingIfNeeded: a)
            let wide = outer << 32 | UInt64(truncatingIfNeeded: b) << 16 | outer
            result = T(truncatingIfNeeded: left ? (wide &<< count) >> 32 : wide &>> count)
            carry = (left ? (wide &<< count) >> 48 : wide &>> (count &- 1)) & 1 != 0
        } else {
            let n = T(truncatingIfNeeded: count)
            let opposite = T(truncatingIfNeeded: T.bitWidth) &- n
            result = left ? a &<< n | b &>> opposite : a &>> n | b &<< opposite
            carry = bit(a, left ? Int(opposite) : Int(n) &- 1)
        }
        let overflow = left ? topBitsDiffer(a) : topBit(a) != (b & 1 != 0)
        setFlags(result, carry: carry, overflow: overflow)
        try writeBack(i, destination, result)
    }

    /// SARX SHLX SHRX RORX: no flags.
    @inline(never)
    func executeFlaglessShift(_ i: Instruction) throws(Fault) {
        if i.pointee.operandByteCount == 8 {
            try flaglessShift(i, UInt64.self)
        } else {
            try flaglessShift(i, UInt32.self)
        }
    }

    private func flaglessShift<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        let a = try read(i, i.pointee.operands.1, T.self)
        // Masking shifts cut the count to the width.
        let count = try read(i, i.pointee.operands.2, T.self)
        let result: T
        switch i.pointee.operation {
        case .shlx: result = a &<< count
        case .shrx: result = a &>> count
        case .sarx:
            let n = Int64(truncatingIfNeeded: count & T(truncatingIfNeeded: T.bitWidth &- 1))
            result = T(truncatingIfNeeded: Int64(bitPattern: signExtended(a)) &>> n)
        default: result = a &>> count | a &<< (0 &- count)
        }
        setRegister(i.pointee.operands.0.number, result)
    }
}
