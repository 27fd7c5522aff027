import X86

extension OpcodeTableBuilder {
    /// System instructions of the 0F maps.
    @_optimize(none)
    mutating func addTwoByteSystem() {
        map = .map0F
        feature = .base
        let general: ExceptionSet = .generalProtection
        row(0x00, "sldt", .sldt, "=Rv", [.slash0, .sensitive], raises: general)
        row(0x00, "sldt", .sldt, "=Mw", [.slash0, .sensitive], raises: general)
        row(0x00, "str", .str, "=Rv", [.slash1, .sensitive], raises: general)
        row(0x00, "str", .str, "=Mw", [.slash1, .sensitive], raises: general)
        row(0x00, "lldt", .lldt, "Ew", [.slash2, .privileged], raises: general)
        row(0x00, "ltr", .ltr, "Ew", [.slash3, .privileged], raises: general)
        row(0x00, "verr", .verr, "Ew", [.slash4, .sensitive], .zeroOnly)
        row(0x00, "verw", .verw, "Ew", [.slash5, .sensitive], .zeroOnly)
        row(0x01, "sgdt", .sgdt, "=Ms", [.slash0, .sensitive], raises: general)
        row(0x01, "sidt", .sidt, "=Ms", [.slash1, .sensitive], raises: general)
        row(0x01, "lgdt", .lgdt, "Ms", [.slash2, .privileged, .endsBlock], raises: general)
        row(0x01, "lidt", .lidt, "Ms", [.slash3, .privileged, .endsBlock], raises: general)
        row(0x01, "smsw", .smsw, "=Rv", [.slash4, .sensitive], raises: general)
        row(0x01, "smsw", .smsw, "=Mw", [.slash4, .sensitive], raises: general)
        row(0x01, "lmsw", .lmsw, "Ew", [.slash6, .privileged, .endsBlock])
        row(0x01, "invlpg", .invlpg, "M", [.slash7, .privileged, .endsBlock])
        addGroup7Registers()
        row(0x02, "lar", .lar, "+Gv,Ew", .sensitive, .zeroOnly)
        row(0x03, "lsl", .lsl, "+Gv,Ew", .sensitive, .zeroOnly)
        feature = .syscall
        row(
            0x05,
            "syscall",
            .syscall,
            "",
            [.endsBlock, .sensitive],
            FlagEffect(read: FlagEffect.all | FlagEffect.d, written: FlagEffect.all | FlagEffect.d),
            writes: [.rcx, .r11],
            raises: .invalidOpcode
        )
        row(0x07, "sysret", .sysret, "", [.endsBlock, .privileged], reads: [.rcx, .r11], raises: .invalidOpcode)
        row(
            0x07,
            "sysretq",
            .sysret,
            "",
            [.endsBlock, .privileged, .o64],
            reads: [.rcx, .r11],
            raises: .invalidOpcode
        )
        feature = .base
        row(0x06, "clts", .clts, "", [.privileged, .endsBlock])
        row(0x08, "invd", .invd, "", .privileged)
        row(0x09, "wbinvd", .wbinvd, "", .privileged)
        feature = .wbnoinvd
        row(0x09, "wbnoinvd", .wbnoinvd, "", [.privileged, .f3])
        feature = .base
        let move: EncodingRule = [.privileged, .force64, .modIgnored]
        row(0x20, "mov", .movFromControl, "=Tm,Cm", move)
        row(0x21, "mov", .movFromDebug, "=Tm,Dm", move, raises: .debug)
        row(0x22, "mov", .movToControl, "=Cm,Tm", [move, .endsBlock], raises: general)
        row(0x23, "mov", .movToDebug, "=Dm,Tm", [move, .endsBlock], raises: [general, .debug])
        row(0x30, "wrmsr", .wrmsr, "", [.privileged, .endsBlock], reads: [.rcx, .rax, .rdx], raises: general)
        row(0x31, "rdtsc", .rdtsc, "", .sensitive, writes: [.rax, .rdx], raises: general)
        row(0x32, "rdmsr", .rdmsr, "", .privileged, reads: .rcx, writes: [.rax, .rdx], raises: general)
        row(0x33, "rdpmc", .rdpmc, "", .sensitive, reads: .rcx, writes: [.rax, .rdx], raises: general)
        feature = .sysenter
        row(0x34, "sysenter", .sysenter, "", [.endsBlock, .sensitive], writes: .rsp, raises: general)
        row(
            0x35,
            "sysexit",
            .sysexit,
            "",
            [.endsBlock, .privileged],
            reads: [.rcx, .rdx],
            writes: .rsp,
            raises: general
        )
        row(
            0x35,
            "sysexitq",
            .sysexit,
            "",
            [.endsBlock, .privileged, .o64],
            reads: [.rcx, .rdx],
            writes: .rsp,
            raises: general
        )
        feature = .unsupported
        row(0x37, "getsec", .getsec, "", [.np, .sensitive, .endsBlock], raises: .invalidOpcode)
        feature = .base
        row(0xA2, "cpuid", .cpuid, "", .sensitive, reads: [.rax, .rcx], writes: [.rax, .rbx, .rcx, .rdx])
        row(0xAA, "rsm", .rsm, "", [.privileged, .endsBlock], raises: .invalidOpcode)
        for (push, pop, source, destination) in [
            (UInt8(0xA0), UInt8(0xA1), "FS" as StaticString, "=FS" as StaticString), (0xA8, 0xA9, "GS", "=GS"),
        ] {
            row(
                push,
                "push",
                .pushSegment,
                source,
                [.default64, .sensitive],
                reads: .rsp,
                writes: .rsp,
                raises: .stackFault
            )
            row(
                pop,
                "pop",
                .popSegment,
                destination,
                [.default64, .sensitive, .endsBlock],
                reads: .rsp,
                writes: .rsp,
                raises: [.stackFault, .generalProtection]
            )
        }
        row(0xB2, "lss", .lss, "=Gv,Mp", [.sensitive, .endsBlock], raises: [general, .stackFault])
        row(0xB4, "lfs", .lfs, "=Gv,Mp", [.sensitive, .endsBlock], raises: general)
        row(0xB5, "lgs", .lgs, "=Gv,Mp", [.sensitive, .endsBlock], raises: general)
        addBases()
        addRandom()
        addStateManagement()
        map = .map0F38
        feature = .invpcid
        row(0x82, "invpcid", .invpcid, "Gm,Mo", [.p66, .privileged, .endsBlock], raises: general)
    }

