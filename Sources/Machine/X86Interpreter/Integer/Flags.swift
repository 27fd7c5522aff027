import X86

/// An operand width as a type: `UInt8`, `UInt16`, `UInt32` or `UInt64`.
typealias OperandInteger = FixedWidthInteger & UnsignedInteger & BitwiseCopyable

// Setting the lazy arithmetic flags (see `CPUState+Flags.swift`) from operands and results of the width of `T`.
extension Core {
    /// Where lazyCarries keeps CF, and the carry into the top bit.
    static let carryOut: UInt64 = 1 << 63
    static let carryIntoTop: UInt64 = 1 << 62

    /// The result in the form that `lazyResult` has.
    @inline(__always)
    func signExtended<T: OperandInteger>(_ value: T) -> UInt64 {
        if T.bitWidth == 64 { return UInt64(truncatingIfNeeded: value) }
        let shift = UInt64(64 &- T.bitWidth)
        return UInt64(bitPattern: Int64(bitPattern: UInt64(truncatingIfNeeded: value) &<< shift) &>> Int64(shift))
    }

    /// `carries` holds the carry out of bit n at bit n; bits 8...16 of the kept form must stay clear.
    @inline(__always)
    private func setCarries<T: OperandInteger>(_ carries: T) {
        let wide = UInt64(truncatingIfNeeded: carries)
        let top = wide &<< UInt64(64 &- T.bitWidth) & (Core.carryOut | Core.carryIntoTop)
        state.lazyCarries = top | wide & 8
    }

    /// The flags of `a + b`, or of `a + b + CF`, which gave `result`.
    @inline(__always)
    func setFlagsAdd<T: OperandInteger>(_ a: T, _ b: T, _ result: T) {
        state.lazyResult = signExtended(result)
        setCarries((a & b) | ((a | b) & ~result))
    }

    /// The flags of `a - b`, or of `a - b - CF`, which gave `result`.
    @inline(__always)
    func setFlagsSub<T: OperandInteger>(_ a: T, _ b: T, _ result: T) {
        state.lazyResult = signExtended(result)
        setCarries((~a & b) | (~(a ^ b) & result))
    }

    /// The flags of AND, OR, XOR and TEST: CF and OF clear; AF, undefined in the SDM, is cleared as Intel's CPUs do.
    @inline(__always)
    func setFlagsLogic<T: OperandInteger>(_ result: T) {
        state.lazyResult = signExtended(result)
        state.lazyCarries = 0
    }

    /// The flags of INC: CF stays.
    @inline(__always)
    func setFlagsIncrement<T: OperandInteger>(_ result: T) {
        // The top bit alone. Swift 6.3.1 folds a comparison with 1 << 63 to false here.
        let overflow = result != 0 && result &+ result == 0
        setFlagsKeepingCarry(result, overflow: overflow, auxiliary: result & 15 == 0)
    }

    /// The flags of DEC: CF stays.
    @inline(__always)
    func setFlagsDecrement<T: OperandInteger>(_ result: T) {
        let overflow = result == T.max &>> 1
        setFlagsKeepingCarry(result, overflow: overflow, auxiliary: result & 15 == 15)
    }

    @inline(__always)
    private func setFlagsKeepingCarry<T: OperandInteger>(_ result: T, overflow: Bool, auxiliary: Bool) {
        let s = state
        let carry = s.lazyCarries & Core.carryOut
        s.lazyResult = signExtended(result)
        s.lazyCarries = carry | ((carry &>> 1) ^ (overflow ? Core.carryIntoTop : 0)) | (auxiliary ? 8 : 0)
    }

    /// SF, ZF and PF of `result`, with CF, OF and AF as given.
    @inline(__always)
    func setFlags<T: OperandInteger>(_ result: T, carry: Bool, overflow: Bool, auxiliary: Bool = false) {
        let s = state
        s.lazyResult = signExtended(result)
        s.lazyCarries =
            (carry ? Core.carryOut : 0) | (carry != overflow ? Core.carryIntoTop : 0) | (auxiliary ? 8 : 0)
    }

    /// CF alone; the others stay.
    @inline(__always)
    func setCarry(_ carry: Bool) {
        setCarry(carry, overflow: state.overflowFlag)
    }

    /// CF and OF; the others stay.
    @inline(__always)
    func setCarry(_ carry: Bool, overflow: Bool) {
        let s = state
        let others = s.lazyCarries & ~(Core.carryOut | Core.carryIntoTop)
        s.lazyCarries = others | (carry ? Core.carryOut : 0) | (carry != overflow ? Core.carryIntoTop : 0)
    }

    /// Whether condition `code` (bits 3:0, as in Jcc's opcode) holds (SDM 1 Appendix B).
    @inline(__always)
    func condition(_ code: UInt8) -> Bool {
        let s = state
        let holds: Bool
        switch code >> 1 & 7 {
        case 0: holds = s.overflowFlag
        case 1: holds = s.carryFlag
        case 2: holds = s.zeroFlag
        case 3: holds = s.carryFlag || s.zeroFlag
        case 4: holds = s.signFlag
        case 5: holds = s.parityFlag
        case 6: holds = s.signFlag != s.overflowFlag
        default: holds = s.zeroFlag || s.signFlag != s.overflowFlag
        }
        return holds != (code & 1 != 0)
    }
}
