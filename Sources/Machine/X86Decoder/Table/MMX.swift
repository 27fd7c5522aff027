import X86

extension OpcodeTableBuilder {
    /// MMX registers: MMX itself and what SSE to SSSE3 added.
    @_optimize(none)
    mutating func addMMX() {
        map = .map0F
        feature = .sse
        row(0x2A, "cvtpi2ps", .cvtpi2ps, "+Vo,Qq", [.np, .simd])
        feature = .sse2
        row(0x2A, "cvtpi2pd", .cvtpi2pd, "=Vo,Qq", [.p66, .simd])
        feature = .sse
        row(0x2C, "cvttps2pi", .cvttps2pi, "=Pq,Wq", [.np, .simd])
        feature = .sse2
        row(0x2C, "cvttpd2pi", .cvttpd2pi, "=Pq,Wo", [.p66, .simd])
        feature = .sse
        row(0x2D, "cvtps2pi", .cvtps2pi, "=Pq,Wq", [.np, .simd])
        feature = .sse2
        row(0x2D, "cvtpd2pi", .cvtpd2pi, "=Pq,Wo", [.p66, .simd])
        feature = .mmx
        row(0x60, "punpcklbw", .punpcklbw, "+Pq,Qd", .np)
        row(0x61, "punpcklwd", .punpcklwd, "+Pq,Qd", .np)
        row(0x62, "punpckldq", .punpckldq, "+Pq,Qd", .np)
        row(0x63, "packsswb", .packsswb, "+Pq,Qq", .np)
        row(0x64, "pcmpgtb", .pcmpgtb, "+Pq,Qq", .np)
        row(0x65, "pcmpgtw", .pcmpgtw, "+Pq,Qq", .np)
        row(0x66, "pcmpgtd", .pcmpgtd, "+Pq,Qq", .np)
        row(0x67, "packuswb", .packuswb, "+Pq,Qq", .np)
        row(0x68, "punpckhbw", .punpckhbw, "+Pq,Qq", .np)
        row(0x69, "punpckhwd", .punpckhwd, "+Pq,Qq", .np)
        row(0x6A, "punpckhdq", .punpckhdq, "+Pq,Qq", .np)
        row(0x6B, "packssdw", .packssdw, "+Pq,Qq", .np)
        row(0x74, "pcmpeqb", .pcmpeqb, "+Pq,Qq", .np)
        row(0x75, "pcmpeqw", .pcmpeqw, "+Pq,Qq", .np)
        row(0x76, "pcmpeqd", .pcmpeqd, "+Pq,Qq", .np)
        row(0xD5, "pmullw", .pmullw, "+Pq,Qq", .np)
        row(0xD8, "psubusb", .psubusb, "+Pq,Qq", .np)
        row(0xD9, "psubusw", .psubusw, "+Pq,Qq", .np)
        row(0xDB, "pand", .pand, "+Pq,Qq", .np)
        row(0xDC, "paddusb", .paddusb, "+Pq,Qq", .np)
        row(0xDD, "paddusw", .paddusw, "+Pq,Qq", .np)
        row(0xDF, "pandn", .pandn, "+Pq,Qq", .np)
        row(0xE5, "pmulhw", .pmulhw, "+Pq,Qq", .np)
        row(0xE8, "psubsb", .psubsb, "+Pq,Qq", .np)
        row(0xE9, "psubsw", .psubsw, "+Pq,Qq", .np)
        row(0xEB, "por", .por, "+Pq,Qq", .np)
        row(0xEC, "paddsb", .paddsb, "+Pq,Qq", .np)
        row(0xED, "paddsw", .paddsw, "+Pq,Qq", .np)
        row(0xEF, "pxor", .pxor, "+Pq,Qq", .np)
        row(0xF5, "pmaddwd", .pmaddwd, "+Pq,Qq", .np)
        row(0xF8, "psubb", .psubb, "+Pq,Qq", .np)
        row(0xF9, "psubw", .psubw, "+Pq,Qq", .np)
        row(0xFA, "psubd", .psubd, "+Pq,Qq", .np)
        row(0xFC, "paddb", .paddb, "+Pq,Qq", .np)
        row(0xFD, "paddw", .paddw, "+Pq,Qq", .np)
        row(0xFE, "paddd", .paddd, "+Pq,Qq", .np)
        feature = .sse
        row(0xDA, "pminub", .pminub, "+Pq,Qq", .np)
        row(0xDE, "pmaxub", .pmaxub, "+Pq,Qq", .np)
        row(0xE0, "pavgb", .pavgb, "+Pq,Qq", .np)
        row(0xE3, "pavgw", .pavgw, "+Pq,Qq", .np)
        row(0xE4, "pmulhuw", .pmulhuw, "+Pq,Qq", .np)
        row(0xEA, "pminsw", .pminsw, "+Pq,Qq", .np)
        row(0xEE, "pmaxsw", .pmaxsw, "+Pq,Qq", .np)
        row(0xF6, "psadbw", .psadbw, "+Pq,Qq", .np)
        feature = .sse2
        row(0xD4, "paddq", .paddq, "+Pq,Qq", .np)
        row(0xF4, "pmuludq", .pmuludq, "+Pq,Qq", .np)
        row(0xFB, "psubq", .psubq, "+Pq,Qq", .np)
        feature = .mmx
        row(0xD1, "psrlw", .psrlw, "+Pq,Qq", .np)
        row(0xD2, "psrld", .psrld, "+Pq,Qq", .np)
        row(0xD3, "psrlq", .psrlq, "+Pq,Qq", .np)
        row(0xE1, "psraw", .psraw, "+Pq,Qq", .np)
        row(0xE2, "psrad", .psrad, "+Pq,Qq", .np)
        row(0xF1, "psllw", .psllw, "+Pq,Qq", .np)
        row(0xF2, "pslld", .pslld, "+Pq,Qq", .np)
        row(0xF3, "psllq", .psllq, "+Pq,Qq", .np)
        row(0x71, "psrlw", .psrlw, "+Nq,Ib", [.np, .slash2])
        row(0x71, "psraw", .psraw, "+Nq,Ib", [.np, .slash4])
        row(0x71, "psllw", .psllw, "+Nq,Ib", [.np, .slash6])
        row(0x72, "psrld", .psrld, "+Nq,Ib", [.np, .slash2])
        row(0x72, "psrad", .psrad, "+Nq,Ib", [.np, .slash4])
        row(0x72, "pslld", .pslld, "+Nq,Ib", [.np, .slash6])
        row(0x73, "psrlq", .psrlq, "+Nq,Ib", [.np, .slash2])
        row(0x73, "psllq", .psllq, "+Nq,Ib", [.np, .slash6])
        row(0x6E, "movd", .movd, "=Pq,Ed", .np)
        row(0x6E, "movq", .movq, "=Pq,Eq", [.np, .o64])
        row(0x7E, "movd", .movd, "=Ed,Pq", .np)
        row(0x7E, "movq", .movq, "=Eq,Pq", [.np, .o64])
        row(0x6F, "movq", .movq, "=Pq,Qq", .np)
        row(0x7F, "movq", .movq, "=Qq,Pq", .np)
        feature = .sse2
        row(0xD6, "movq2dq", .movq2dq, "=Vo,Nq", .f3)
        row(0xD6, "movdq2q", .movdq2q, "=Pq,Uq", .f2)
        feature = .sse
        row(0x70, "pshufw", .pshufw, "=Pq,Qq,Ib", .np)
        feature = .mmx
        row(0x77, "emms", .emms, "", .np)
        feature = .sse
        row(0xC4, "pinsrw", .pinsrw, "+Pq,Rd,Ib", .np)
        row(0xC4, "pinsrw", .pinsrw, "+Pq,Mw,Ib", .np)
        row(0xC5, "pextrw", .pextrw, "=Gd,Nq,Ib", .np)
        row(0xD7, "pmovmskb", .pmovmskb, "=Gd,Nq", .np)
        row(0xE7, "movntq", .movntq, "=Mq,Pq", .np)
        row(0xF7, "maskmovq", .maskmovq, "Pq,Nq", .np, reads: .rdi)
        map = .map0F38
        feature = .ssse3
        row(0x00, "pshufb", .pshufb, "+Pq,Qq", .np)
        row(0x01, "phaddw", .phaddw, "+Pq,Qq", .np)
        row(0x02, "phaddd", .phaddd, "+Pq,Qq", .np)
        row(0x03, "phaddsw", .phaddsw, "+Pq,Qq", .np)
        row(0x04, "pmaddubsw", .pmaddubsw, "+Pq,Qq", .np)
        row(0x05, "phsubw", .phsubw, "+Pq,Qq", .np)
        row(0x06, "phsubd", .phsubd, "+Pq,Qq", .np)
        row(0x07, "phsubsw", .phsubsw, "+Pq,Qq", .np)
        row(0x08, "psignb", .psignb, "+Pq,Qq", .np)
        row(0x09, "psignw", .psignw, "+Pq,Qq", .np)
        row(0x0A, "psignd", .psignd, "+Pq,Qq", .np)
        row(0x0B, "pmulhrsw", .pmulhrsw, "+Pq,Qq", .np)
        row(0x1C, "pabsb", .pabsb, "=Pq,Qq", .np)
        row(0x1D, "pabsw", .pabsw, "=Pq,Qq", .np)
        row(0x1E, "pabsd", .pabsd, "=Pq,Qq", .np)
        map = .map0F3A
        row(0x0F, "palignr", .palignr, "+Pq,Qq,Ib", .np)
        feature = .base
    }
}