    /// 0F 01 with a register form: each ModRM byte is an instruction.
    @_optimize(none)
    private mutating func addGroup7Registers() {
        func at(_ reg: UInt64, _ rm: UInt64) -> EncodingRule { [.slash(reg), .register, .rm(rm)] }
        feature = .vmx
        row(0x01, "vmcall", .vmcall, "", [at(0, 1), .sensitive, .endsBlock], raises: .invalidOpcode)
        feature = .monitor
        row(0x01, "monitor", .monitor, "", [at(1, 0), .privileged, .np], reads: [.rax, .rcx, .rdx])
        row(0x01, "mwait", .mwait, "", [at(1, 1), .privileged, .endsBlock, .np], reads: [.rax, .rcx])
        feature = .smap
        row(0x01, "clac", .clac, "", [at(1, 2), .privileged, .endsBlock, .np])
        row(0x01, "stac", .stac, "", [at(1, 3), .privileged, .endsBlock, .np])
        feature = .xsave
        row(0x01, "xgetbv", .xgetbv, "", [at(2, 0), .sensitive, .np], reads: .rcx, writes: [.rax, .rdx])
        row(0x01, "xsetbv", .xsetbv, "", [at(2, 1), .privileged, .endsBlock, .np], reads: [.rax, .rcx, .rdx])
        feature = .rtm
        row(0x01, "xend", .xend, "", [at(2, 5), .np, .endsBlock], raises: .generalProtection)
        row(0x01, "xtest", .xtest, "", [at(2, 6), .np], .compare)
        feature = .svm
        row(0x01, "vmmcall", .vmmcall, "", [at(3, 1), .sensitive, .endsBlock], raises: .invalidOpcode)
        feature = .pku
        row(0x01, "rdpkru", .rdpkru, "", [at(5, 6), .np, .sensitive], reads: .rcx, writes: [.rax, .rdx])
        row(0x01, "wrpkru", .wrpkru, "", [at(5, 7), .np, .sensitive, .endsBlock], reads: [.rax, .rcx, .rdx])
        feature = .longMode
        row(0x01, "swapgs", .swapgs, "", [at(7, 0), .only64, .privileged, .endsBlock])
        feature = .rdtscp
        row(0x01, "rdtscp", .rdtscp, "", [at(7, 1), .sensitive], writes: [.rax, .rcx, .rdx])
        feature = .base
    }

