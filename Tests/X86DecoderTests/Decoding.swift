import X86Decoder

/// Decodes `bytes`, which end there.
func decode(_ bytes: [UInt8], _ size: CodeSize = .bits64) -> (status: DecodeStatus, instruction: DecodedInstruction) {
    var instruction = DecodedInstruction()
    let status = bytes.withUnsafeBufferPointer { buffer -> DecodeStatus in
        guard let base = buffer.baseAddress else { return .truncated }
        return InstructionDecoder.decode(base, count: buffer.count, size: size, into: &instruction)
    }
    return (status, instruction)
}
