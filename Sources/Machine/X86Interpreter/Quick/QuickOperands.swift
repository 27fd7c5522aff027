import X86
import X86Decoder

// Operands and operations of the quick handlers, all inlined into the run loop.
extension Core {
    /// The register that operand 0 names, as `T`.
    @inline(__always)
    func target<T: OperandInteger>(_ i: Instruction, _ type: T.Type) -> T {
        T(truncatingIfNeeded: state[i.pointee.operands.0.number])
    }

    /// The register that operand 1 names, as `T`.
    @inline(__always)
    func source<T: OperandInteger>(_ i: Instruction, _ type: T.Type) -> T {
        T(truncatingIfNeeded: state[i.pointee.operands.1.number])
    }

    @inline(__always)
    func immediate<T: OperandInteger>(_ i: Instruction, _ type: T.Type) -> T {
        T(truncatingIfNeeded: i.pointee.immediate)
    }

    /// Writes operand 0, a register, whole: 32-bit values are zero-extended.
    @inline(__always)
    func write<T: OperandInteger>(_ i: Instruction, _ type: T.Type, _ value: T) {
        state[i.pointee.operands.0.number] = UInt64(truncatingIfNeeded: value)
    }

    /// Writes the low bits of operand 0, a register; the rest stays.
    @inline(__always)
    func writeLow<T: OperandInteger>(_ i: Instruction, _ value: T) {
        let offset = CPUState.generalOffset &+ i.pointee.operands.0.number &* 8
        raw.storeBytes(of: value, toByteOffset: offset, as: T.self)
    }

    @inline(__always)
    func loadOperand<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) -> T {
        try load(T.self, try linearAddress(i, MemoryLayout<T>.size, write: false))
    }

    @inline(__always)
    func storeOperand<T: OperandInteger>(_ i: Instruction, _ value: T) throws(Fault) {
        try store(value, try linearAddress(i, MemoryLayout<T>.size, write: true))
    }

    /// Reads the memory operand, combines it with `value` and writes it back.
    @inline(__always)
    func modify<T: OperandInteger>(_ i: Instruction, _ value: T, _ operation: (T, T) -> T) throws(Fault) {
        let linear = try linearAddress(i, MemoryLayout<T>.size, write: true)
        let old = try loadForModify(T.self, linear)
        // The write cannot fault any more, so the flags may change before it.
        try store(operation(old, value), linear)
    }

    @inline(__always)
    func jump(_ i: Instruction) throws(Fault) { try branch(to: jumpTarget(i)) }

    /// The target of a relative branch, cut to the operand size.
    @inline(__always)
    private func jumpTarget(_ i: Instruction) -> UInt64 {
        let target = state.rip &+ i.pointee.immediate
        switch i.pointee.operandByteCount {
        case 8: return target
        case 4: return target & 0xFFFF_FFFF
        default: return target & 0xFFFF
        }
    }

    /// A near relative call in 64-bit mode.
    @inline(__always)
    func call(_ i: Instruction) throws(Fault) { try callIndirect(state.rip &+ i.pointee.immediate) }

    /// A near call in 64-bit mode; the return address is stored even where the target is bad, as on Intel's CPUs.
    @inline(__always)
    func callIndirect(_ target: UInt64) throws(Fault) {
        let s = state
        let pointer = s.rsp
        try push(s.rip)
        do throws(Fault) { try branch(to: target) } catch {
            s.rsp = pointer
            throw error
        }
    }

    /// RET in 64-bit mode: a bad target leaves the stack pointer as it was.
    @inline(__always)
    func ret() throws(Fault) {
        let s = state
        let pointer = s.rsp
        let target: UInt64
        do throws(Fault) { target = try load(UInt64.self, pointer) } catch { throw stackFault(error) }
        try branch(to: target)
        s.rsp = pointer &+ 8
    }

    /// LEAVE in 64-bit mode.
    @inline(__always)
    func leave() throws(Fault) {
        let s = state
        let frame = s.rbp
        let value: UInt64
        do throws(Fault) { value = try load(UInt64.self, frame) } catch { throw stackFault(error) }
        s.rsp = frame &+ 8
        s.rbp = value
    }

    /// Notes where the instruction starts, for the complete functions, and calls one.
    @inline(__always)
    func generic(_ i: Instruction, _ body: (Core, Instruction) throws(Fault) -> Void) throws(Fault) {
        state[field: Layout.instructionRIP] = state.rip &- UInt64(i.pointee.length)
        try body(self, i)
    }
}

