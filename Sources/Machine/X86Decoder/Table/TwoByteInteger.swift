import X86

extension OpcodeTableBuilder {
    /// Integer instructions of the 0F map.
    @_optimize(none)
    mutating func addTwoByteInteger() {
        map = .map0F
        feature = .base
        row(0xB6, "movzx", .movzx, "=Gv,Eb")
        row(0xB7, "movzx", .movzx, "=Gv,Ew")
        row(0xBE, "movsx", .movsx, "=Gv,Eb")
        row(0xBF, "movsx", .movsx, "=Gv,Ew")
        row(0xAF, "imul", .imul, "+Gv,Ev", [], .multiply)
        row(0xB0, "cmpxchg", .cmpxchg, "+Eb,Gb", .lock, .arithmetic, reads: .rax, writes: .rax)
        row(0xB1, "cmpxchg", .cmpxchg, "+Ev,Gv", .lock, .arithmetic, reads: .rax, writes: .rax)
        row(0xC0, "xadd", .xadd, "+Eb,+Gb", .lock, .arithmetic)
        row(0xC1, "xadd", .xadd, "+Ev,+Gv", .lock, .arithmetic)
        let pair: RegisterSet = [.rax, .rdx]
        feature = .cx8
        row(
            0xC7,
            "cmpxchg8b",
            .cmpxchg8b,
            "+Mq",
            [.slash1, .lock],
            .zeroOnly,
            reads: [pair, .rbx, .rcx],
            writes: pair
        )
        feature = .cx16
        row(
            0xC7,
            "cmpxchg16b",
            .cmpxchg16b,
            "+Mo",
            [.slash1, .lock, .o64],
            .zeroOnly,
            reads: [pair, .rbx, .rcx],
            writes: pair,
            raises: .alignedMemory
        )
        feature = .base
        row(0xA4, "shld", .shld, "+Ev,Gv,Ib", [], .shift)
        row(0xA5, "shld", .shld, "+Ev,Gv,CL", [], .shift)
        row(0xAC, "shrd", .shrd, "+Ev,Gv,Ib", [], .shift)
        row(0xAD, "shrd", .shrd, "+Ev,Gv,CL", [], .shift)
        row(0xA3, "bt", .bt, "Ev,Gv", [], .bitTest)
        row(0xAB, "bts", .bts, "+Ev,Gv", .lock, .bitTest)
        row(0xB3, "btr", .btr, "+Ev,Gv", .lock, .bitTest)
        row(0xBB, "btc", .btc, "+Ev,Gv", .lock, .bitTest)
        row(0xBA, "bt", .bt, "Ev,Ib", .slash4, .bitTest)
        row(0xBA, "bts", .bts, "+Ev,Ib", [.slash5, .lock], .bitTest)
        row(0xBA, "btr", .btr, "+Ev,Ib", [.slash6, .lock], .bitTest)
        row(0xBA, "btc", .btc, "+Ev,Ib", [.slash7, .lock], .bitTest)
        row(0xBC, "bsf", .bsf, "+Gv,Ev", [.np, .p66, .f2], .bitScan)
        row(0xBD, "bsr", .bsr, "+Gv,Ev", [.np, .p66, .f2], .bitScan)
        feature = .bmi1
        row(0xBC, "tzcnt", .tzcnt, "=Gv,Ev", .f3, .zeroCount)
        feature = .lzcnt
        row(0xBD, "lzcnt", .lzcnt, "=Gv,Ev", .f3, .zeroCount)
        feature = .popcnt
        row(0xB8, "popcnt", .popcnt, "=Gv,Ev", .f3, .compare)
        feature = .base
        for number in UInt8(0)..<8 { row(0xC8 + number, "bswap", .bswap, "+Zv") }
        row(0x0B, "ud2", .ud2, "", .endsBlock, raises: .invalidOpcode)
        row(0xB9, "ud1", .ud1, "Gv,Ev", .endsBlock, raises: .invalidOpcode)
        row(0xFF, "ud0", .ud0, "Gv,Ev", .endsBlock, raises: .invalidOpcode)
        feature = .sse2
        row(0xC3, "movnti", .movnti, "=My,Gy", .np)
        addHints()
        map = .map0F38
        feature = .movbe
        row(0xF0, "movbe", .movbe, "=Gv,Mv", [.np, .p66])
        row(0xF1, "movbe", .movbe, "=Mv,Gv", [.np, .p66])
        feature = .sse42
        row(0xF0, "crc32", .crc32, "+Gy,Eb", .f2)
        row(0xF1, "crc32", .crc32, "+Gy,Ev", .f2)
        feature = .adx
        let carry = FlagEffect(read: FlagEffect.c, written: FlagEffect.c)
        let overflow = FlagEffect(read: FlagEffect.o, written: FlagEffect.o)
        row(0xF6, "adcx", .adcx, "+Gy,Ey", .p66, carry)
        row(0xF6, "adox", .adox, "+Gy,Ey", .f3, overflow)
    }

    /// NOP with ModRM, prefetches, ENDBR, fences and cache-line instructions.
    @_optimize(none)
    private mutating func addHints() {
        map = .map0F
        feature = .base
        for opcode in UInt8(0x18)...0x1F { row(opcode, "nop", .nop, "Ev") }
        feature = .sse
        row(0x18, "prefetchnta", .prefetch, "M", .slash0)
        row(0x18, "prefetcht0", .prefetch, "M", .slash1)
        row(0x18, "prefetcht1", .prefetch, "M", .slash2)
        row(0x18, "prefetcht2", .prefetch, "M", .slash3)
        feature = .base
        row(0x1E, "endbr64", .endbr, "", [.f3, .register, .slash7, .rm(2)])
        row(0x1E, "endbr32", .endbr, "", [.f3, .register, .slash7, .rm(3)])
        feature = .prefetchw
        row(0x0D, "prefetch", .prefetch, "M", [.slash0, .slash4, .slash5, .slash6, .slash7])
        row(0x0D, "prefetchw", .prefetch, "M", .slash1)
        row(0x0D, "prefetchwt1", .prefetch, "M", .slash2)
        row(0x0D, "prefetch", .prefetch, "M", .slash3)
        row(0x0D, "nop", .nop, "Rv")
        feature = .sse2
        row(0xAE, "lfence", .lfence, "", [.slash5, .register, .np])
        row(0xAE, "mfence", .mfence, "", [.slash6, .register, .np])
        feature = .sse
        row(0xAE, "sfence", .sfence, "", [.slash7, .register, .np])
        row(0xAE, "clflush", .clflush, "M", [.slash7, .np])
        feature = .clflushopt
        row(0xAE, "clflushopt", .clflushopt, "M", [.slash7, .p66])
        feature = .clwb
        row(0xAE, "clwb", .clwb, "M", [.slash6, .p66])
    }
}
