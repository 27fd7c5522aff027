extension CPUModel {
    /// x86-64-v2.
    public static let level2 = CPUModel(
        name: "x86-64-v2",
        summary: "x86-64-v2: SSE4.2, POPCNT, CMPXCHG16B",
        vendor: "GenuineIntel",
        brand: "Vivarium x86-64-v2 Virtual CPU",
        signature: 0x0003_0661,
        features: CPUFeatureSet(
            CPUFeature.baseline64 + CPUFeature.level2 + [.rdtscp, .pcid, .x2apic, .tscDeadline, .erms, .smep]
        ),
        architecturalCapabilities: ArchitecturalCapabilities.nothingLeaks
    )
}
