import X86

extension OpcodeTableBuilder {
    /// Jumps, calls, returns and interrupts.
    @_optimize(none)
    mutating func addControlFlow() {
        feature = .base
        addConditions()
        map = .oneByte
        let near: EncodingRule = [.force64, .endsBlock]
        row(0xE8, "call", .callNear, "Jz", near, reads: .rsp, writes: .rsp, raises: [.stackFault, .generalProtection])
        row(0xE9, "jmp", .jmpNear, "Jz", near, raises: .generalProtection)
        row(0xEB, "jmp", .jmpNear, "Jb", near, raises: .generalProtection)
        row(0xC2, "ret", .retNear, "Iw", near, reads: .rsp, writes: .rsp, raises: [.stackFault, .generalProtection])
        row(0xC3, "ret", .retNear, "", near, reads: .rsp, writes: .rsp, raises: [.stackFault, .generalProtection])
        row(
            0xFF,
            "call",
            .callNear,
            "Ev",
            [near, .slash2],
            reads: .rsp,
            writes: .rsp,
            raises: [.stackFault, .generalProtection]
        )
        row(0xFF, "jmp", .jmpNear, "Ev", [near, .slash4], raises: .generalProtection)
        let far: EncodingRule = [.endsBlock, .sensitive]
        let farRaises: ExceptionSet = [.stackFault, .generalProtection]
        row(0xFF, "lcall", .callFar, "Mp", [far, .slash3], reads: .rsp, writes: .rsp, raises: farRaises)
        row(0xFF, "ljmp", .jmpFar, "Mp", [far, .slash5], raises: farRaises)
        row(0x9A, "lcall", .callFar, "Ap", [far, .not64], reads: .rsp, writes: .rsp, raises: farRaises)
        row(0xEA, "ljmp", .jmpFar, "Ap", [far, .not64], raises: farRaises)
        row(0xCA, "retf", .retFar, "Iw", far, reads: .rsp, writes: .rsp, raises: farRaises)
        row(0xCB, "retf", .retFar, "", far, reads: .rsp, writes: .rsp, raises: farRaises)
        row(0xCA, "retfq", .retFar, "Iw", [far, .o64], reads: .rsp, writes: .rsp, raises: farRaises)
        row(0xCB, "retfq", .retFar, "", [far, .o64], reads: .rsp, writes: .rsp, raises: farRaises)
        row(0xCC, "int3", .int3, "", [.endsBlock, .sensitive], reads: .rsp, writes: .rsp)
        row(0xCD, "int", .int, "Ib", [.endsBlock, .sensitive], reads: .rsp, writes: .rsp, raises: .generalProtection)
        row(
            0xCE,
            "into",
            .into,
            "",
            [.not64, .endsBlock, .sensitive],
            FlagEffect(read: FlagEffect.o),
            reads: .rsp,
            writes: .rsp
        )
        row(0xF1, "int1", .int1, "", [.endsBlock, .sensitive], reads: .rsp, writes: .rsp)
        let popped = FlagEffect(written: FlagEffect.all | FlagEffect.d)
        row(0xCF, "iretd", .iret, "", far, popped, reads: .rsp, writes: .rsp, raises: farRaises)
        row(0xCF, "iret", .iret, "", [far, .o16], popped, reads: .rsp, writes: .rsp, raises: farRaises)
        row(0xCF, "iretq", .iret, "", [far, .o64], popped, reads: .rsp, writes: .rsp, raises: farRaises)
        let z = FlagEffect(read: FlagEffect.z)
        row(0xE0, "loopne", .loopne, "Jb", near, z, reads: .rcx, writes: .rcx, raises: .generalProtection)
        row(0xE1, "loope", .loope, "Jb", near, z, reads: .rcx, writes: .rcx, raises: .generalProtection)
        row(0xE2, "loop", .loop, "Jb", near, reads: .rcx, writes: .rcx, raises: .generalProtection)
        row(0xE3, "jcxz", .jcxz, "Jb", [near, .a16], reads: .rcx, raises: .generalProtection)
        row(0xE3, "jecxz", .jcxz, "Jb", [near, .a32], reads: .rcx, raises: .generalProtection)
        row(0xE3, "jrcxz", .jcxz, "Jb", [near, .a64], reads: .rcx, raises: .generalProtection)
        feature = .rtm
        row(0xC6, "xabort", .xabort, "Ib", [.slash7, .register, .rm(0), .endsBlock])
        row(0xC7, "xbegin", .xbegin, "Jz", [.slash7, .register, .rm(0), .endsBlock], writes: .rax)
        feature = .base
    }

    /// Jcc, SETcc and CMOVcc.
    @_optimize(none)
    private mutating func addConditions() {
        let mnemonics: [(StaticString, StaticString, StaticString)] = [
            ("jo", "seto", "cmovo"), ("jno", "setno", "cmovno"), ("jb", "setb", "cmovb"), ("jae", "setae", "cmovae"),
            ("je", "sete", "cmove"), ("jne", "setne", "cmovne"), ("jbe", "setbe", "cmovbe"), ("ja", "seta", "cmova"),
            ("js", "sets", "cmovs"), ("jns", "setns", "cmovns"), ("jp", "setp", "cmovp"), ("jnp", "setnp", "cmovnp"),
            ("jl", "setl", "cmovl"), ("jge", "setge", "cmovge"), ("jle", "setle", "cmovle"), ("jg", "setg", "cmovg"),
        ]
        for (number, (jump, set, move)) in mnemonics.enumerated() {
            let flags = FlagEffect.condition(number)
            map = .oneByte
            row(0x70 + UInt8(number), jump, .jcc, "Jb", [.force64, .endsBlock], flags, raises: .generalProtection)
            map = .map0F
            row(0x80 + UInt8(number), jump, .jcc, "Jz", [.force64, .endsBlock], flags, raises: .generalProtection)
            row(0x90 + UInt8(number), set, .setcc, "=Eb", [], flags)
            feature = .cmov
            row(0x40 + UInt8(number), move, .cmovcc, "+Gv,Ev", [], flags)
            feature = .base
        }
    }
}
