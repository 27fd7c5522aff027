import Testing
import X86Decoder

/// One string with what it must decode to.
struct DecodingCase: Sendable, CustomTestStringConvertible {
    var hex: String
    var bits: Int
    var text: String
    var testDescription: String { "\(hex) in \(bits)-bit code" }

    init(_ hex: String, _ bits: Int, _ text: String) {
        (self.hex, self.bits, self.text) = (hex, bits, text)
    }

    var bytes: [UInt8] { hex.split(separator: " ").compactMap { UInt8($0, radix: 16) } }
    var size: CodeSize { bits == 64 ? .bits64 : bits == 32 ? .bits32 : .bits16 }
}

@Suite struct `The opcode table` {
    @Test(arguments: [
        DecodingCase("48 89 d8", 64, "mov rax, rbx"),
        DecodingCase("88 e0", 64, "mov al, ah"),
        DecodingCase("40 88 e0", 64, "mov al, spl"),
        DecodingCase("66 48 05 01 00 00 80", 64, "add rax, -0x7fffffff"),
        DecodingCase("48 66 01 d8", 64, "add ax, bx"),
        DecodingCase("83 c0 ff", 32, "add eax, -1"),
        DecodingCase("8b 46 fe", 16, "mov ax, word ptr [bp - 2]"),
        DecodingCase("67 8b 04 24", 16, "mov ax, word ptr [esp]"),
        DecodingCase("8b 05 10 00 00 00", 64, "mov eax, dword ptr [rip + 0x10]"),
        DecodingCase("67 8b 05 10 00 00 00", 64, "mov eax, dword ptr [eip + 0x10]"),
        DecodingCase("8b 05 10 00 00 00", 32, "mov eax, dword ptr [0x10]"),
        DecodingCase("64 48 8b 04 25 28 00 00 00", 64, "mov rax, qword ptr fs:[0x28]"),
        DecodingCase("64 3e 8b 00", 64, "mov eax, dword ptr fs:[rax]"),
        DecodingCase("3e 8b 00", 64, "mov eax, dword ptr [rax]"),
        DecodingCase("26 8b 00", 32, "mov eax, dword ptr es:[eax]"),
        DecodingCase("f0 48 0f b1 0a", 64, "lock cmpxchg qword ptr [rdx], rcx"),
        DecodingCase("f3 48 a5", 64, "rep movsq qword ptr es:[rdi], qword ptr ds:[rsi]"),
        DecodingCase("f3 90", 64, "pause"),
        DecodingCase("49 90", 64, "xchg r8, rax"),
        DecodingCase("f3 0f b8 c1", 64, "popcnt eax, ecx"),
        DecodingCase("66 f2 0f 38 f1 c1", 64, "crc32 eax, cx"),
        DecodingCase("62 01", 32, "bound eax, qword ptr [ecx]"),
        DecodingCase("c4 01", 32, "les eax, fword ptr [ecx]"),
        DecodingCase("9a 78 56 34 12 08 00", 32, "lcall 8:0x12345678"),
        DecodingCase("66 e8 00 00 00 00", 64, "call 6"),
        DecodingCase("66 e8 00 00", 32, "call 4"),
        DecodingCase("0f 20 00", 64, "mov rax, cr0"),
        DecodingCase("44 0f 20 c0", 64, "mov rax, cr8"),
        DecodingCase("d9 c1", 64, "fld st(1)"),
        DecodingCase("f2 0f 10 00", 64, "movsd xmm0, qword ptr [rax]"),
        DecodingCase("c5 f4 58 c2", 64, "vaddps ymm0, ymm1, ymm2"),
        DecodingCase("c4 e2 71 90 04 10", 64, "vpgatherdd xmm0, dword ptr [rax + xmm2*1], xmm1"),
        DecodingCase("c8 10 00 01", 64, "enter 0x10, 1"),
    ])
    func `decodes to the text`(_ row: DecodingCase) {
        let (status, instruction) = decode(row.bytes, row.size)
        #expect(status == .complete)
        #expect(Int(instruction.length) == row.bytes.count)
        #expect(instruction.operation != .undefined)
        #expect(InstructionFormatter(address: 0, size: row.size).text(instruction) == row.text)
    }