    /// RDFSBASE and its like, and the waits that share their group.
    @_optimize(none)
    private mutating func addBases() {
        feature = .fsgsbase
        let rule: EncodingRule = [.f3, .only64, .sensitive]
        row(0xAE, "rdfsbase", .rdfsbase, "=Ry", [rule, .slash0], raises: .invalidOpcode)
        row(0xAE, "rdgsbase", .rdgsbase, "=Ry", [rule, .slash1], raises: .invalidOpcode)
        row(
            0xAE,
            "wrfsbase",
            .wrfsbase,
            "Ry",
            [rule, .slash2, .endsBlock],
            raises: [.invalidOpcode, .generalProtection]
        )
        row(
            0xAE,
            "wrgsbase",
            .wrgsbase,
            "Ry",
            [rule, .slash3, .endsBlock],
            raises: [.invalidOpcode, .generalProtection]
        )
        feature = .waitpkg
        row(0xAE, "umonitor", .umonitor, "Rm", [.f3, .slash6, .sensitive])
        row(0xAE, "umwait", .umwait, "Rd", [.f2, .slash6, .sensitive], .compare, reads: [.rax, .rdx])
        row(0xAE, "tpause", .tpause, "Rd", [.p66, .slash6, .sensitive], .compare, reads: [.rax, .rdx])
        feature = .base
    }

    /// RDRAND, RDSEED and RDPID.
    @_optimize(none)
    private mutating func addRandom() {
        feature = .rdrand
        row(0xC7, "rdrand", .rdrand, "=Rv", [.slash6, .np, .p66], .compare)
        feature = .rdseed
        row(0xC7, "rdseed", .rdseed, "=Rv", [.slash7, .np, .p66], .compare)
        feature = .rdpid
        row(0xC7, "rdpid", .rdpid, "=Rm", [.slash7, .f3, .sensitive])
        feature = .base
    }

    /// FXSAVE, the XSAVE family and MXCSR.
    ///
    /// The areas are wider than a byte can tell: their width is 0.
    @_optimize(none)
    private mutating func addStateManagement() {
        let pair: RegisterSet = [.rax, .rdx]
        let general: ExceptionSet = [.generalProtection, .deviceNotAvailable]
        let area: ExceptionSet = [general, .invalidOpcode]
        feature = .fxsr
        row(0xAE, "fxsave", .fxsave, "=M", [.slash0, .np, .sensitive], raises: [general, .x87])
        row(0xAE, "fxsave64", .fxsave, "=M", [.slash0, .np, .o64, .sensitive], raises: [general, .x87])
        row(0xAE, "fxrstor", .fxrstor, "M", [.slash1, .np], raises: general)
        row(0xAE, "fxrstor64", .fxrstor, "M", [.slash1, .np, .o64], raises: general)
        feature = .sse
        row(0xAE, "ldmxcsr", .ldmxcsr, "Md", [.slash2, .np], raises: general)
        row(0xAE, "stmxcsr", .stmxcsr, "=Md", [.slash3, .np], raises: general)
        feature = .xsave
        row(0xAE, "xsave", .xsave, "=M", [.slash4, .np, .sensitive], reads: pair, raises: area)
        row(0xAE, "xsave64", .xsave, "=M", [.slash4, .np, .o64, .sensitive], reads: pair, raises: area)
        row(0xAE, "xrstor", .xrstor, "M", [.slash5, .np, .sensitive], reads: pair, raises: area)
        row(0xAE, "xrstor64", .xrstor, "M", [.slash5, .np, .o64, .sensitive], reads: pair, raises: area)
        feature = .xsaveopt
        row(0xAE, "xsaveopt", .xsaveopt, "=M", [.slash6, .np, .sensitive], reads: pair, raises: area)
        row(0xAE, "xsaveopt64", .xsaveopt, "=M", [.slash6, .np, .o64, .sensitive], reads: pair, raises: area)
        feature = .xsavec
        row(0xC7, "xsavec", .xsavec, "=M", [.slash4, .np, .sensitive], reads: pair, raises: area)
        row(0xC7, "xsavec64", .xsavec, "=M", [.slash4, .np, .o64, .sensitive], reads: pair, raises: area)
        feature = .xsaves
        row(0xC7, "xrstors", .xrstors, "M", [.slash3, .np, .privileged], reads: pair, raises: area)
        row(0xC7, "xrstors64", .xrstors, "M", [.slash3, .np, .o64, .privileged], reads: pair, raises: area)
        row(0xC7, "xsaves", .xsaves, "=M", [.slash5, .np, .privileged], reads: pair, raises: area)
        row(0xC7, "xsaves64", .xsaves, "=M", [.slash5, .np, .o64, .privileged], reads: pair, raises: area)
        feature = .base
    }
}
