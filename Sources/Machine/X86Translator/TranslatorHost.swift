internal import CTranslator
internal import HostCode
public import X86

/// Whether this host can run translated code at all, and what it runs well.
public enum TranslatorHost {
    /// The richest model whose instructions this host's CPU has; the interpreter runs what it lacks, which is slow.
    public static var model: CPUModel { HostRequirements.features.contains(.sha) ? .vivariumV3 : .vivariumV3WithoutSHA }

    /// What stands in the way, or nil.
    public static let obstacle: String? = {
        // First: without code of our own, nothing is known of the CPU either.
        guard let probe = try? CodeBuffer(byteCount: 4096), let code = try? probe.append({ $0.ret() }) else {
            return "the host lets this process have no memory for generated code"
        }
        var word: UInt64 = 0
        withUnsafeMutableBytes(of: &word) { bytes in
            if let base = bytes.baseAddress { code.call(base) }
        }
        if !HostRequirements.areMet {
            return "the host's CPU lacks \(HostRequirements.missing.joined(separator: ", "))"
        }
        if ctranslator_probe() != 0 { return "the host lets this thread set no GS base" }
        return nil
    }()
}
