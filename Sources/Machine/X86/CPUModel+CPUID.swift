/// What CPUID's answers depend on beside the model.
public struct CPUIDContext: Hashable, Sendable {
    public var apicID: UInt32
    public var cpuCount: UInt32
    public var xcr0: UInt64
    public var cr4: UInt64
    /// IA32_APIC_BASE bit 11.
    public var isAPICEnabled: Bool
    /// Ticks a second of the time-stamp counter.
    public var timestampFrequency: UInt64
    /// Ticks a second of the local APIC's timer before its divider: the core crystal clock.
    public var crystalFrequency: UInt64

    public init(
        apicID: UInt32 = 0,
        cpuCount: UInt32 = 1,
        xcr0: UInt64 = 1,
        cr4: UInt64 = 0,
        isAPICEnabled: Bool = true,
        timestampFrequency: UInt64 = 0,
        crystalFrequency: UInt64 = 1_000_000_000
    ) {
        self.apicID = apicID
        self.cpuCount = cpuCount
        self.xcr0 = xcr0
        self.cr4 = cr4
        self.isAPICEnabled = isAPICEnabled
        self.timestampFrequency = timestampFrequency
        self.crystalFrequency = crystalFrequency
    }
}

extension CPUModel {
    /// The highest extended leaf.
    public var maximumExtendedLeaf: UInt32 {
        features.contains(.longMode) ? 0x8000_0008 : brand.isEmpty ? 0 : 0x8000_0004
    }

    /// The components of XCR0 that may be set: x87, SSE, AVX.
    public var supportedXCR0: UInt64 {
        guard features.contains(.xsave) else { return 0 }
        return features.contains(.avx) ? 7 : 3
    }

    /// What CPUID answers (SDM 2A "CPUID"); a leaf out of range reads as the highest basic leaf.
    public func cpuid(leaf: UInt32, subleaf: UInt32, context: CPUIDContext) -> CPUIDResult {
        switch leaf {
        case 0x4000_0000...0x4000_FFFF: return hypervisorLeaf(leaf, context)
        case 0x8000_0000...0x8000_FFFF where leaf <= maximumExtendedLeaf || leaf == 0x8000_0000:
            return extendedLeaf(leaf)
        case 0...maximumLeaf: return basicLeaf(leaf, subleaf, context)
        default: return basicLeaf(maximumLeaf, subleaf, context)
        }
    }

    private func basicLeaf(_ leaf: UInt32, _ subleaf: UInt32, _ context: CPUIDContext) -> CPUIDResult {
        switch leaf {
        case 0:
            let words = Self.words(vendor, count: 3)
            return CPUIDResult(eax: maximumLeaf, ebx: words[0], ecx: words[2], edx: words[1])
        case 1: return featureLeaf(context)
        case 2:
            // Descriptor 0xFF: the caches are described by leaf 4. Before leaf 4: 16 KiB L1s and 512 KiB L2.
            return maximumLeaf >= 4
                ? CPUIDResult(eax: 0x00FE_FF01, ebx: 0xF0) : CPUIDResult(eax: 0x0302_0101, edx: 0x0C04_0843)
        case 4: return cacheLeaf(subleaf, context)
        case 6: return CPUIDResult(eax: 1 << 2)
        case 7: return subleaf == 0 ? structuredFeatureLeaf() : CPUIDResult()
        case 0xB: return topologyLeaf(subleaf, context)
        case 0xD: return features.contains(.xsave) ? stateLeaf(subleaf, context) : CPUIDResult()
        case 0x15: return crystalLeaf(context)
        case 0x16:
            let megahertz = UInt32(truncatingIfNeeded: context.timestampFrequency / 1_000_000)
            return CPUIDResult(eax: megahertz & 0xFFFF, ebx: megahertz & 0xFFFF, ecx: 100)
        default: return CPUIDResult()
        }
    }

    private func bits(_ pairs: [(CPUFeature, UInt32)]) -> UInt32 {
        pairs.reduce(0) { features.contains($1.0) ? $0 | 1 << $1.1 : $0 }
    }