    @Test(arguments: [
        // One-byte opcodes that 64-bit mode lacks.
        DecodingCase("06", 64, ""), DecodingCase("0e", 64, ""), DecodingCase("27", 64, ""), DecodingCase("60", 64, ""),
        DecodingCase("ce", 64, ""), DecodingCase("d6", 64, ""), DecodingCase("d4 0a", 64, ""),
        DecodingCase("82 c0 01", 64, ""), DecodingCase("9a 01 02 03 04 05 06", 64, ""),
        // LOCK without a row that allows it, or without memory.
        DecodingCase("f0 01 d8", 64, ""), DecodingCase("f0 03 00", 64, ""), DecodingCase("f0 3b 00", 64, ""),
        // MOV to CS, a segment register that is none, CR1, LEA of a register, a group's hole.
        DecodingCase("8e c8", 64, ""), DecodingCase("8c f0", 64, ""), DecodingCase("0f 20 c8", 64, ""),
        DecodingCase("8d c0", 64, ""), DecodingCase("ff f8", 64, ""),
        // VEX after 66, LOCK or REX; an unused vvvv; a wrong L; gathers with equal registers.
        DecodingCase("66 c5 f4 58 c2", 64, ""), DecodingCase("f0 c5 f4 58 00", 64, ""),
        DecodingCase("48 c5 f4 58 c2", 64, ""), DecodingCase("c5 f0 28 c2", 64, ""),
        DecodingCase("c5 fc 16 00", 64, ""),
        DecodingCase("c4 e2 79 90 04 10", 64, ""),
        // EVEX is measured.
        DecodingCase("62 f1 7c 48 58 c1", 64, ""), DecodingCase("62 f3 7d 48 1f c1 00", 64, ""),
    ])
    func `knows what is undefined, and its length`(_ row: DecodingCase) {
        let (status, instruction) = decode(row.bytes, row.size)
        #expect(status == .complete)
        #expect(instruction.operation == .undefined)
        #expect(Int(instruction.length) == row.bytes.count)
    }

    @Test func `asks for more bytes until the instruction is whole`() {
        let bytes: [UInt8] = [0x66, 0x48, 0x81, 0x84, 0x88, 1, 2, 3, 4, 5, 6, 7, 8]
        for count in 1..<bytes.count { #expect(decode(Array(bytes[..<count])).status == .truncated) }
        #expect(decode(bytes).status == .complete)
    }

    @Test func `refuses more than fifteen bytes`() {
        #expect(decode([UInt8](repeating: 0x66, count: 14) + [0x90]).status == .complete)
        #expect(decode([UInt8](repeating: 0x66, count: 15) + [0x90]).status == .tooLong)
    }

    @Test func `tells the widths of operands in memory`() {
        let widths: [([UInt8], UInt8)] = [
            ([0x0F, 0x01, 0x10], 10), ([0xDB, 0x28], 10), ([0xD9, 0x30], 28), ([0xDD, 0x30], 108), ([0xFF, 0x28], 6),
            ([0xF3, 0x0F, 0x10, 0x00], 4), ([0x0F, 0xB6, 0x00], 1), ([0x8D, 0x00], 0), ([0xA4], 1),
            ([0x0F, 0xC7, 0x08], 8),
            ([0xC5, 0xFD, 0x6F, 0x00], 32), ([0x0F, 0xAE, 0x10], 4),
        ]
        for (bytes, width) in widths { #expect(decode(bytes).instruction.memoryByteCount == width, "\(bytes)") }
    }

    @Test func `gives every operation but undefined a row of its own name space`() {
        var seen: Set<UInt16> = []
        for index in 0..<OpcodeTable.rowCount {
            let row = OpcodeTable.row(UInt16(index))
            seen.insert(row.operation.rawValue)
            #expect(!row.mnemonic.description.isEmpty)
        }
        let missing = Operation.allCases.filter { !seen.contains($0.rawValue) }
        #expect(missing.isEmpty, "no row: \(missing)")
    }
}
