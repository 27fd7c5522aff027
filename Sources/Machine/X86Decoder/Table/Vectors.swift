import X86

extension OpcodeTableBuilder {
    /// x87, MMX, SSE, AVX and FMA.
    @_optimize(none)
    mutating func addVectors() {
        addX87Memory()
        addX87Registers()
        addMMX()
        addSSEFloat()
        addSSEInteger()
        addSSE4()
        addAVXFloat()
        addAVXInteger()
        addAVXFromSSE4()
        addAVXOnly()
        addAVX2()
        addFMA()
    }

    /// A VEX integer instruction: AVX with 128 bits, AVX2 with 256.
    @_optimize(none)
    mutating func avxInteger(
        _ opcode: UInt8,
        _ mnemonic: StaticString,
        _ operation: Operation,
        _ letters: StaticString,
        _ rule: EncodingRule
    ) {
        feature = .avx
        row(opcode, mnemonic, operation, letters, rule.union(.l0))
        feature = .avx2
        row(opcode, mnemonic, operation, letters, rule.union(.l1))
        feature = .avx
    }
}
