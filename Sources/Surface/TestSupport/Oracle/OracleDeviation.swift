import X86
import X86Decoder

/// Where the interpreter and this host's CPU are known to differ in what no program relies on; `Docs/oracle.md` gives the
/// reasons.
enum OracleDeviation {
    /// A store of ten bytes, or MOVBE, across pages: what lies in the first page has been written.
    case memory
    /// An MMX instruction whose memory access faults: Intel CPUs have left x87 mode by then (TOP is 0, no register is empty).
    case x87
    /// MXCSR's flags where #XM is raised while underflow or overflow is unmasked, or where VCVTPS2PH cannot store.
    case status
    /// Which of two faults is found first, and what has been written by then: an x87 store with unmasked exceptions to memory that
    /// faults, CMPS, XRSTOR of a bad image.
    case order
    /// XRSTOR that faults: this host has loaded some components by then.
    case components

    static func of(_ generator: OracleGenerator, _ stop: OracleStop, _ state: CPUState) -> OracleDeviation? {
        guard case .exception(let vector, _, let rip, _) = stop, rip != generator.endAddress,
            let i = generator.instructions.first(where: { generator.codeStart &+ UInt64($0.offset) == rip })?
                .instruction
        else { return nil }
        switch vector {
        case 13 where i.operation == .cmps || i.operation == .xrstor: return .order
        case 14 where i.operation == .xrstor: return .components
        case 14 where isX87Store(i.operation):
            // FCW: not every exception masked.
            return state.xsaveArea.load(as: UInt16.self) & 0x3F != 0x3F
                ? .order : i.memoryByteCount == 10 ? .memory : nil
        case 14 where i.operation == .movbe: return .memory
        case 14 where i.operation == .vcvtps2ph: return .status
        case 12, 13, 14: return usesMMX(i) ? .x87 : nil
        case 19 where i.operation == .dpps || i.operation == .dppd || i.operation == .vdpps || i.operation == .vdppd:
            return .status
        case 19: return state.mxcsr & 0xC00 != 0xC00 ? .status : nil
        default: return nil
        }
    }

    private static func isX87Store(_ operation: Operation) -> Bool {
        switch operation {
        case .fst, .fstp, .fist, .fistp, .fisttp, .fbstp: true
        default: false
        }
    }

    private static func usesMMX(_ i: DecodedInstruction) -> Bool {
        [i.operands.0, i.operands.1, i.operands.2].contains { $0.kind == .mmx } || i.operation == .maskmovq
    }

    /// Whether the run of the XSAVE area at `offset` is not to be compared.
    func covers(_ offset: Int) -> Bool {
        switch self {
        case .memory: false
        case .x87: offset == 0 || 32..<160 ~= offset
        case .status: offset == 24
        case .components, .order: true
        }
    }
}
