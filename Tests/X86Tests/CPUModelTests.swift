import Testing
import X86

struct CPUModelTests {
    private let context = CPUIDContext(
        apicID: 2,
        cpuCount: 4,
        xcr0: 7,
        cr4: CR4.osxsave,
        timestampFrequency: 2_400_000_000
    )

    private func leaf(_ model: CPUModel, _ leaf: UInt32, _ subleaf: UInt32 = 0) -> CPUIDResult {
        model.cpuid(leaf: leaf, subleaf: subleaf, context: context)
    }

    @Test func `Every model is found by its name, and the default comes first`() {
        for model in CPUModel.all { #expect(CPUModel.named(model.name)?.name == model.name) }
        #expect(Set(CPUModel.all.map(\.name)).count == CPUModel.all.count)
        #expect(CPUModel.all.first?.name == "vivarium-v3")
        #expect(CPUModel.named("z80") == nil)
    }

    @Test func `Leaf 0 spells the vendor`() {
        let result = leaf(.vivariumV3, 0)
        #expect(result.ebx == 0x756E_6547)
        #expect(result.edx == 0x4965_6E69)
        #expect(result.ecx == 0x6C65_746E)
        #expect(result.eax == 0x16)
    }

    @Test func `The default is a family 6 model 0x36`() {
        let signature = CPUModel.vivariumV3.signature
        #expect(signature >> 8 & 15 == 6)
        #expect(signature >> 4 & 15 | signature >> 12 & 0xF0 == 0x36)
    }

    @Test func `The default has every bit of x86-64-v3`() {
        let basic = leaf(.vivariumV3, 1)
        // SSE3 SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT XSAVE OSXSAVE AVX F16C.
        for bit in [0, 9, 12, 13, 19, 20, 22, 23, 26, 27, 28, 29] as [UInt32] {
            #expect(basic.ecx >> bit & 1 == 1, "bit \(bit)")
        }
        let structured = leaf(.vivariumV3, 7)
        // BMI1 AVX2 BMI2.
        for bit in [3, 5, 8] as [UInt32] { #expect(structured.ebx >> bit & 1 == 1, "bit \(bit)") }
        let extended = leaf(.vivariumV3, 0x8000_0001)
        // LAHF in 64-bit mode, LZCNT; long mode.
        #expect(extended.ecx & 0x21 == 0x21)
        #expect(extended.edx >> 29 & 1 == 1)
        // ERMS and FSRM.
        #expect(structured.ebx >> 9 & 1 == 1)
        #expect(structured.edx >> 4 & 1 == 1)
    }

    @Test func `OSXSAVE and the APIC bit follow the context`() {
        var other = context
        other.cr4 = 0
        other.isAPICEnabled = false
        let result = CPUModel.vivariumV3.cpuid(leaf: 1, subleaf: 0, context: other)
        #expect(result.ecx >> 27 & 1 == 0)
        #expect(result.edx >> 9 & 1 == 0)
        #expect(leaf(.vivariumV3, 1).edx >> 9 & 1 == 1)
        #expect(leaf(.vivariumV3, 1).ebx == 2 << 24 | 4 << 16 | 8 << 8)
    }

    @Test func `Leaf 0xD tells the sizes of the save area`() {
        #expect(leaf(.vivariumV3, 0xD, 0) == CPUIDResult(eax: 7, ebx: 832, ecx: 832, edx: 0))
        #expect(leaf(.vivariumV3, 0xD, 1).eax == 0xF)
        #expect(leaf(.vivariumV3, 0xD, 2) == CPUIDResult(eax: 256, ebx: 576))
        var small = context
        small.xcr0 = 3
        #expect(CPUModel.vivariumV3.cpuid(leaf: 0xD, subleaf: 0, context: small).ebx == 576)
        #expect(leaf(.baseline64, 0xD) == CPUIDResult())
    }

    @Test(arguments: [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3)] as [(UInt32, UInt32)])
    func `Leaf 0xB shifts the APIC id past all cores`(count: UInt32, shift: UInt32) {
        var other = context
        other.cpuCount = count
        let cores = CPUModel.vivariumV3.cpuid(leaf: 0xB, subleaf: 1, context: other)
        #expect(cores.eax == shift)
        #expect(cores.ebx == count)
        #expect(cores.edx == 2)
        #expect(cores.ecx >> 8 == 2)
    }

    @Test func `Leaf 4 describes 32 KiB, 1 MiB and 32 MiB caches`() {
        let sizes = (0..<4).map { (index: UInt32) in
            let cache = leaf(.vivariumV3, 4, index)
            return ((cache.ebx >> 22) + 1) * ((cache.ebx & 0xFFF) + 1) * (cache.ecx + 1)
        }
        #expect(sizes == [32 << 10, 32 << 10, 1 << 20, 32 << 20])
        #expect(leaf(.vivariumV3, 4, 4).eax & 31 == 0)
    }

    @Test func `Leaves 0x15 and 0x40000010 give back the frequency of the time-stamp counter`() {
        let crystal = leaf(.vivariumV3, 0x15)
        #expect(UInt64(crystal.ecx) * UInt64(crystal.ebx) / UInt64(crystal.eax) == 2_400_000_000)
        #expect(leaf(.vivariumV3, 0x4000_0010).eax == 2_400_000)
    }

    @Test func `The hypervisor leaves say KVM with a stable clock`() {
        let signature = leaf(.vivariumV3, 0x4000_0000)
        #expect([signature.ebx, signature.ecx, signature.edx] == [0x4B4D_564B, 0x564B_4D56, 0x4D])
        #expect(leaf(.vivariumV3, 0x4000_0001).eax == 0x0100_000B)
        #expect(leaf(.pentium3, 1).ecx >> 31 == 0)
    }

    @Test func `The brand string is spread over three leaves`() {
        var bytes: [UInt8] = []
        for index in 0x8000_0002...0x8000_0004 as ClosedRange<UInt32> {
            let part = leaf(.vivariumV3, index)
            for word in [part.eax, part.ebx, part.ecx, part.edx] {
                for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(word >> shift & 0xFF)) }
            }
        }
        #expect(String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) == CPUModel.vivariumV3.brand)
        #expect(bytes.count == 48 && bytes.last == 0)
    }

    @Test func `A leaf out of range reads as the highest basic leaf`() {
        #expect(leaf(.vivariumV3, 0x100) == leaf(.vivariumV3, 0x16))
        #expect(leaf(.pentium3, 0x8000_0000).eax == 0)
        #expect(leaf(.pentium3, 0x8000_0001) == leaf(.pentium3, 2))
    }

    @Test func `No model claims what the interpreter lacks`() {
        for model in CPUModel.all {
            for feature in [CPUFeature.rtm, .vmx, .svm, .pku, .cet, .waitpkg, .gfni, .unsupported] {
                #expect(!model.features.contains(feature), "\(model.name): \(feature)")
            }
            // AVX-512 and what else XCR0 would have to enable.
            #expect(model.supportedXCR0 & ~7 == 0)
        }
    }
}
