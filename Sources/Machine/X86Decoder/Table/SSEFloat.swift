import X86

extension OpcodeTableBuilder {
    /// SSE to SSE3: moves, conversions and floating point of the 0F map.
    @_optimize(none)
    mutating func addSSEFloat() {
        map = .map0F
        feature = .sse
        row(0x10, "movups", .movups, "=Vx,Wx", [.np, .unaligned])
        row(0x11, "movups", .movups, "=Wx,Vx", [.np, .unaligned])
        row(0x13, "movlps", .movlps, "=Mq,Vo", .np)
        row(0x17, "movhps", .movhps, "=Mq,Vo", .np)
        row(0x12, "movlps", .movlps, "+Vo,Mq", .np)
        row(0x16, "movhps", .movhps, "+Vo,Mq", .np)
        row(0x14, "unpcklps", .unpcklps, "+Vx,Wx", .np)
        row(0x15, "unpckhps", .unpckhps, "+Vx,Wx", .np)
        row(0x28, "movaps", .movaps, "=Vx,Wx", .np)
        row(0x29, "movaps", .movaps, "=Wx,Vx", .np)
        row(0x2B, "movntps", .movntps, "=Mx,Vx", .np)
        row(0x50, "movmskps", .movmskps, "=Gd,Ux", .np)
        row(0x54, "andps", .andps, "+Vx,Wx", .np)
        row(0x55, "andnps", .andnps, "+Vx,Wx", .np)
        row(0x56, "orps", .orps, "+Vx,Wx", .np)
        row(0x57, "xorps", .xorps, "+Vx,Wx", .np)
        row(0xC6, "shufps", .shufps, "+Vx,Wx,Ib", .np)
        feature = .sse2
        row(0x10, "movupd", .movupd, "=Vx,Wx", [.p66, .unaligned])
        row(0x11, "movupd", .movupd, "=Wx,Vx", [.p66, .unaligned])
        row(0x13, "movlpd", .movlpd, "=Mq,Vo", .p66)
        row(0x17, "movhpd", .movhpd, "=Mq,Vo", .p66)
        row(0x12, "movlpd", .movlpd, "+Vo,Mq", .p66)
        row(0x16, "movhpd", .movhpd, "+Vo,Mq", .p66)
        row(0x14, "unpcklpd", .unpcklpd, "+Vx,Wx", .p66)
        row(0x15, "unpckhpd", .unpckhpd, "+Vx,Wx", .p66)
        row(0x28, "movapd", .movapd, "=Vx,Wx", .p66)
        row(0x29, "movapd", .movapd, "=Wx,Vx", .p66)
        row(0x2B, "movntpd", .movntpd, "=Mx,Vx", .p66)
        row(0x50, "movmskpd", .movmskpd, "=Gd,Ux", .p66)
        row(0x54, "andpd", .andpd, "+Vx,Wx", .p66)
        row(0x55, "andnpd", .andnpd, "+Vx,Wx", .p66)
        row(0x56, "orpd", .orpd, "+Vx,Wx", .p66)
        row(0x57, "xorpd", .xorpd, "+Vx,Wx", .p66)
        row(0xC6, "shufpd", .shufpd, "+Vx,Wx,Ib", .p66)
        feature = .sse
        row(0x12, "movhlps", .movhlps, "+Vo,Uq", .np)
        row(0x16, "movlhps", .movlhps, "+Vo,Uq", .np)
        row(0x10, "movss", .movss, "+Vo,Ud", .f3)
        row(0x10, "movss", .movss, "=Vo,Md", .f3)
        row(0x11, "movss", .movss, "+Ud,Vo", .f3)
        row(0x11, "movss", .movss, "=Md,Vo", .f3)
        row(0x2A, "cvtsi2ss", .cvtsi2ss, "+Vo,Ey", [.f3, .simd])
        row(0x2C, "cvttss2si", .cvttss2si, "=Gy,Wd", [.f3, .simd])
        row(0x2D, "cvtss2si", .cvtss2si, "=Gy,Wd", [.f3, .simd])
        feature = .sse2
        row(0x10, "movsd", .movsd, "+Vo,Uq", .f2)
        row(0x10, "movsd", .movsd, "=Vo,Mq", .f2)
        row(0x11, "movsd", .movsd, "+Uq,Vo", .f2)
        row(0x11, "movsd", .movsd, "=Mq,Vo", .f2)
        row(0x2A, "cvtsi2sd", .cvtsi2sd, "+Vo,Ey", [.f2, .simd])
        row(0x2C, "cvttsd2si", .cvttsd2si, "=Gy,Wq", [.f2, .simd])
        row(0x2D, "cvtsd2si", .cvtsd2si, "=Gy,Wq", [.f2, .simd])
        feature = .sse3
        row(0x12, "movsldup", .movsldup, "=Vx,Wx", .f3)
        row(0x16, "movshdup", .movshdup, "=Vx,Wx", .f3)
        feature = .sse
        row(0x2E, "ucomiss", .ucomiss, "Vo,Wd", [.np, .simd], .compare)
        feature = .sse2
        row(0x2E, "ucomisd", .ucomisd, "Vo,Wq", [.p66, .simd], .compare)
        feature = .sse
        row(0x2F, "comiss", .comiss, "Vo,Wd", [.np, .simd], .compare)
        feature = .sse2
        row(0x2F, "comisd", .comisd, "Vo,Wq", [.p66, .simd], .compare)
        feature = .sse
        row(0x51, "sqrtps", .sqrtps, "=Vx,Wx", [.np, .simd])
        feature = .sse2
        row(0x51, "sqrtpd", .sqrtpd, "=Vx,Wx", [.p66, .simd])
        feature = .sse
        row(0x51, "sqrtss", .sqrtss, "+Vo,Wd", [.f3, .simd])
        feature = .sse2
        row(0x51, "sqrtsd", .sqrtsd, "+Vo,Wq", [.f2, .simd])
        feature = .sse
        row(0x58, "addps", .addps, "+Vx,Wx", [.np, .simd])
        feature = .sse2
        row(0x58, "addpd", .addpd, "+Vx,Wx", [.p66, .simd])
        feature = .sse
        row(0x58, "addss", .addss, "+Vo,Wd", [.f3, .simd])
        feature = .sse2
        row(0x58, "addsd", .addsd, "+Vo,Wq", [.f2, .simd])
        feature = .sse
        row(0x59, "mulps", .mulps, "+Vx,Wx", [.np, .simd])
        feature = .sse2
        row(0x59, "mulpd", .mulpd, "+Vx,Wx", [.p66, .simd])
        feature = .sse
        row(0x59, "mulss", .mulss, "+Vo,Wd", [.f3, .simd])
        feature = .sse2
        row(0x59, "mulsd", .mulsd, "+Vo,Wq", [.f2, .simd])
        feature = .sse
        row(0x5C, "subps", .subps, "+Vx,Wx", [.np, .simd])
        feature = .sse2
        row(0x5C, "subpd", .subpd, "+Vx,Wx", [.p66, .simd])
        feature = .sse
        row(0x5C, "subss", .subss, "+Vo,Wd", [.f3, .simd])
        feature = .sse2
        row(0x5C, "subsd", .subsd, "+Vo,Wq", [.f2, .simd])
        feature = .sse
        row(0x5D, "minps", .minps, "+Vx,Wx", [.np, .simd])
        feature = .sse2
        row(0x5D, "minpd", .minpd, "+Vx,Wx", [.p66, .simd])
        feature = .sse
        row(0x5D, "minss", .minss, "+Vo,Wd", [.f3, .simd])
        feature = .sse2
        row(0x5D, "minsd", .minsd, "+Vo,Wq", [.f2, .simd])
        feature = .sse
        row(0x5E, "divps", .divps, "+Vx,Wx", [.np, .simd])
        feature = .sse2
        row(0x5E, "divpd", .divpd, "+Vx,Wx", [.p66, .simd])
        feature = .sse
        row(0x5E, "divss", .divss, "+Vo,Wd", [.f3, .simd])
        feature = .sse2
        row(0x5E, "divsd", .divsd, "+Vo,Wq", [.f2, .simd])
        feature = .sse
        row(0x5F, "maxps", .maxps, "+Vx,Wx", [.np, .simd])
        feature = .sse2
        row(0x5F, "maxpd", .maxpd, "+Vx,Wx", [.p66, .simd])
        feature = .sse
        row(0x5F, "maxss", .maxss, "+Vo,Wd", [.f3, .simd])
        feature = .sse2
        row(0x5F, "maxsd", .maxsd, "+Vo,Wq", [.f2, .simd])
        feature = .sse
        row(0x52, "rsqrtps", .rsqrtps, "=Vx,Wx", .np)
        row(0x52, "rsqrtss", .rsqrtss, "+Vo,Wd", .f3)
        row(0x53, "rcpps", .rcpps, "=Vx,Wx", .np)
        row(0x53, "rcpss", .rcpss, "+Vo,Wd", .f3)
        feature = .sse2
        row(0x5A, "cvtps2pd", .cvtps2pd, "=Vx,Wh", [.np, .simd])
        row(0x5A, "cvtpd2ps", .cvtpd2ps, "=Vo,Wx", [.p66, .simd])
        row(0x5A, "cvtss2sd", .cvtss2sd, "+Vo,Wd", [.f3, .simd])
        row(0x5A, "cvtsd2ss", .cvtsd2ss, "+Vo,Wq", [.f2, .simd])
        row(0x5B, "cvtdq2ps", .cvtdq2ps, "=Vx,Wx", [.np, .simd])
        row(0x5B, "cvtps2dq", .cvtps2dq, "=Vx,Wx", [.p66, .simd])
        row(0x5B, "cvttps2dq", .cvttps2dq, "=Vx,Wx", [.f3, .simd])
        row(0xE6, "cvttpd2dq", .cvttpd2dq, "=Vo,Wx", [.p66, .simd])
        row(0xE6, "cvtdq2pd", .cvtdq2pd, "=Vx,Wh", .f3)
        row(0xE6, "cvtpd2dq", .cvtpd2dq, "=Vo,Wx", [.f2, .simd])
        feature = .sse
        row(0xC2, "cmpps", .cmpps, "+Vx,Wx,Ib", [.np, .simd])
        feature = .sse2
        row(0xC2, "cmppd", .cmppd, "+Vx,Wx,Ib", [.p66, .simd])
        feature = .sse
        row(0xC2, "cmpss", .cmpss, "+Vo,Wd,Ib", [.f3, .simd])
        feature = .sse2
        row(0xC2, "cmpsd", .cmpsd, "+Vo,Wq,Ib", [.f2, .simd])
        feature = .sse3
        row(0x7C, "haddpd", .haddpd, "+Vx,Wx", [.p66, .simd])
        row(0x7C, "haddps", .haddps, "+Vx,Wx", [.f2, .simd])
        row(0x7D, "hsubpd", .hsubpd, "+Vx,Wx", [.p66, .simd])
        row(0x7D, "hsubps", .hsubps, "+Vx,Wx", [.f2, .simd])
        row(0xD0, "addsubpd", .addsubpd, "+Vx,Wx", [.p66, .simd])
        row(0xD0, "addsubps", .addsubps, "+Vx,Wx", [.f2, .simd])
        row(0xF0, "lddqu", .lddqu, "=Vx,Mx", [.f2, .unaligned])
        feature = .sse2
        row(0xE7, "movntdq", .movntdq, "=Mx,Vx", .p66)
        feature = .base
    }
}