// Arithmetic with its flags.
extension Core {
    @inline(__always)
    func add<T: OperandInteger>(_ a: T, _ b: T) -> T {
        let result = a &+ b
        setFlagsAdd(a, b, result)
        return result
    }

    @inline(__always)
    func adc<T: OperandInteger>(_ a: T, _ b: T) -> T {
        let result = a &+ b &+ (state.carryFlag ? 1 : 0)
        setFlagsAdd(a, b, result)
        return result
    }

    @inline(__always)
    func sub<T: OperandInteger>(_ a: T, _ b: T) -> T {
        let result = a &- b
        setFlagsSub(a, b, result)
        return result
    }

    @inline(__always)
    func sbb<T: OperandInteger>(_ a: T, _ b: T) -> T {
        let result = a &- b &- (state.carryFlag ? 1 : 0)
        setFlagsSub(a, b, result)
        return result
    }

    @inline(__always)
    func and<T: OperandInteger>(_ a: T, _ b: T) -> T {
        let result = a & b
        setFlagsLogic(result)
        return result
    }

    @inline(__always)
    func or<T: OperandInteger>(_ a: T, _ b: T) -> T {
        let result = a | b
        setFlagsLogic(result)
        return result
    }

    @inline(__always)
    func xor<T: OperandInteger>(_ a: T, _ b: T) -> T {
        let result = a ^ b
        setFlagsLogic(result)
        return result
    }

    @inline(__always)
    func cmp<T: OperandInteger>(_ a: T, _ b: T) { setFlagsSub(a, b, a &- b) }

    @inline(__always)
    func test<T: OperandInteger>(_ a: T, _ b: T) { setFlagsLogic(a & b) }

    @inline(__always)
    func increment<T: OperandInteger>(_ a: T) -> T {
        let result = a &+ 1
        setFlagsIncrement(result)
        return result
    }

    @inline(__always)
    func decrement<T: OperandInteger>(_ a: T) -> T {
        let result = a &- 1
        setFlagsDecrement(result)
        return result
    }

    @inline(__always)
    func negate<T: OperandInteger>(_ a: T) -> T {
        let result = 0 &- a
        setFlagsSub(0, a, result)
        return result
    }

    /// IMUL of two operands: CF and OF say whether the product lost bits; see ``setFlagsMultiply(_:lost:)``.
    @inline(__always)
    func multiply<T: OperandInteger>(_ a: T, _ b: T) -> T {
        let result: T
        let overflow: Bool
        if T.bitWidth == 64 {
            let (product, lost) = Int64(truncatingIfNeeded: a).multipliedReportingOverflow(
                by: Int64(truncatingIfNeeded: b)
            )
            result = T(truncatingIfNeeded: product)
            overflow = lost
        } else {
            let (product, lost) = Int32(truncatingIfNeeded: a).multipliedReportingOverflow(
                by: Int32(truncatingIfNeeded: b)
            )
            result = T(truncatingIfNeeded: product)
            overflow = lost
        }
        setFlagsMultiply(result, lost: overflow)
        return result
    }

    // The quick shifts are only chosen for counts 1...width-1, so that the flags always change.

    @inline(__always)
    func shiftLeft<T: OperandInteger>(_ a: T, _ count: UInt64) -> T {
        let n = T(truncatingIfNeeded: count)
        let result = a &<< n
        let carry = a &>> (T(truncatingIfNeeded: T.bitWidth) &- n) & 1 != 0
        // OF is what a shift by one gives, whatever the count is, as in `executeShift`.
        let overflow = (a ^ a &<< 1) &>> T(truncatingIfNeeded: T.bitWidth &- 1) != 0
        setFlags(result, carry: carry, overflow: overflow)
        return result
    }

    @inline(__always)
    func shiftRight<T: OperandInteger>(_ a: T, _ count: UInt64) -> T {
        let n = T(truncatingIfNeeded: count)
        let result = a &>> n
        let carry = a &>> (n &- 1) & 1 != 0
        // OF is the operand's old top bit, whatever the count is, as in `executeShift`.
        setFlags(result, carry: carry, overflow: a &>> T(truncatingIfNeeded: T.bitWidth &- 1) != 0)
        return result
    }

    @inline(__always)
    func shiftArithmetic<T: OperandInteger>(_ a: T, _ count: UInt64) -> T {
        let wide = Int64(bitPattern: signExtended(a))
        let result = T(truncatingIfNeeded: wide &>> Int64(truncatingIfNeeded: count))
        let carry = wide &>> (Int64(truncatingIfNeeded: count) &- 1) & 1 != 0
        setFlags(result, carry: carry, overflow: false)
        return result
    }
}
