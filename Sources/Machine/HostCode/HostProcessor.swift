public import X86

/// What the host's CPU itself can do, asked once by CPUID.
public enum HostProcessor {
    /// The features among those that vector instructions depend on.
    public static let vectorFeatures: CPUFeatureSet = probe()

    /// The features of the integer instructions that the host has, among those that code is copied with.
    public static let integerFeatures: [CPUFeature] = {
        var features: [CPUFeature] = [.longMode]
        guard let highest = cpuid(0, 0)?.eax, let basic = cpuid(1, 0), let extended = cpuid(0x8000_0001, 0) else {
            return features
        }
        func take(_ word: UInt32, _ bits: [(UInt32, CPUFeature)]) {
            for (bit, feature) in bits where word >> bit & 1 != 0 { features.append(feature) }
        }
        take(basic.ecx, [(13, .cx16), (22, .movbe), (23, .popcnt), (30, .rdrand)])
        take(extended.ecx, [(0, .lahf64), (5, .lzcnt), (8, .prefetchw)])
        if highest >= 7, let more = cpuid(7, 0) {
            take(more.ebx, [(3, .bmi1), (8, .bmi2), (18, .rdseed), (19, .adx)])
        }
        return features
    }()

    private static func probe() -> CPUFeatureSet {
        var set = CPUFeatureSet([.base, .x87, .cmov, .cx8, .mmx, .fxsr, .sse, .sse2])
        guard let highest = cpuid(0, 0)?.eax, let basic = cpuid(1, 0) else { return set }
        func take(_ word: UInt32, _ bits: [(UInt32, CPUFeature)]) {
            for (bit, feature) in bits where word >> bit & 1 != 0 { set.insert(feature) }
        }
        take(
            basic.ecx,
            [(0, .sse3), (1, .pclmulqdq), (9, .ssse3), (19, .sse41), (20, .sse42), (25, .aes), (26, .xsave)]
        )
        // AVX needs the host system's consent: OSXSAVE, and its kernel keeps YMM registers where it says AVX.
        if basic.ecx >> 27 & 1 != 0 { take(basic.ecx, [(28, .avx), (12, .fma), (29, .f16c)]) }
        if highest >= 7, let extended = cpuid(7, 0) {
            take(extended.ebx, [(29, .sha)])
            if set.contains(.avx) { take(extended.ebx, [(5, .avx2)]) }
            if set.contains(.avx) { take(extended.ecx, [(9, .vaes), (10, .vpclmulqdq)]) }
            take(extended.ecx, [(8, .gfni)])
        }
        return set
    }

    /// The host's answer to CPUID; nil if no code can be made.
    public static func cpuid(_ leaf: UInt32, _ subleaf: UInt32) -> CPUIDResult? {
        guard let buffer = try? CodeBuffer(byteCount: 4096) else { return nil }
        let code = try? buffer.append { assembler in
            assembler.push(.rbx)
            assembler.load32(.rax, HostMemory(.rdi, 0))
            assembler.load32(.rcx, HostMemory(.rdi, 8))
            assembler.cpuid()
            assembler.store32(HostMemory(.rdi, 0), .rax)
            assembler.store32(HostMemory(.rdi, 4), .rbx)
            assembler.store32(HostMemory(.rdi, 8), .rcx)
            assembler.store32(HostMemory(.rdi, 12), .rdx)
            assembler.pop(.rbx)
            assembler.ret()
        }
        guard let code else { return nil }
        var result = CPUIDResult(eax: leaf, ecx: subleaf)
        withUnsafeMutableBytes(of: &result) { bytes in
            if let base = bytes.baseAddress { code.call(base) }
        }
        return result
    }
}
