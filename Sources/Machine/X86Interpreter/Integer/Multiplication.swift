import X86
import X86Decoder

// MUL IMUL MULX DIV IDIV.
extension Core {
    /// The flags of MUL and IMUL, whose low half of the product is `low`.
    ///
    /// The SDM defines CF and OF alone. As Intel's CPUs do, SF and PF follow the low half, and ZF and AF are cleared.
    @inline(__always)
    func setFlagsMultiply<T: OperandInteger>(_ low: T, lost: Bool) {
        // 3 has the parity and sign of 0, and is not zero.
        setFlags(low == 0 ? 3 : low, carry: lost, overflow: lost)
    }

    /// MUL, and IMUL of one operand: rDX:rAX (AX for bytes) is the product of the accumulator.
    @inline(never)
    func executeWideMultiply(_ i: Instruction) throws(Fault) {
        switch i.pointee.operandByteCount {
        case 1: try wideMultiply(i, UInt8.self)
        case 2: try wideMultiply(i, UInt16.self)
        case 4: try wideMultiply(i, UInt32.self)
        default: try wideMultiply(i, UInt64.self)
        }
    }

    private func wideMultiply<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        let b = try read(i, i.pointee.operands.0, T.self)
        let a = register(0, T.self)
        let product = a.multipliedFullWidth(by: b)
        let low = T(truncatingIfNeeded: product.low)
        var high = product.high
        let lost: Bool
        if i.pointee.operation == .imul {
            // The signed high half is the unsigned one less the other factor for each negative factor.
            if isNegative(a) { high = high &- b }
            if isNegative(b) { high = high &- a }
            lost = high != (isNegative(low) ? T.max : 0)
        } else {
            lost = high != 0
        }
        if T.bitWidth == 8 {
            setRegister(0, UInt16(truncatingIfNeeded: high) &<< 8 | UInt16(truncatingIfNeeded: low))
        } else {
            setRegister(0, low)
            setRegister(2, high)
        }
        setFlagsMultiply(low, lost: lost)
    }

    @inline(__always)
    private func isNegative<T: OperandInteger>(_ value: T) -> Bool {
        value &>> T(truncatingIfNeeded: T.bitWidth &- 1) != 0
    }

    /// IMUL of two or three operands.
    @inline(never)
    func executeMultiply(_ i: Instruction) throws(Fault) {
        switch i.pointee.operandByteCount {
        case 2: try multiplication(i, UInt16.self)
        case 4: try multiplication(i, UInt32.self)
        default: try multiplication(i, UInt64.self)
        }
    }

    private func multiplication<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        let hasThree = i.pointee.operands.2.kind != .none
        let b = try read(i, i.pointee.operands.1, T.self)
        let a = try read(i, hasThree ? i.pointee.operands.2 : i.pointee.operands.0, T.self)
        let product = Int64(bitPattern: signExtended(a)).multipliedReportingOverflow(
            by: Int64(bitPattern: signExtended(b))
        )
        let low = T(truncatingIfNeeded: product.partialValue)
        setRegister(i.pointee.operands.0.number, low)
        setFlagsMultiply(low, lost: product.overflow || Int64(bitPattern: signExtended(low)) != product.partialValue)
    }

    /// MULX: changes no flags; where both destinations are one register it gets the high half.
    @inline(never)
    func executeMulx(_ i: Instruction) throws(Fault) {
        let (high, low) = (i.pointee.operands.0.number, i.pointee.operands.1.number)
        if i.pointee.operandByteCount == 8 {
            let product = state.rdx.multipliedFullWidth(by: try read(i, i.pointee.operands.2, UInt64.self))
            setRegister(low, product.low)
            setRegister(high, product.high)
        } else {
            let b = try read(i, i.pointee.operands.2, UInt32.self)
            let product = UInt64(register(2, UInt32.self)) &* UInt64(b)
            setRegister(low, UInt32(truncatingIfNeeded: product))
            setRegister(high, UInt32(truncatingIfNeeded: product >> 32))
        }
    }

    /// DIV and IDIV.
    ///
    /// Every flag is undefined in the SDM; they stay, as on Intel's CPUs.
    ///
    /// - Throws: #DE for a divisor of zero, or a quotient that does not fit.
    @inline(never)
    func executeDivide(_ i: Instruction) throws(Fault) {
        switch i.pointee.operandByteCount {
        case 1: try divide(i, UInt8.self)
        case 2: try divide(i, UInt16.self)
        case 4: try divide(i, UInt32.self)
        default: try divide(i, UInt64.self)
        }
    }

    private func divide<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        var divisor = try read(i, i.pointee.operands.0, T.self)
        var low = register(0, T.self)
        var high = T.bitWidth == 8 ? T(truncatingIfNeeded: state.rax >> 8) : register(2, T.self)
        let isSigned = i.pointee.operation == .idiv
        let isNegativeDividend = isSigned && isNegative(high)
        let isNegativeDivisor = isSigned && isNegative(divisor)
        // Magnitudes are divided, and the signs put back.
        if isNegativeDividend {
            low = 0 &- low
            high = ~high &+ (low == 0 ? 1 : 0)
        }
        if isNegativeDivisor { divisor = 0 &- divisor }
        guard divisor != 0, high < divisor else { throw .divideError }
        var (quotient, remainder) =
            high == 0 ? low.quotientAndRemainder(dividingBy: divisor) : divideWide(high, low, by: divisor)
        if isSigned {
            let isNegativeQuotient = isNegativeDividend != isNegativeDivisor
            guard quotient <= (T.max &>> 1) &+ (isNegativeQuotient ? 1 : 0) else { throw .divideError }
            if isNegativeQuotient { quotient = 0 &- quotient }
            if isNegativeDividend { remainder = 0 &- remainder }
        }
        if T.bitWidth == 8 {
            setRegister(0, UInt16(truncatingIfNeeded: remainder) &<< 8 | UInt16(truncatingIfNeeded: quotient))
        } else {
            setRegister(0, quotient)
            setRegister(2, remainder)
        }
    }

    /// `high` is less than `divisor`, so that the quotient fits.
    @inline(__always)
    private func divideWide<T: OperandInteger>(_ high: T, _ low: T, by divisor: T) -> (quotient: T, remainder: T) {
        if T.bitWidth == 64 {
            let wide = UInt64(truncatingIfNeeded: divisor)
                .dividingFullWidth((UInt64(truncatingIfNeeded: high), UInt64(truncatingIfNeeded: low)))
            return (T(truncatingIfNeeded: wide.quotient), T(truncatingIfNeeded: wide.remainder))
        }
        let dividend = UInt64(truncatingIfNeeded: high) &<< UInt64(T.bitWidth) | UInt64(truncatingIfNeeded: low)
        let wide = dividend.quotientAndRemainder(dividingBy: UInt64(truncatingIfNeeded: divisor))
        return (T(truncatingIfNeeded: wide.quotient), T(truncatingIfNeeded: wide.remainder))
    }
}
