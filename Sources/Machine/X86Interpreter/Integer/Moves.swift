import X86
import X86Decoder

// MOV MOVNTI MOVZX MOVSX MOVSXD MOVBE LEA XCHG XADD CMPXCHG CMPXCHG8B CMPXCHG16B CMOVcc SETcc XLAT CBW CWD and their kin.
extension Core {
    @inline(never)
    func executeMove(_ i: Instruction) throws(Fault) {
        let (to, from) = (i.pointee.operands.0, i.pointee.operands.1)
        switch i.pointee.operandByteCount {
        case 1: try write(i, to, try read(i, from, UInt8.self))
        case 2: try write(i, to, try read(i, from, UInt16.self))
        case 4: try write(i, to, try read(i, from, UInt32.self))
        default: try write(i, to, try read(i, from, UInt64.self))
        }
    }

    /// MOVZX, MOVSX and MOVSXD: the source's width is ``DecodedInstruction/memoryByteCount``.
    @inline(never)
    func executeExtend(_ i: Instruction) throws(Fault) {
        let from = i.pointee.operands.1
        let isSigned = i.pointee.operation != .movzx
        let value: UInt64
        switch i.pointee.memoryByteCount {
        case 1:
            let source = try read(i, from, UInt8.self)
            value = isSigned ? signExtended(source) : UInt64(source)
        case 2:
            let source = try read(i, from, UInt16.self)
            value = isSigned ? signExtended(source) : UInt64(source)
        default:
            let source = try read(i, from, UInt32.self)
            value = isSigned ? signExtended(source) : UInt64(source)
        }
        setOperandRegister(i, i.pointee.operands.0.number, value)
    }

    /// Writes as much of register `number` as the operand size of `i` says.
    @inline(__always)
    func setOperandRegister(_ i: Instruction, _ number: Int, _ value: UInt64) {
        switch i.pointee.operandByteCount {
        case 1: setRegister(number, UInt8(truncatingIfNeeded: value))
        case 2: setRegister(number, UInt16(truncatingIfNeeded: value))
        case 4: setRegister(number, UInt32(truncatingIfNeeded: value))
        default: state[number] = value
        }
    }

    @inline(never)
    func executeSwappedMove(_ i: Instruction) throws(Fault) {
        let (to, from) = (i.pointee.operands.0, i.pointee.operands.1)
        switch i.pointee.operandByteCount {
        case 2: try write(i, to, try read(i, from, UInt16.self).byteSwapped)
        case 4: try write(i, to, try read(i, from, UInt32.self).byteSwapped)
        default: try write(i, to, try read(i, from, UInt64.self).byteSwapped)
        }
    }

    /// CMOVcc reads its source, and zero-extends a 32-bit destination, whatever the condition.
    @inline(never)
    func executeConditionalMove(_ i: Instruction) throws(Fault) {
        let holds = condition(i.pointee.opcode)
        let (to, from) = (i.pointee.operands.0.number, i.pointee.operands.1)
        switch i.pointee.operandByteCount {
        case 2:
            let value = try read(i, from, UInt16.self)
            if holds { setRegister(to, value) }
        case 4:
            let value = try read(i, from, UInt32.self)
            setRegister(to, holds ? value : register(to, UInt32.self))
        default:
            let value = try read(i, from, UInt64.self)
            if holds { setRegister(to, value) }
        }
    }

    @inline(never)
    func executeExchange(_ i: Instruction) throws(Fault) {
        switch i.pointee.operandByteCount {
        case 1: try exchange(i, UInt8.self)
        case 2: try exchange(i, UInt16.self)
        case 4: try exchange(i, UInt32.self)
        default: try exchange(i, UInt64.self)
        }
    }

