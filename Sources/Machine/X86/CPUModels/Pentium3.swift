extension CPUModel {
    /// A 32-bit CPU with SSE, PAE and SYSENTER.
    public static let pentium3 = CPUModel(
        name: "pentium3",
        summary: "32-bit: SSE, PAE, SYSENTER",
        vendor: "GenuineIntel",
        brand: "",
        signature: 0x0000_068A,
        features: CPUFeatureSet([.base, .x87, .cmov, .cx8, .mmx, .fxsr, .sse, .sysenter]),
        platform: .pentium3,
        maximumLeaf: 2
    )
}
