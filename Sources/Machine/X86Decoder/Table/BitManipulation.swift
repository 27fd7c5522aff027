import X86

extension OpcodeTableBuilder {
    /// BMI1 and BMI2: VEX instructions on general registers, always with L clear.
    @_optimize(none)
    mutating func addBitManipulation() {
        map = .vex0F38
        feature = .bmi1
        row(0xF2, "andn", .andn, "=Gy,By,Ey", [.np, .l0], .bmi)
        row(0xF3, "blsr", .blsr, "=By,Ey", [.np, .l0, .slash1], .bmi)
        row(0xF3, "blsmsk", .blsmsk, "=By,Ey", [.np, .l0, .slash2], .bmi)
        row(0xF3, "blsi", .blsi, "=By,Ey", [.np, .l0, .slash3], .bmi)
        row(0xF7, "bextr", .bextr, "=Gy,Ey,By", [.np, .l0], .bextr)
        feature = .bmi2
        row(0xF5, "bzhi", .bzhi, "=Gy,Ey,By", [.np, .l0], .bmi)
        row(0xF5, "pext", .pext, "=Gy,By,Ey", [.f3, .l0])
        row(0xF5, "pdep", .pdep, "=Gy,By,Ey", [.f2, .l0])
        row(0xF6, "mulx", .mulx, "=Gy,=By,Ey", [.f2, .l0], reads: .rdx)
        row(0xF7, "shlx", .shlx, "=Gy,Ey,By", [.p66, .l0])
        row(0xF7, "sarx", .sarx, "=Gy,Ey,By", [.f3, .l0])
        row(0xF7, "shrx", .shrx, "=Gy,Ey,By", [.f2, .l0])
        map = .vex0F3A
        row(0xF0, "rorx", .rorx, "=Gy,Ey,Ib", [.f2, .l0])
        feature = .base
    }
}
