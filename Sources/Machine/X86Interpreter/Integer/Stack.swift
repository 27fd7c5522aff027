import X86
import X86Decoder

// PUSH POP PUSHA POPA ENTER LEAVE.
extension Core {
    /// The width of a stack operand in bytes: 2, 4 or 8; in 64-bit mode 32-bit operands do not exist.
    @inline(__always)
    private func stackByteCount(_ i: Instruction) -> Int {
        if i.pointee.operandByteCount == 2 { return 2 }
        return state.mode == .long64 ? 8 : 4
    }

    /// Pushes the low bits of `value` that the operand size says.
    @inline(__always)
    func pushOperand(_ i: Instruction, _ value: UInt64) throws(Fault) {
        switch stackByteCount(i) {
        case 2: try push(UInt16(truncatingIfNeeded: value))
        case 4: try push(UInt32(truncatingIfNeeded: value))
        default: try push(value)
        }
    }

    /// Pops a value of the operand size, zero-extended.
    @inline(__always)
    func popOperand(_ i: Instruction) throws(Fault) -> UInt64 {
        switch stackByteCount(i) {
        case 2: UInt64(try pop(UInt16.self))
        case 4: UInt64(try pop(UInt32.self))
        default: try pop(UInt64.self)
        }
    }

    @inline(never)
    func executePush(_ i: Instruction) throws(Fault) {
        let operand = i.pointee.operands.0
        switch stackByteCount(i) {
        case 2: try push(try read(i, operand, UInt16.self))
        case 4: try push(try read(i, operand, UInt32.self))
        default: try push(try read(i, operand, UInt64.self))
        }
    }

    /// POP: an address with rSP is computed after the stack pointer has moved (SDM 2B "POP").
    @inline(never)
    func executePop(_ i: Instruction) throws(Fault) {
        let operand = i.pointee.operands.0
        let pointer = state.rsp
        do throws(Fault) {
            switch stackByteCount(i) {
            case 2: try write(i, operand, try pop(UInt16.self))
            case 4: try write(i, operand, try pop(UInt32.self))
            default: try write(i, operand, try pop(UInt64.self))
            }
        } catch {
            state.rsp = pointer
            throw error
        }
    }

    /// PUSHA: rSP is pushed as it was before.
    @inline(never)
    func executePushAll(_ i: Instruction) throws(Fault) {
        let pointer = state.rsp
        do throws(Fault) {
            for number in 0..<8 { try pushOperand(i, number == 4 ? pointer : state[number]) }
        } catch {
            state.rsp = pointer
            throw error
        }
    }

    /// POPA: what was pushed of rSP is passed over.
    @inline(never)
    func executePopAll(_ i: Instruction) throws(Fault) {
        let pointer = state.rsp
        do throws(Fault) {
            let rdi = try popOperand(i)
            let rsi = try popOperand(i)
            let rbp = try popOperand(i)
            _ = try popOperand(i)
            let rbx = try popOperand(i)
            let rdx = try popOperand(i)
            let rcx = try popOperand(i)
            let rax = try popOperand(i)
            setOperandRegister(i, 7, rdi)
            setOperandRegister(i, 6, rsi)
            setOperandRegister(i, 5, rbp)
            setOperandRegister(i, 3, rbx)
            setOperandRegister(i, 2, rdx)
            setOperandRegister(i, 1, rcx)
            setOperandRegister(i, 0, rax)
        } catch {
            state.rsp = pointer
            throw error
        }
    }

    /// The linear address of `byteCount` bytes at `offset` of the stack segment.
    @inline(__always)
    private func stackLinear(_ offset: UInt64, _ byteCount: Int, write: Bool) throws(Fault) -> UInt64 {
        try segmentLinear(2, offset & stackAddressMask, byteCount, write: write)
    }

    /// An integer of the operand size at `offset` of the stack segment, zero-extended.
    private func stackValue(_ i: Instruction, _ offset: UInt64) throws(Fault) -> UInt64 {
        let byteCount = stackByteCount(i)
        let linear = try stackLinear(offset, byteCount, write: false)
        do throws(Fault) {
            switch byteCount {
            case 2: return UInt64(try load(UInt16.self, linear))
            case 4: return UInt64(try load(UInt32.self, linear))
            default: return try load(UInt64.self, linear)
            }
        } catch {
            throw state.mode == .long64 ? stackFault(error) : error
        }
    }

    @inline(never)
    func executeLeave(_ i: Instruction) throws(Fault) {
        let frame = state.rbp
        let value = try stackValue(i, frame)
        setStackPointer(frame &+ UInt64(stackByteCount(i)))
        setStackRegister(i, 5, value)
    }

    /// Writes as much of a register as a stack operand of `i` has.
    @inline(__always)
    private func setStackRegister(_ i: Instruction, _ number: Int, _ value: UInt64) {
        switch stackByteCount(i) {
        case 2: setRegister(number, UInt16(truncatingIfNeeded: value))
        case 4: setRegister(number, UInt32(truncatingIfNeeded: value))
        default: state[number] = value
        }
    }

    /// ENTER (SDM 2A): nesting levels above 0 copy the frame pointers of the enclosing procedures.
    @inline(never)
    func executeEnter(_ i: Instruction) throws(Fault) {
        let s = state
        let pointer = s.rsp
        let byteCount = UInt64(stackByteCount(i))
        let allocated = i.pointee.immediate & 0xFFFF
        let level = i.pointee.immediate >> 16 & 31
        do throws(Fault) {
            try pushOperand(i, s.rbp)
            let frame = s.rsp
            if level > 0 {
                var enclosing = s.rbp
                for _ in 1..<level {
                    enclosing = enclosing &- byteCount
                    try pushOperand(i, try stackValue(i, enclosing))
                }
                try pushOperand(i, frame)
            }
            let last = s.rsp &- allocated
            // The stack has to be writable at its new top.
            let linear = try stackLinear(last, Int(byteCount), write: true)
            do throws(Fault) {
                try checkWritable(linear, Int(byteCount), rules: ruleTable)
            } catch {
                throw s.mode == .long64 ? stackFault(error) : error
            }
            setStackPointer(last)
            setStackRegister(i, 5, frame)
        } catch {
            s.rsp = pointer
            throw error
        }
    }
}
