import Testing
import X86Decoder

@Suite struct `The opcode table` {
    @Test func `decodes a register move`() {
        let (status, instruction) = decode([0x48, 0x89, 0xD8])
        #expect(status == .complete)
        #expect(instruction.operation == .mov)
        #expect(instruction.length == 3)
        #expect(instruction.operandByteCount == 8)
        #expect(instruction.operands.0 == Operand(.general, 0))
        #expect(instruction.operands.1 == Operand(.general, 3))
    }
}
