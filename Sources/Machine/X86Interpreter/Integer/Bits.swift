import X86
import X86Decoder

// BT BTS BTR BTC, BSF BSR TZCNT LZCNT POPCNT, BSWAP.
extension Core {
    @inline(never)
    func executeBitTest(_ i: Instruction) throws(Fault) {
        switch i.pointee.operandByteCount {
        case 2: try bitTest(i, UInt16.self)
        case 4: try bitTest(i, UInt32.self)
        default: try bitTest(i, UInt64.self)
        }
    }

    /// CF is the bit; the undefined OF SF AF PF stay, as ZF does, as on Intel's CPUs.
    private func bitTest<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        let index = try read(i, i.pointee.operands.1, T.self)
        let bit: T = 1 &<< index
        let operation = i.pointee.operation
        var destination = Destination(operand: i.pointee.operands.0, linear: 0)
        if destination.operand.isMemory {
            // A register's index is signed and reaches beyond the operand; an immediate one is cut to it (SDM 2A "BT").
            var offset = effectiveOffset(i)
            if i.pointee.operands.1.kind == .general {
                let units = Int64(bitPattern: signExtended(index)) >> Int64(T.bitWidth.trailingZeroBitCount)
                offset = (offset &+ UInt64(bitPattern: units &* Int64(MemoryLayout<T>.size))) & addressMask(i)
            }
            destination.linear = try segmentLinear(
                Int(i.pointee.segment),
                offset,
                MemoryLayout<T>.size,
                write: operation != .bt
            )
        }
        let value =
            operation == .bt && destination.operand.isMemory
            ? try load(T.self, destination.linear) : try read(destination, T.self)
        switch operation {
        case .bts: try writeBack(i, destination, value | bit)
        case .btr: try writeBack(i, destination, value & ~bit)
        case .btc: try writeBack(i, destination, value ^ bit)
        default: break
        }
        setCarry(value & bit != 0)
    }

    @inline(never)
    func executeBitScan(_ i: Instruction) throws(Fault) {
        switch i.pointee.operandByteCount {
        case 2: try bitScan(i, UInt16.self)
        case 4: try bitScan(i, UInt32.self)
        default: try bitScan(i, UInt64.self)
        }
    }

    /// Undefined flags as Skylake sets them: BSF and BSR clear CF OF SF AF and give PF of the result (of the zero source, whose
    /// destination stays whole); TZCNT and LZCNT clear OF SF AF PF.
    private func bitScan<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        let value = try read(i, i.pointee.operands.1, T.self)
        let number = i.pointee.operands.0.number
        switch i.pointee.operation {
        case .bsf, .bsr:
            guard value != 0 else { return state.setArithmeticFlags(RFlags.zf | RFlags.pf) }
            let index =
                i.pointee.operation == .bsf ? value.trailingZeroBitCount : T.bitWidth &- 1 &- value.leadingZeroBitCount
            setRegister(number, T(truncatingIfNeeded: index))
            state.setArithmeticFlags(index.nonzeroBitCount & 1 == 0 ? RFlags.pf : 0)
        case .popcnt:
            setRegister(number, T(truncatingIfNeeded: value.nonzeroBitCount))
            state.setArithmeticFlags(value == 0 ? RFlags.zf : 0)
        default:
            let count = i.pointee.operation == .tzcnt ? value.trailingZeroBitCount : value.leadingZeroBitCount
            setRegister(number, T(truncatingIfNeeded: count))
            state.setArithmeticFlags((value == 0 ? RFlags.cf : 0) | (count == 0 ? RFlags.zf : 0))
        }
    }

    /// BSWAP.
    ///
    /// Of 16 bits, undefined in the SDM, it clears them, as Intel's CPUs do.
    @inline(never)
    func executeByteSwap(_ i: Instruction) {
        let number = i.pointee.operands.0.number
        switch i.pointee.operandByteCount {
        case 2: setRegister(number, UInt16(0))
        case 4: setRegister(number, register(number, UInt32.self).byteSwapped)
        default: setRegister(number, state[number].byteSwapped)
        }
    }
}
