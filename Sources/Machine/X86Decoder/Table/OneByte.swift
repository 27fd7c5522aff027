import X86

extension OpcodeTableBuilder {
    /// MOV, XCHG, LEA, conversions and flag transfers.
    @_optimize(none)
    mutating func addMoves() {
        map = .oneByte
        feature = .base
        row(0x88, "mov", .mov, "=Eb,Gb")
        row(0x89, "mov", .mov, "=Ev,Gv")
        row(0x8A, "mov", .mov, "=Gb,Eb")
        row(0x8B, "mov", .mov, "=Gv,Ev")
        row(0x8C, "mov", .movFromSegment, "=Rv,Sw", [.slash0, .slash1, .slash2, .slash3, .slash4, .slash5, .sensitive])
        row(0x8C, "mov", .movFromSegment, "=Mw,Sw", [.slash0, .slash1, .slash2, .slash3, .slash4, .slash5, .sensitive])
        row(
            0x8E,
            "mov",
            .movToSegment,
            "=Sw,Ew",
            [.slash0, .slash2, .slash3, .slash4, .slash5, .sensitive, .endsBlock],
            raises: [.generalProtection, .stackFault]
        )
        row(0xA0, "movabs", .mov, "=AL,Ob", .only64)
        row(0xA1, "movabs", .mov, "=rAX,Ov", .only64)
        row(0xA2, "movabs", .mov, "=Ob,AL", .only64)
        row(0xA3, "movabs", .mov, "=Ov,rAX", .only64)
        row(0xA0, "mov", .mov, "=AL,Ob", .not64)
        row(0xA1, "mov", .mov, "=rAX,Ov", .not64)
        row(0xA2, "mov", .mov, "=Ob,AL", .not64)
        row(0xA3, "mov", .mov, "=Ov,rAX", .not64)
        for number in UInt8(0)..<8 {
            row(0xB0 + number, "mov", .mov, "=Zb,Ib")
            row(0xB8 + number, "mov", .mov, "=Zv,Iv")
            row(0xB8 + number, "movabs", .mov, "=Zv,Iv", .o64)
            row(0x90 + number, "xchg", .xchg, "+Zv,+rAX")
        }
        row(0x90, "nop", .nop, "", .b0)
        feature = .sse2
        row(0x90, "pause", .pause, "", [.f3, .b0, .b1])
        feature = .base
        row(0xC6, "mov", .mov, "=Eb,Ib", .slash0)
        row(0xC7, "mov", .mov, "=Ev,Iz", .slash0)
        row(0x86, "xchg", .xchg, "+Eb,+Gb", .lock)
        row(0x87, "xchg", .xchg, "+Ev,+Gv", .lock)
        row(0x8D, "lea", .lea, "=Gv,M")
        row(0x63, "arpl", .arpl, "+Ew,Gw", [.not64, .sensitive], .zeroOnly)
        feature = .longMode
        row(0x63, "movsxd", .movsxd, "=Gv,Ed", .only64)
        row(0x63, "movsxd", .movsxd, "=Gv,Ew", [.only64, .o16])
        feature = .base
        row(0x98, "cbw", .cbw, "", .o16, reads: .rax, writes: .rax)
        row(0x98, "cwde", .cbw, "", .o32, reads: .rax, writes: .rax)
        row(0x98, "cdqe", .cbw, "", .o64, reads: .rax, writes: .rax)
        row(0x99, "cwd", .cwd, "", .o16, reads: .rax, writes: .rdx)
        row(0x99, "cdq", .cwd, "", .o32, reads: .rax, writes: .rdx)
        row(0x99, "cqo", .cwd, "", .o64, reads: .rax, writes: .rdx)
        feature = .lahf64
        row(0x9E, "sahf", .sahf, "", [], FlagEffect(written: FlagEffect.all & ~FlagEffect.o), reads: .rax)
        row(0x9F, "lahf", .lahf, "", [], FlagEffect(read: FlagEffect.all & ~FlagEffect.o), reads: .rax, writes: .rax)
        feature = .base
        row(0xF5, "cmc", .cmc, "", [], FlagEffect(read: FlagEffect.c, written: FlagEffect.c))
        row(0xF8, "clc", .clc, "", [], .carryOnly)
        row(0xF9, "stc", .stc, "", [], .carryOnly)
        row(0xFC, "cld", .cld, "", [], .direction)
        row(0xFD, "std", .std, "", [], .direction)
        row(0xD6, "salc", .salc, "", .not64, FlagEffect(read: FlagEffect.c), writes: .rax)
        row(0xD7, "xlatb", .xlat, "", [], reads: [.rax, .rbx], writes: .rax)
        row(0xC4, "les", .les, "=Gz,Mp", [.not64, .sensitive, .endsBlock], raises: .generalProtection)
        row(0xC5, "lds", .lds, "=Gz,Mp", [.not64, .sensitive, .endsBlock], raises: .generalProtection)
        row(0x62, "bound", .bound, "Gv,Ma", .not64, raises: .boundRange)
    }