    private func featureLeaf(_ context: CPUIDContext) -> CPUIDResult {
        var ecx = bits([
            (.sse3, 0), (.pclmulqdq, 1), (.monitor, 3), (.ssse3, 9), (.fma, 12), (.cx16, 13), (.pcid, 17), (.sse41, 19),
            (.sse42, 20),
            (.x2apic, 21), (.movbe, 22), (.popcnt, 23), (.tscDeadline, 24), (.aes, 25), (.xsave, 26), (.avx, 28),
            (.f16c, 29),
            (.rdrand, 30),
        ])
        if features.contains(.xsave), context.cr4 & CR4.osxsave != 0 { ecx |= 1 << 27 }
        // A hypervisor is present: only where its leaves make sense to a guest.
        if features.contains(.longMode) { ecx |= 1 << 31 }
        var edx =
            platform.rawValue
            | bits([
                (.x87, 0), (.cx8, 8), (.sysenter, 11), (.cmov, 15), (.mmx, 23), (.fxsr, 24), (.sse, 25), (.sse2, 26),
            ])
        if !context.isAPICEnabled { edx &= ~PlatformFeatures.localAPIC.rawValue }
        if context.cpuCount > 1 { edx |= 1 << 28 }
        let clflushQuadwords: UInt32 = platform.contains(.clflush) ? 8 : 0
        let count = min(max(context.cpuCount, 1), 255)
        return CPUIDResult(
            eax: signature,
            ebx: clflushQuadwords << 8 | count << 16 | (context.apicID & 0xFF) << 24,
            ecx: ecx,
            edx: edx
        )
    }

    private func structuredFeatureLeaf() -> CPUIDResult {
        var ebx = bits([
            (.fsgsbase, 0), (.bmi1, 3), (.avx2, 5), (.smep, 7), (.bmi2, 8), (.erms, 9), (.invpcid, 10), (.rtm, 11),
            (.rdseed, 18),
            (.adx, 19), (.smap, 20), (.clflushopt, 23), (.clwb, 24), (.sha, 29),
        ])
        // TSC_ADJUST.
        if features.contains(.longMode) { ebx |= 1 << 1 }
        // The x87 code and data selectors are never kept, and the data pointer only for unmasked exceptions (SDM 1 §8.1.8).
        ebx |= 1 << 13 | 1 << 6
        let ecx = bits([
            (.umip, 2), (.pku, 3), (.waitpkg, 5), (.gfni, 8), (.vaes, 9), (.vpclmulqdq, 10), (.rdpid, 22),
            (.cldemote, 25),
            (.movdiri, 27), (.movdir64b, 28),
        ])
        var edx = bits([(.fsrm, 4), (.serialize, 14)])
        if architecturalCapabilities != nil { edx |= 1 << 29 }
        return CPUIDResult(ebx: ebx, ecx: ecx, edx: edx)
    }

    /// Level 1 data and code 32 KiB each, level 2 1 MiB, all of one core; level 3 32 MiB, shared by all.
    private func cacheLeaf(_ subleaf: UInt32, _ context: CPUIDContext) -> CPUIDResult {
        let cores = min(max(context.cpuCount, 1), 64)
        func cache(_ type: UInt32, _ level: UInt32, ways: UInt32, sets: UInt32, sharedBy: UInt32) -> CPUIDResult {
            CPUIDResult(
                eax: type | level << 5 | 1 << 8 | (sharedBy - 1) << 14 | (cores - 1) << 26,
                ebx: 63 | (ways - 1) << 22,
                ecx: sets - 1,
                edx: 0
            )
        }
        switch subleaf {
        case 0: return cache(1, 1, ways: 8, sets: 64, sharedBy: 1)
        case 1: return cache(2, 1, ways: 8, sets: 64, sharedBy: 1)
        case 2: return cache(3, 2, ways: 16, sets: 1024, sharedBy: 1)
        case 3: return cache(3, 3, ways: 16, sets: 32768, sharedBy: cores)
        default: return CPUIDResult()
        }
    }

    /// One thread a core, all cores in one package.
    private func topologyLeaf(_ subleaf: UInt32, _ context: CPUIDContext) -> CPUIDResult {
        let count = max(context.cpuCount, 1)
        switch subleaf {
        case 0: return CPUIDResult(eax: 0, ebx: 1, ecx: 1 << 8, edx: context.apicID)
        case 1:
            let shift = UInt32(32 - (count - 1).leadingZeroBitCount)
            return CPUIDResult(eax: shift, ebx: count, ecx: 2 << 8 | 1, edx: context.apicID)
        default: return CPUIDResult(ecx: subleaf & 0xFF, edx: context.apicID)
        }
    }

