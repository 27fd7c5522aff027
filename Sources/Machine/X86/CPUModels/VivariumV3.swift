extension CPUModel {
    /// x86-64-v3 with what Debian's kernels and glibc make use of.
    ///
    /// `Docs/cpu-models.md` gives the reasons for its identity.
    public static let vivariumV3 = vivarium(
        "vivarium-v3",
        summary: "x86-64-v3 with AES, SHA, ADX, FSRM and no speculation faults",
        adding: [.sha]
    )

    /// For hosts without SHA, where an engine would run each of its instructions slowly, and guests prefer them to AVX2.
    public static let vivariumV3WithoutSHA = vivarium(
        "vivarium-v3-nosha",
        summary: "vivarium-v3 without SHA",
        adding: []
    )

    private static func vivarium(_ name: String, summary: String, adding more: [CPUFeature]) -> CPUModel {
        CPUModel(
            name: name,
            summary: summary,
            vendor: "GenuineIntel",
            brand: "Vivarium x86-64-v3 Virtual CPU",
            // Family 6, model 0x36, stepping 1: an in-order core, to which no speculation fault applies.
            signature: 0x0003_0661,
            features: CPUFeatureSet(
                CPUFeature.baseline64 + CPUFeature.level2 + CPUFeature.level3 + [
                    .adx, .aes, .pclmulqdq, .rdrand, .rdseed, .fsgsbase, .umip, .rdpid, .rdtscp, .smep, .smap, .pcid,
                    .invpcid,
                    .xsaveopt, .xsavec, .xsaves, .fsrm, .erms, .x2apic, .tscDeadline, .page1G, .clflushopt, .clwb,
                    .prefetchw,
                ] + more
            ),
            architecturalCapabilities: ArchitecturalCapabilities.nothingLeaks
        )
    }
}

/// The bits of IA32_ARCH_CAPABILITIES (MSR 0x10A, SDM 4 table 2-2).
public enum ArchitecturalCapabilities {
    public static let rdclNo: UInt64 = 1 << 0
    public static let skipL1DFlush: UInt64 = 1 << 3
    public static let ssbNo: UInt64 = 1 << 4
    public static let mdsNo: UInt64 = 1 << 5
    public static let pageSizeChangeMCNo: UInt64 = 1 << 6
    public static let taaNo: UInt64 = 1 << 8
    public static let sbdrSsdpNo: UInt64 = 1 << 13
    public static let fbsdpNo: UInt64 = 1 << 14
    public static let psdpNo: UInt64 = 1 << 15
    public static let bhiNo: UInt64 = 1 << 20
    public static let pbrsbNo: UInt64 = 1 << 24
    public static let gdsNo: UInt64 = 1 << 26
    public static let rfdsNo: UInt64 = 1 << 27
    public static let itsNo: UInt64 = 1 << 62

    /// Every fault that the MSR can declare absent.
    public static let nothingLeaks =
        rdclNo | skipL1DFlush | ssbNo | mdsNo | pageSizeChangeMCNo | taaNo | sbdrSsdpNo | fbsdpNo | psdpNo | bhiNo
        | pbrsbNo
        | gdsNo | rfdsNo | itsNo
}
