import X86
import X86Decoder

/// Where the interpreter and this host's CPU are known to differ in what no program relies on; `Docs/oracle.md` gives the
/// reasons.
enum OracleDeviation {
    /// MOVBE to a second page that is missing: what lies in the first page has sometimes been written.
    case memory
    /// XRSTOR that raises #GP for MXCSR: XMM and YMM have sometimes been restored.
    case components

    static func of(_ generator: OracleGenerator, _ stop: OracleStop) -> OracleDeviation? {
        guard case .exception(let vector, _, let rip, _) = stop, rip != generator.endAddress,
            let i = generator.instructions.first(where: { generator.codeStart &+ UInt64($0.offset) == rip })?
                .instruction
        else { return nil }
        switch (vector, i.operation) {
        case (14, .movbe): return .memory
        case (13, .xrstor): return .components
        default: return nil
        }
    }

    /// Whether the run of the XSAVE area at `offset` is not to be compared.
    func covers(_ offset: Int) -> Bool { self == .components && offset >= 160 }
}
