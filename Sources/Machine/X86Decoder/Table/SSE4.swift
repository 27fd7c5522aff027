import X86

extension OpcodeTableBuilder {
    /// SSSE3, SSE4, AES, PCLMULQDQ and SHA: the 0F 38 and 0F 3A maps.
    @_optimize(none)
    mutating func addSSE4() {
        map = .map0F38
        feature = .ssse3
        row(0x00, "pshufb", .pshufb, "+Vx,Wx", .p66)
        row(0x01, "phaddw", .phaddw, "+Vx,Wx", .p66)
        row(0x02, "phaddd", .phaddd, "+Vx,Wx", .p66)
        row(0x03, "phaddsw", .phaddsw, "+Vx,Wx", .p66)
        row(0x04, "pmaddubsw", .pmaddubsw, "+Vx,Wx", .p66)
        row(0x05, "phsubw", .phsubw, "+Vx,Wx", .p66)
        row(0x06, "phsubd", .phsubd, "+Vx,Wx", .p66)
        row(0x07, "phsubsw", .phsubsw, "+Vx,Wx", .p66)
        row(0x08, "psignb", .psignb, "+Vx,Wx", .p66)
        row(0x09, "psignw", .psignw, "+Vx,Wx", .p66)
        row(0x0A, "psignd", .psignd, "+Vx,Wx", .p66)
        row(0x0B, "pmulhrsw", .pmulhrsw, "+Vx,Wx", .p66)
        row(0x1C, "pabsb", .pabsb, "=Vx,Wx", .p66)
        row(0x1D, "pabsw", .pabsw, "=Vx,Wx", .p66)
        row(0x1E, "pabsd", .pabsd, "=Vx,Wx", .p66)
        feature = .sse41
        row(0x10, "pblendvb", .pblendvb, "+Vo,Wo,XMM0", .p66)
        row(0x14, "blendvps", .blendvps, "+Vo,Wo,XMM0", .p66)
        row(0x15, "blendvpd", .blendvpd, "+Vo,Wo,XMM0", .p66)
        row(0x17, "ptest", .ptest, "Vx,Wx", .p66, .compare)
        row(0x20, "pmovsxbw", .pmovsxbw, "=Vx,Wh", .p66)
        row(0x30, "pmovzxbw", .pmovzxbw, "=Vx,Wh", .p66)
        row(0x21, "pmovsxbd", .pmovsxbd, "=Vx,Wf", .p66)
        row(0x31, "pmovzxbd", .pmovzxbd, "=Vx,Wf", .p66)
        row(0x22, "pmovsxbq", .pmovsxbq, "=Vx,We", .p66)
        row(0x32, "pmovzxbq", .pmovzxbq, "=Vx,We", .p66)
        row(0x23, "pmovsxwd", .pmovsxwd, "=Vx,Wh", .p66)
        row(0x33, "pmovzxwd", .pmovzxwd, "=Vx,Wh", .p66)
        row(0x24, "pmovsxwq", .pmovsxwq, "=Vx,Wf", .p66)
        row(0x34, "pmovzxwq", .pmovzxwq, "=Vx,Wf", .p66)
        row(0x25, "pmovsxdq", .pmovsxdq, "=Vx,Wh", .p66)
        row(0x35, "pmovzxdq", .pmovzxdq, "=Vx,Wh", .p66)
        row(0x28, "pmuldq", .pmuldq, "+Vx,Wx", .p66)
        row(0x29, "pcmpeqq", .pcmpeqq, "+Vx,Wx", .p66)
        row(0x2B, "packusdw", .packusdw, "+Vx,Wx", .p66)
        row(0x38, "pminsb", .pminsb, "+Vx,Wx", .p66)
        row(0x39, "pminsd", .pminsd, "+Vx,Wx", .p66)
        row(0x3A, "pminuw", .pminuw, "+Vx,Wx", .p66)
        row(0x3B, "pminud", .pminud, "+Vx,Wx", .p66)
        row(0x3C, "pmaxsb", .pmaxsb, "+Vx,Wx", .p66)
        row(0x3D, "pmaxsd", .pmaxsd, "+Vx,Wx", .p66)
        row(0x3E, "pmaxuw", .pmaxuw, "+Vx,Wx", .p66)
        row(0x3F, "pmaxud", .pmaxud, "+Vx,Wx", .p66)
        row(0x40, "pmulld", .pmulld, "+Vx,Wx", .p66)
        feature = .sse42
        row(0x37, "pcmpgtq", .pcmpgtq, "+Vx,Wx", .p66)
        feature = .sse41
        row(0x2A, "movntdqa", .movntdqa, "=Vx,Mx", .p66)
        row(0x41, "phminposuw", .phminposuw, "=Vo,Wo", .p66)
        feature = .sha
        row(0xC8, "sha1nexte", .sha1nexte, "+Vo,Wo", .np)
        row(0xC9, "sha1msg1", .sha1msg1, "+Vo,Wo", .np)
        row(0xCA, "sha1msg2", .sha1msg2, "+Vo,Wo", .np)
        row(0xCB, "sha256rnds2", .sha256rnds2, "+Vo,Wo,XMM0", .np)
        row(0xCC, "sha256msg1", .sha256msg1, "+Vo,Wo", .np)
        row(0xCD, "sha256msg2", .sha256msg2, "+Vo,Wo", .np)
        feature = .aes
        row(0xDB, "aesimc", .aesimc, "=Vo,Wo", .p66)
        row(0xDC, "aesenc", .aesenc, "+Vo,Wo", .p66)
        row(0xDD, "aesenclast", .aesenclast, "+Vo,Wo", .p66)
        row(0xDE, "aesdec", .aesdec, "+Vo,Wo", .p66)
        row(0xDF, "aesdeclast", .aesdeclast, "+Vo,Wo", .p66)
        map = .map0F3A
        feature = .ssse3
        row(0x0F, "palignr", .palignr, "+Vx,Wx,Ib", .p66)
        feature = .sha
        row(0xCC, "sha1rnds4", .sha1rnds4, "+Vo,Wo,Ib", .np)
        feature = .aes
        row(0xDF, "aeskeygenassist", .aeskeygenassist, "=Vo,Wo,Ib", .p66)
        feature = .sse41
        row(0x08, "roundps", .roundps, "=Vx,Wx,Ib", [.p66, .simd])
        row(0x09, "roundpd", .roundpd, "=Vx,Wx,Ib", [.p66, .simd])
        row(0x0A, "roundss", .roundss, "+Vo,Wd,Ib", [.p66, .simd])
        row(0x0B, "roundsd", .roundsd, "+Vo,Wq,Ib", [.p66, .simd])
        row(0x0C, "blendps", .blendps, "+Vx,Wx,Ib", .p66)
        row(0x0D, "blendpd", .blendpd, "+Vx,Wx,Ib", .p66)
        row(0x0E, "pblendw", .pblendw, "+Vx,Wx,Ib", .p66)
        row(0x14, "pextrb", .pextrb, "=Rd,Vo,Ib", .p66)
        row(0x14, "pextrb", .pextrb, "=Mb,Vo,Ib", .p66)
        row(0x15, "pextrw", .pextrw, "=Rd,Vo,Ib", .p66)
        row(0x15, "pextrw", .pextrw, "=Mw,Vo,Ib", .p66)
        row(0x16, "pextrd", .pextrd, "=Ed,Vo,Ib", .p66)
        row(0x16, "pextrq", .pextrq, "=Eq,Vo,Ib", [.p66, .o64])
        row(0x17, "extractps", .extractps, "=Ed,Vo,Ib", .p66)
        row(0x20, "pinsrb", .pinsrb, "+Vo,Rd,Ib", .p66)
        row(0x20, "pinsrb", .pinsrb, "+Vo,Mb,Ib", .p66)
        row(0x21, "insertps", .insertps, "+Vo,Wd,Ib", .p66)
        row(0x22, "pinsrd", .pinsrd, "+Vo,Ed,Ib", .p66)
        row(0x22, "pinsrq", .pinsrq, "+Vo,Eq,Ib", [.p66, .o64])
        row(0x40, "dpps", .dpps, "+Vx,Wx,Ib", [.p66, .simd])
        row(0x41, "dppd", .dppd, "+Vo,Wo,Ib", [.p66, .simd])
        row(0x42, "mpsadbw", .mpsadbw, "+Vx,Wx,Ib", .p66)
        feature = .pclmulqdq
        row(0x44, "pclmulqdq", .pclmulqdq, "+Vo,Wo,Ib", .p66)
        feature = .sse42
        row(0x60, "pcmpestrm", .pcmpestrm, "Vo,Wo,Ib", [.p66, .unaligned], .compare, reads: [.rax, .rdx])
        row(
            0x61,
            "pcmpestri",
            .pcmpestri,
            "Vo,Wo,Ib",
            [.p66, .unaligned],
            .compare,
            reads: [.rax, .rdx],
            writes: .rcx
        )
        row(0x62, "pcmpistrm", .pcmpistrm, "Vo,Wo,Ib", [.p66, .unaligned], .compare)
        row(0x63, "pcmpistri", .pcmpistri, "Vo,Wo,Ib", [.p66, .unaligned], .compare, writes: .rcx)
        feature = .base
    }
}
