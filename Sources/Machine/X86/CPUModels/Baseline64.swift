extension CPUFeature {
    /// The x86-64 baseline of the psABI, and what every 64-bit system expects beside it.
    static let baseline64: [CPUFeature] = [
        .base, .x87, .cmov, .cx8, .mmx, .fxsr, .sse, .sse2, .longMode, .syscall, .sysenter, .noExecute,
    ]
    /// What x86-64-v2 adds.
    static let level2: [CPUFeature] = [.cx16, .lahf64, .popcnt, .sse3, .ssse3, .sse41, .sse42]
    /// What x86-64-v3 adds.
    static let level3: [CPUFeature] = [.avx, .avx2, .bmi1, .bmi2, .f16c, .fma, .lzcnt, .movbe, .xsave]
}

extension CPUModel {
    /// The x86-64 baseline.
    public static let baseline64 = CPUModel(
        name: "x86-64",
        summary: "the x86-64 baseline: SSE2",
        vendor: "GenuineIntel",
        brand: "Vivarium x86-64 Virtual CPU",
        signature: 0x0003_0661,
        features: CPUFeatureSet(CPUFeature.baseline64 + [.x2apic, .tscDeadline]),
        architecturalCapabilities: ArchitecturalCapabilities.nothingLeaks
    )
}