    /// PUSH and POP in all their forms, ENTER, LEAVE.
    @_optimize(none)
    mutating func addStack() {
        map = .oneByte
        for number in UInt8(0)..<8 {
            row(0x50 + number, "push", .push, "Zv", .default64, reads: .rsp, writes: .rsp, raises: .stackFault)
            row(0x58 + number, "pop", .pop, "=Zv", .default64, reads: .rsp, writes: .rsp, raises: .stackFault)
        }
        row(0x68, "push", .push, "Iz", .default64, reads: .rsp, writes: .rsp, raises: .stackFault)
        row(0x6A, "push", .push, "Is", .default64, reads: .rsp, writes: .rsp, raises: .stackFault)
        row(0xFF, "push", .push, "Ev", [.slash6, .default64], reads: .rsp, writes: .rsp, raises: .stackFault)
        row(0x8F, "pop", .pop, "=Ev", [.slash0, .default64], reads: .rsp, writes: .rsp, raises: .stackFault)
        pushAndPopSegment(0x06, 0x07, "ES", "=ES")
        pushAndPopSegment(0x16, 0x17, "SS", "=SS")
        pushAndPopSegment(0x1E, 0x1F, "DS", "=DS")
        row(0x0E, "push", .pushSegment, "CS", [.not64, .sensitive], reads: .rsp, writes: .rsp, raises: .stackFault)
        row(0x60, "pushal", .pusha, "", .not64, reads: .all, writes: .rsp, raises: .stackFault)
        row(0x61, "popal", .popa, "", .not64, reads: .rsp, writes: .all, raises: .stackFault)
        row(0x60, "pushaw", .pusha, "", [.not64, .o16], reads: .all, writes: .rsp, raises: .stackFault)
        row(0x61, "popaw", .popa, "", [.not64, .o16], reads: .rsp, writes: .all, raises: .stackFault)
        let pushed = FlagEffect(read: FlagEffect.all | FlagEffect.d)
        let popped = FlagEffect(written: FlagEffect.all | FlagEffect.d)
        let push: EncodingRule = [.default64, .sensitive]
        let pop: EncodingRule = [.default64, .sensitive, .endsBlock]
        row(
            0x9C,
            "pushfd",
            .pushf,
            "",
            push,
            pushed,
            reads: .rsp,
            writes: .rsp,
            raises: [.stackFault, .generalProtection]
        )
        row(0x9C, "pushfq", .pushf, "", [push, .only64], pushed, reads: .rsp, writes: .rsp, raises: .stackFault)
        row(0x9C, "pushf", .pushf, "", [push, .o16], pushed, reads: .rsp, writes: .rsp, raises: .stackFault)
        row(
            0x9D,
            "popfd",
            .popf,
            "",
            pop,
            popped,
            reads: .rsp,
            writes: .rsp,
            raises: [.stackFault, .generalProtection]
        )
        row(0x9D, "popfq", .popf, "", [pop, .only64], popped, reads: .rsp, writes: .rsp, raises: .stackFault)
        row(0x9D, "popf", .popf, "", [pop, .o16], popped, reads: .rsp, writes: .rsp, raises: .stackFault)
        row(
            0xC8,
            "enter",
            .enter,
            "Iw,Ib2",
            .default64,
            reads: [.rsp, .rbp],
            writes: [.rsp, .rbp],
            raises: .stackFault
        )
        row(0xC9, "leave", .leave, "", .default64, reads: .rbp, writes: [.rsp, .rbp], raises: .stackFault)
    }

    @_optimize(none)
    private mutating func pushAndPopSegment(
        _ push: UInt8,
        _ pop: UInt8,
        _ source: StaticString,
        _ destination: StaticString
    ) {
        row(push, "push", .pushSegment, source, [.not64, .sensitive], reads: .rsp, writes: .rsp, raises: .stackFault)
        row(
            pop,
            "pop",
            .popSegment,
            destination,
            [.not64, .sensitive, .endsBlock],
            reads: .rsp,
            writes: .rsp,
            raises: [.stackFault, .generalProtection]
        )
    }