    /// XCHG, XADD and CMPXCHG.
    private func exchange<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        // XCHG may have its memory operand on either side.
        let isSwapped = i.pointee.operands.1.isMemory
        let other = isSwapped ? i.pointee.operands.0 : i.pointee.operands.1
        let destination = try destination(i, isSwapped ? i.pointee.operands.1 : i.pointee.operands.0, T.self)
        let old = try read(destination, T.self)
        let value = try read(i, other, T.self)
        switch i.pointee.operation {
        case .xchg:
            try writeBack(i, destination, value)
            try write(i, other, old)
        case .xadd:
            let sum = add(old, value)
            // Where both are one register it gets the sum.
            if destination.operand.isMemory { try writeBack(i, destination, sum) }
            try write(i, other, old)
            if !destination.operand.isMemory { try writeBack(i, destination, sum) }
        default:
            let accumulator = register(0, T.self)
            cmp(accumulator, old)
            if accumulator == old {
                try writeBack(i, destination, value)
            } else {
                // Memory is written with what it holds; of a register nothing changes, not even bits 63:32.
                if destination.operand.isMemory { try writeBack(i, destination, old) }
                setRegister(0, old)
            }
        }
    }

    /// CMPXCHG8B: only ZF changes.
    @inline(never)
    func executeCompareExchange8(_ i: Instruction) throws(Fault) {
        let linear = try linearAddress(i, 8, write: true)
        let old = try loadForModify(UInt64.self, linear)
        let expected = state.rdx << 32 | state.rax & 0xFFFF_FFFF
        if old == expected {
            try store(state.rcx << 32 | state.rbx & 0xFFFF_FFFF, linear)
        } else {
            try store(old, linear)
            setRegister(0, UInt32(truncatingIfNeeded: old))
            setRegister(2, UInt32(truncatingIfNeeded: old >> 32))
        }
        state.setArithmeticFlags(old == expected ? RFlags.zf : 0, mask: RFlags.zf)
    }

    /// CMPXCHG16B: only ZF changes.
    ///
    /// - Throws: #GP(0) where the operand is not aligned to 16 bytes.
    @inline(never)
    func executeCompareExchange16(_ i: Instruction) throws(Fault) {
        let linear = try linearAddress(i, 16, write: true)
        guard linear & 15 == 0 else { throw .generalProtection() }
        let low = try loadForModify(UInt64.self, linear)
        let high = try loadForModify(UInt64.self, linear &+ 8)
        let matches = low == state.rax && high == state.rdx
        try store(matches ? state.rbx : low, linear)
        try store(matches ? state.rcx : high, linear &+ 8)
        if !matches {
            state.rax = low
            state.rdx = high
        }
        state.setArithmeticFlags(matches ? RFlags.zf : 0, mask: RFlags.zf)
    }

    /// XLAT: AL is the byte at rBX + AL, unsigned.
    @inline(never)
    func executeTranslate(_ i: Instruction) throws(Fault) {
        let offset = (state.rbx &+ state.rax & 0xFF) & addressMask(i)
        setRegister(0, try load(UInt8.self, try segmentLinear(Int(i.pointee.segment), offset, 1, write: false)))
    }

    /// CBW CWDE CDQE.
    @inline(never)
    func executeExtendAccumulator(_ i: Instruction) {
        switch i.pointee.operandByteCount {
        case 2: setRegister(0, UInt16(truncatingIfNeeded: signExtended(register(0, UInt8.self))))
        case 4: setRegister(0, UInt32(truncatingIfNeeded: signExtended(register(0, UInt16.self))))
        default: state.rax = signExtended(register(0, UInt32.self))
        }
    }

    /// CWD CDQ CQO: rDX is the sign of rAX.
    @inline(never)
    func executeExtendIntoData(_ i: Instruction) {
        switch i.pointee.operandByteCount {
        case 2: setRegister(2, signExtended(register(0, UInt16.self)) >> 63 != 0 ? UInt16.max : 0)
        case 4: setRegister(2, signExtended(register(0, UInt32.self)) >> 63 != 0 ? UInt32.max : 0)
        default: state.rdx = state.rax >> 63 != 0 ? .max : 0
        }
    }
}
