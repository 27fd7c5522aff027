import X86
import X86Decoder

// Near CALL, JMP and RET, Jcc, LOOPcc, JrCXZ, BOUND.
extension Core {
    /// The bits of RIP that a near branch writes: in 64-bit mode all, else as the operand size says.
    @inline(__always)
    private func branchMask(_ i: Instruction) -> UInt64 {
        if state.mode == .long64 { return .max }
        return i.pointee.operandByteCount == 2 ? 0xFFFF : 0xFFFF_FFFF
    }

    @inline(__always)
    private func relativeTarget(_ i: Instruction) -> UInt64 {
        (state.rip &+ i.pointee.immediate) & branchMask(i)
    }

    /// Where a near CALL or JMP goes.
    private func branchTarget(_ i: Instruction) throws(Fault) -> UInt64 {
        let operand = i.pointee.operands.0
        if operand.kind == .relative { return relativeTarget(i) }
        if state.mode == .long64 { return try read(i, operand, UInt64.self) }
        if i.pointee.operandByteCount == 2 { return UInt64(try read(i, operand, UInt16.self)) }
        return UInt64(try read(i, operand, UInt32.self))
    }

    @inline(never)
    func executeJump(_ i: Instruction) throws(Fault) { try branch(to: try branchTarget(i)) }

    @inline(never)
    func executeCall(_ i: Instruction) throws(Fault) {
        let pointer = state.rsp
        let target = try branchTarget(i)
        try pushOperand(i, state.rip)
        do throws(Fault) { try branch(to: target) } catch {
            state.rsp = pointer
            throw error
        }
    }

    /// RET: where the target is bad the stack pointer stays.
    @inline(never)
    func executeReturn(_ i: Instruction) throws(Fault) {
        let pointer = state.rsp
        let target = try popOperand(i)
        do throws(Fault) { try branch(to: target) } catch {
            state.rsp = pointer
            throw error
        }
        if i.pointee.operands.0.kind == .immediate { setStackPointer(state.rsp &+ (i.pointee.immediate & 0xFFFF)) }
    }

    @inline(never)
    func executeConditionalJump(_ i: Instruction) throws(Fault) {
        if condition(i.pointee.opcode) { try branch(to: relativeTarget(i)) }
    }

    /// LOOP LOOPE LOOPNE: the count is CX, ECX or RCX by the address size.
    @inline(never)
    func executeLoop(_ i: Instruction) throws(Fault) {
        let mask = addressMask(i)
        let count = (state.rcx &- 1) & mask
        let continues: Bool
        switch i.pointee.operation {
        case .loope: continues = count != 0 && state.zeroFlag
        case .loopne: continues = count != 0 && !state.zeroFlag
        default: continues = count != 0
        }
        if continues { try branch(to: relativeTarget(i)) }
        setAddressRegister(1, count, mask: mask)
    }

    @inline(never)
    func executeJumpIfCountIsZero(_ i: Instruction) throws(Fault) {
        if state.rcx & addressMask(i) == 0 { try branch(to: relativeTarget(i)) }
    }

    /// BOUND.
    ///
    /// - Throws: #BR where the signed index lies outside the two bounds.
    @inline(never)
    func executeBound(_ i: Instruction) throws(Fault) {
        let isWord = i.pointee.operandByteCount == 2
        let size = isWord ? 2 : 4
        let linear = try linearAddress(i, size &* 2, write: false)
        let upperLinear = wrapLinear(linear &+ UInt64(size))
        let index: Int32
        let lower: Int32
        let upper: Int32
        if isWord {
            index = Int32(Int16(truncatingIfNeeded: state[i.pointee.operands.0.number]))
            lower = Int32(Int16(bitPattern: try load(UInt16.self, linear)))
            upper = Int32(Int16(bitPattern: try load(UInt16.self, upperLinear)))
        } else {
            index = Int32(truncatingIfNeeded: state[i.pointee.operands.0.number])
            lower = Int32(bitPattern: try load(UInt32.self, linear))
            upper = Int32(bitPattern: try load(UInt32.self, upperLinear))
        }
        guard index >= lower, index <= upper else { throw .exception(ExceptionVector.boundRange) }
    }
}
