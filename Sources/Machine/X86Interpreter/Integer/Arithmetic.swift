import X86
import X86Decoder

// ADD OR ADC SBB AND SUB XOR CMP TEST, INC DEC NEG NOT, ADCX ADOX.
extension Core {
    @inline(never)
    func executeArithmetic(_ i: Instruction) throws(Fault) {
        switch i.pointee.operandByteCount {
        case 1: try arithmetic(i, UInt8.self)
        case 2: try arithmetic(i, UInt16.self)
        case 4: try arithmetic(i, UInt32.self)
        default: try arithmetic(i, UInt64.self)
        }
    }

    private func arithmetic<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        let b = try read(i, i.pointee.operands.1, T.self)
        let destination = try destination(i, i.pointee.operands.0, T.self)
        let a = try read(destination, T.self)
        let result: T
        switch i.pointee.operation {
        case .add: result = add(a, b)
        case .or: result = or(a, b)
        case .adc: result = adc(a, b)
        case .sbb: result = sbb(a, b)
        case .and: result = and(a, b)
        case .sub: result = sub(a, b)
        default: result = xor(a, b)
        }
        try writeBack(i, destination, result)
    }

    /// CMP and TEST, which write nothing.
    @inline(never)
    func executeComparison(_ i: Instruction) throws(Fault) {
        switch i.pointee.operandByteCount {
        case 1: try comparison(i, UInt8.self)
        case 2: try comparison(i, UInt16.self)
        case 4: try comparison(i, UInt32.self)
        default: try comparison(i, UInt64.self)
        }
    }

    private func comparison<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        let a = try read(i, i.pointee.operands.0, T.self)
        let b = try read(i, i.pointee.operands.1, T.self)
        if i.pointee.operation == .cmp { cmp(a, b) } else { test(a, b) }
    }

    @inline(never)
    func executeUnary(_ i: Instruction) throws(Fault) {
        switch i.pointee.operandByteCount {
        case 1: try unary(i, UInt8.self)
        case 2: try unary(i, UInt16.self)
        case 4: try unary(i, UInt32.self)
        default: try unary(i, UInt64.self)
        }
    }

    private func unary<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        let destination = try destination(i, i.pointee.operands.0, T.self)
        let a = try read(destination, T.self)
        let result: T
        switch i.pointee.operation {
        case .inc: result = increment(a)
        case .dec: result = decrement(a)
        case .neg: result = negate(a)
        default: result = ~a
        }
        try writeBack(i, destination, result)
    }

    /// ADCX and ADOX: carries through CF or OF alone; the other flags stay.
    @inline(never)
    func executeAddWithOneFlag(_ i: Instruction) throws(Fault) {
        if i.pointee.operandByteCount == 8 {
            try addWithOneFlag(i, UInt64.self)
        } else {
            try addWithOneFlag(i, UInt32.self)
        }
    }

    private func addWithOneFlag<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        let b = try read(i, i.pointee.operands.1, T.self)
        let a = register(i.pointee.operands.0.number, T.self)
        let usesCarry = i.pointee.operation == .adcx
        let (carry, overflow) = (state.carryFlag, state.overflowFlag)
        let (half, first) = a.addingReportingOverflow(b)
        let (sum, second) = half.addingReportingOverflow((usesCarry ? carry : overflow) ? 1 : 0)
        setRegister(i.pointee.operands.0.number, sum)
        let out = first || second
        setCarry(usesCarry ? out : carry, overflow: usesCarry ? overflow : out)
    }
}