    /// String instructions.
    @_optimize(none)
    mutating func addStrings() {
        map = .oneByte
        let both: RegisterSet = [.rsi, .rdi, .rcx]
        let source: RegisterSet = [.rsi, .rcx]
        let destination: RegisterSet = [.rdi, .rcx]
        row(0xA4, "movsb", .movs, "=Yb,Xb", [], .string, reads: both, writes: both)
        row(0xA5, "movsw", .movs, "=Yv,Xv", .o16, .string, reads: both, writes: both)
        row(0xA5, "movsd", .movs, "=Yv,Xv", .o32, .string, reads: both, writes: both)
        row(0xA5, "movsq", .movs, "=Yv,Xv", .o64, .string, reads: both, writes: both)
        row(0xA6, "cmpsb", .cmps, "Xb,Yb", [], .stringCompare, reads: both, writes: both)
        row(0xA7, "cmpsw", .cmps, "Xv,Yv", .o16, .stringCompare, reads: both, writes: both)
        row(0xA7, "cmpsd", .cmps, "Xv,Yv", .o32, .stringCompare, reads: both, writes: both)
        row(0xA7, "cmpsq", .cmps, "Xv,Yv", .o64, .stringCompare, reads: both, writes: both)
        row(0xAA, "stosb", .stos, "=Yb", [], .string, reads: [.rax, destination], writes: destination)
        row(0xAB, "stosw", .stos, "=Yv", .o16, .string, reads: [.rax, destination], writes: destination)
        row(0xAB, "stosd", .stos, "=Yv", .o32, .string, reads: [.rax, destination], writes: destination)
        row(0xAB, "stosq", .stos, "=Yv", .o64, .string, reads: [.rax, destination], writes: destination)
        row(0xAC, "lodsb", .lods, "Xb", [], .string, reads: source, writes: [.rax, source])
        row(0xAD, "lodsw", .lods, "Xv", .o16, .string, reads: source, writes: [.rax, source])
        row(0xAD, "lodsd", .lods, "Xv", .o32, .string, reads: source, writes: [.rax, source])
        row(0xAD, "lodsq", .lods, "Xv", .o64, .string, reads: source, writes: [.rax, source])
        row(0xAE, "scasb", .scas, "Yb", [], .stringCompare, reads: [.rax, destination], writes: destination)
        row(0xAF, "scasw", .scas, "Yv", .o16, .stringCompare, reads: [.rax, destination], writes: destination)
        row(0xAF, "scasd", .scas, "Yv", .o32, .stringCompare, reads: [.rax, destination], writes: destination)
        row(0xAF, "scasq", .scas, "Yv", .o64, .stringCompare, reads: [.rax, destination], writes: destination)
        let port: ExceptionSet = .generalProtection
        row(0x6C, "insb", .ins, "=Yb,DX", .sensitive, .string, reads: destination, writes: destination, raises: port)
        row(0x6D, "insd", .ins, "=Yz,DX", .sensitive, .string, reads: destination, writes: destination, raises: port)
        row(
            0x6D,
            "insw",
            .ins,
            "=Yz,DX",
            [.sensitive, .o16],
            .string,
            reads: destination,
            writes: destination,
            raises: port
        )
        row(0x6E, "outsb", .outs, "DX,Xb", .sensitive, .string, reads: source, writes: source, raises: port)
        row(0x6F, "outsd", .outs, "DX,Xz", .sensitive, .string, reads: source, writes: source, raises: port)
        row(0x6F, "outsw", .outs, "DX,Xz", [.sensitive, .o16], .string, reads: source, writes: source, raises: port)
    }

    /// Port I/O, HLT, interrupt flag.
    @_optimize(none)
    mutating func addOneByteRest() {
        map = .oneByte
        let port: ExceptionSet = .generalProtection
        row(0xE4, "in", .in, "=AL,Ib", .sensitive, raises: port)
        row(0xE5, "in", .in, "=eAX,Ib", .sensitive, raises: port)
        row(0xEC, "in", .in, "=AL,DX", .sensitive, raises: port)
        row(0xED, "in", .in, "=eAX,DX", .sensitive, raises: port)
        row(0xE6, "out", .out, "Ib,AL", .sensitive, raises: port)
        row(0xE7, "out", .out, "Ib,eAX", .sensitive, raises: port)
        row(0xEE, "out", .out, "DX,AL", .sensitive, raises: port)
        row(0xEF, "out", .out, "DX,eAX", .sensitive, raises: port)
        row(0xF4, "hlt", .hlt, "", [.privileged, .endsBlock])
        row(0xFA, "cli", .cli, "", .sensitive, raises: .generalProtection)
        row(0xFB, "sti", .sti, "", [.sensitive, .endsBlock], raises: .generalProtection)
    }
}
