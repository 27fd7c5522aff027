import CHostProbe
import Testing
import X86
import X86Decoder

/// The host CPU says how long instructions are (see CHostProbe.h), and which are none.
@Suite(.serialized) struct `The host CPU agrees` {
    @Test(arguments: [(64, 600_000), (32, 250_000), (16, 150_000)])
    func `with the lengths of random strings`(bits: Int, count: Int) {
        var strings = RandomStrings(seed: UInt64(bits), bits: bits)
        var differences: [String: (count: Int, sample: String)] = [:]
        var alike = 0
        var remaining = count
        while remaining > 0 {
            let batch = min(remaining, 50_000)
            remaining -= batch
            let bytes = (0..<batch).map { _ in strings.string() }
            let decoded = bytes.map { decode($0, size(bits)) }
            var cases = zip(bytes, decoded).map(Self.probe)
            let result = cases.withUnsafeMutableBufferPointer {
                chostprobe_measure($0.baseAddress, Int64($0.count), Int32(bits))
            }
            #expect(result == 0, "the probe could not be set up: errno \(result)")
            guard result == 0 else { return }
            for index in 0..<batch {
                let comparison = HostComparison(
                    bytes: bytes[index],
                    opcodeOffset: strings.opcodeOffset(bytes[index]),
                    bits: bits,
                    status: decoded[index].status,
                    instruction: decoded[index].instruction,
                    hostLength: Int(cases[index].length),
                    hostException: Int(cases[index].exception)
                )
                guard let difference = comparison.difference else {
                    alike += 1
                    continue
                }
                differences[difference, default: (0, comparison.description)].count += 1
                if difference.hasPrefix("unexplained") { Issue.record("\(difference): \(comparison)") }
            }
        }
        print("\(bits)-bit code: \(count) strings, \(alike) alike")
        for (reason, entry) in differences.sorted(by: { $0.value.count > $1.value.count }) {
            print("  \(entry.count) \(reason) (\(entry.sample))")
        }
        #expect(alike > count / 10 * 9)
    }

    private func size(_ bits: Int) -> CodeSize { bits == 64 ? .bits64 : bits == 32 ? .bits32 : .bits16 }

    private static func probe(
        _ bytes: [UInt8],
        _ decoded: (status: DecodeStatus, instruction: DecodedInstruction)
    ) -> chostprobe_case {
        var probe = chostprobe_case()
        withUnsafeMutableBytes(of: &probe.bytes) { $0.copyBytes(from: bytes) }
        probe.hint = decoded.status == .complete ? decoded.instruction.length : 15
        return probe
    }
}

/// What the decoder and the host CPU say of one string.
struct HostComparison: CustomStringConvertible {
    var bytes: [UInt8]
    var opcodeOffset: Int
    var bits: Int
    var status: DecodeStatus
    var instruction: DecodedInstruction
    var hostLength: Int
    var hostException: Int

    var description: String {
        let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
        return "\(digits): \(instruction.operation) \(status) length \(instruction.length),"
            + " host length \(hostLength) exception \(hostException)"
    }

    /// Why they differ; nil when they do not.
    var difference: String? {
        guard status == .complete else {
            // The host may ask for the 16th byte before it refuses the length.
            return hostLength == 0 || hostLength == 15 && hostException == 13 ? nil : "unexplained length limit"
        }
        guard Int(instruction.length) == hostLength else { return "unexplained length" }
        let isInvalid = [.undefined, .ud0, .ud1, .ud2].contains(instruction.operation)
        guard isInvalid != (hostException == 6) else { return nil }
        return (isInvalid ? hostExtension : hostLack) ?? "unexplained #UD"
    }

    /// Why the host runs what the model refuses.
    private var hostExtension: String? {
        let first = bytes[opcodeOffset]
        if first == 0x62 { return "the host has AVX-512, the models do not" }
        guard first == 0xC4 || first == 0xC5 else { return nil }
        switch instruction.opcode {
        case 0x41, 0x42, 0x44...0x47, 0x4A, 0x4B, 0x90...0x93, 0x98, 0x99, 0x30...0x33:
            return "the host has AVX-512 mask registers, the models do not"
        case 0xAE where instruction.modRM >> 3 & 7 >= 6:
            return "the host does not refuse CLWB and its like behind VEX.66"
        default: return nil
        }
    }

    /// Why the host refuses what the table has.
    private var hostLack: String? {
        let mnemonic = OpcodeTable.row(instruction.row).mnemonic.description
        switch instruction.operation {
        case .rsm, .getsec: return "\(mnemonic) is #UD outside its mode"
        case .sysret where bits != 64: return "sysret is #UD outside 64-bit mode (Intel)"
        case .monitor, .mwait, .stac, .clac: return "\(mnemonic) is #UD in user mode"
        default: break
        }
        switch OpcodeTable.row(instruction.row).feature {
        case .sha, .rdpid, .waitpkg, .svm, .vmx, .rtm, .pku, .aes, .avx2, .fma, .f16c, .adx, .bmi1, .bmi2, .fsgsbase,
            .movbe,
            .rdrand, .rdseed, .xsavec, .xsaves, .pclmulqdq, .invpcid:
            return hasFeature ? nil : "the host has no \(mnemonic)"
        default: return nil
        }
    }

    /// Whether the host says in /proc/cpuinfo that it has the row's feature.
    private var hasFeature: Bool {
        let names: [String: String] = ["sha": "sha_ni", "pku": "ospke"]
        let feature = "\(OpcodeTable.row(instruction.row).feature)"
        return HostFlags.all.contains(names[feature] ?? feature)
    }
}
