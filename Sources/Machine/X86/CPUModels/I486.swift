extension CPUModel {
    /// A 32-bit CPU that has CPUID, an x87 and little else.
    public static let i486 = CPUModel(
        name: "486",
        summary: "32-bit: x87 and the virtual-8086 extensions only",
        vendor: "GenuineIntel",
        brand: "",
        signature: 0x0000_0480,
        features: CPUFeatureSet([.base, .x87]),
        platform: [.virtual8086Extensions, .pageSizeExtension],
        maximumLeaf: 1
    )
}