    private func stateLeaf(_ subleaf: UInt32, _ context: CPUIDContext) -> CPUIDResult {
        let supported = supportedXCR0
        func byteCount(_ components: UInt64) -> UInt32 { components & 4 != 0 ? 832 : 576 }
        switch subleaf {
        case 0:
            return CPUIDResult(
                eax: UInt32(truncatingIfNeeded: supported),
                ebx: byteCount(context.xcr0),
                ecx: byteCount(supported),
                edx: 0
            )
        case 1:
            // Bit 2: XGETBV with ECX = 1.
            let eax = bits([(.xsaveopt, 0), (.xsavec, 1), (.xsavec, 2), (.xsaves, 3)])
            return CPUIDResult(eax: eax, ebx: byteCount(context.xcr0))
        case 2 where supported & 4 != 0: return CPUIDResult(eax: 256, ebx: 576)
        default: return CPUIDResult()
        }
    }

    private func crystalLeaf(_ context: CPUIDContext) -> CPUIDResult {
        var (a, b) = (context.timestampFrequency, context.crystalFrequency)
        guard a != 0, b != 0 else { return CPUIDResult() }
        while b != 0 { (a, b) = (b, a % b) }
        guard let numerator = UInt32(exactly: context.timestampFrequency / a),
            let denominator = UInt32(exactly: context.crystalFrequency / a),
            let crystal = UInt32(exactly: context.crystalFrequency)
        else { return CPUIDResult() }
        return CPUIDResult(eax: denominator, ebx: numerator, ecx: crystal)
    }

    private func extendedLeaf(_ leaf: UInt32) -> CPUIDResult {
        switch leaf {
        case 0x8000_0000: return CPUIDResult(eax: maximumExtendedLeaf)
        case 0x8000_0001:
            return CPUIDResult(
                ecx: bits([(.lahf64, 0), (.lzcnt, 5), (.prefetchw, 8)]),
                edx: bits([(.syscall, 11), (.noExecute, 20), (.page1G, 26), (.rdtscp, 27), (.longMode, 29)])
            )
        case 0x8000_0002...0x8000_0004:
            let words = Self.words(brand, count: 12)
            let first = Int(leaf - 0x8000_0002) * 4
            return CPUIDResult(eax: words[first], ebx: words[first + 1], ecx: words[first + 2], edx: words[first + 3])
        // Level 2: 1 MiB, 16 ways, 64-byte lines.
        case 0x8000_0006: return CPUIDResult(ecx: 1024 << 16 | 8 << 12 | 64)
        // The time-stamp counter is invariant.
        case 0x8000_0007: return CPUIDResult(edx: 1 << 8)
        // 40 physical and 48 linear address bits.
        case 0x8000_0008: return CPUIDResult(eax: 48 << 8 | 40, ebx: bits([(.wbnoinvd, 9)]))
        default: return CPUIDResult()
        }
    }

    /// The KVM interface (kernel.org `virt/kvm/x86/cpuid`), with the frequency leaf that VMware introduced.
    private func hypervisorLeaf(_ leaf: UInt32, _ context: CPUIDContext) -> CPUIDResult {
        guard features.contains(.longMode) else { return CPUIDResult() }
        switch leaf {
        case 0x4000_0000:
            let words = Self.words("KVMKVMKVM", count: 3)
            return CPUIDResult(eax: 0x4000_0010, ebx: words[0], ecx: words[1], edx: words[2])
        // Clock MSRs old and new, no delays after port I/O, and the clock is stable across CPUs.
        case 0x4000_0001: return CPUIDResult(eax: 1 << 0 | 1 << 1 | 1 << 3 | 1 << 24)
        case 0x4000_0010:
            return CPUIDResult(
                eax: UInt32(truncatingIfNeeded: context.timestampFrequency / 1000),
                ebx: UInt32(truncatingIfNeeded: context.crystalFrequency / 1000)
            )
        default: return CPUIDResult()
        }
    }

    /// `text` as little-endian words, padded with zeros.
    private static func words(_ text: String, count: Int) -> [UInt32] {
        var words = [UInt32](repeating: 0, count: count)
        for (index, byte) in text.utf8.prefix(count * 4).enumerated() {
            words[index / 4] |= UInt32(byte) << UInt32(index % 4 * 8)
        }
        return words
    }
}
