import X86

extension OpcodeTableBuilder {
    /// AVX2: permutes, broadcasts, variable shifts, masked moves and gathers.
    @_optimize(none)
    mutating func addAVX2() {
        map = .vex0F38
        feature = .avx2
        row(0x16, "vpermps", .vpermps, "=Vx,Hx,Wx", [.p66, .w0, .l1])
        row(0x36, "vpermd", .vpermd, "=Vx,Hx,Wx", [.p66, .w0, .l1])
        row(0x18, "vbroadcastss", .vbroadcastss, "=Vx,Ud", [.p66, .w0])
        row(0x19, "vbroadcastsd", .vbroadcastsd, "=Vx,Uq", [.p66, .w0, .l1])
        row(0x58, "vpbroadcastd", .vpbroadcastd, "=Vx,Wd", [.p66, .w0])
        row(0x59, "vpbroadcastq", .vpbroadcastq, "=Vx,Wq", [.p66, .w0])
        row(0x78, "vpbroadcastb", .vpbroadcastb, "=Vx,Wb", [.p66, .w0])
        row(0x79, "vpbroadcastw", .vpbroadcastw, "=Vx,Ww", [.p66, .w0])
        row(0x5A, "vbroadcasti128", .vbroadcasti128, "=Vx,Mo", [.p66, .w0, .l1])
        row(0x45, "vpsrlvd", .vpsrlvd, "=Vx,Hx,Wx", [.p66, .w0])
        row(0x45, "vpsrlvq", .vpsrlvq, "=Vx,Hx,Wx", [.p66, .w1])
        row(0x47, "vpsllvd", .vpsllvd, "=Vx,Hx,Wx", [.p66, .w0])
        row(0x47, "vpsllvq", .vpsllvq, "=Vx,Hx,Wx", [.p66, .w1])
        row(0x46, "vpsravd", .vpsravd, "=Vx,Hx,Wx", [.p66, .w0])
        row(0x8C, "vpmaskmovd", .vpmaskmovd, "=Vx,Hx,Mx", [.p66, .w0])
        row(0x8C, "vpmaskmovq", .vpmaskmovq, "=Vx,Hx,Mx", [.p66, .w1])
        row(0x8E, "vpmaskmovd", .vpmaskmovd, "=Mx,Hx,Vx", [.p66, .w0])
        row(0x8E, "vpmaskmovq", .vpmaskmovq, "=Mx,Hx,Vx", [.p66, .w1])
        row(0x90, "vpgatherdd", .vpgatherdd, "+Vx,Md,+Hx", [.p66, .w0, .vsib])
        row(0x90, "vpgatherdq", .vpgatherdq, "+Vx,Mq,+Hx", [.p66, .w1, .vsib])
        row(0x91, "vpgatherqd", .vpgatherqd, "+Vx,Md,+Hx", [.p66, .w0, .vsib])
        row(0x91, "vpgatherqq", .vpgatherqq, "+Vx,Mq,+Hx", [.p66, .w1, .vsib])
        row(0x92, "vgatherdps", .vgatherdps, "+Vx,Md,+Hx", [.p66, .w0, .vsib])
        row(0x92, "vgatherdpd", .vgatherdpd, "+Vx,Mq,+Hx", [.p66, .w1, .vsib])
        row(0x93, "vgatherqps", .vgatherqps, "+Vx,Md,+Hx", [.p66, .w0, .vsib])
        row(0x93, "vgatherqpd", .vgatherqpd, "+Vx,Mq,+Hx", [.p66, .w1, .vsib])
        map = .vex0F3A
        row(0x00, "vpermq", .vpermq, "=Vx,Wx,Ib", [.p66, .w1, .l1])
        row(0x01, "vpermpd", .vpermpd, "=Vx,Wx,Ib", [.p66, .w1, .l1])
        row(0x02, "vpblendd", .vpblendd, "=Vx,Hx,Wx,Ib", [.p66, .w0])
        row(0x38, "vinserti128", .vinserti128, "=Vx,Hx,Wo,Ib", [.p66, .w0, .l1])
        row(0x39, "vextracti128", .vextracti128, "=Wo,Vx,Ib", [.p66, .w0, .l1])
        row(0x46, "vperm2i128", .vperm2i128, "=Vx,Hx,Wx,Ib", [.p66, .w0, .l1])
        feature = .base
    }
}
