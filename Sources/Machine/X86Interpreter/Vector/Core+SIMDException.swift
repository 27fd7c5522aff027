import HostCode
import X86

// SIMD floating-point exceptions (SDM 1 §11.5). A stub runs with every exception masked; where one of those that it raised
// is unmasked in the guest's MXCSR it commits nothing, and the fault is made here.
extension Core {
    /// Sets the status flags that the CPU sets before it raises the exception, and gives the exception.
    ///
    /// `raised`: The MXCSR flags that the masked run raised; at least one of them is unmasked.
    @inline(never)
    func simdFault(_ raised: UInt32) -> Fault {
        let s = state
        let masks = s.mxcsr >> 7 & 0x3F
        // Invalid, denormal and divide-by-zero are found before anything is computed: if one of them faults there is no
        // overflow, underflow or inexact result.
        let before = raised & 7
        s.mxcsr |= before & ~masks != 0 ? before : raised
        return s.cr4 & CR4.osxmmexcpt != 0 ? .exception(ExceptionVector.simd) : .invalidOpcode
    }

    /// Runs an arithmetic stub while underflow is unmasked: then a tiny result faults even where it is exact, which a
    /// masked run does not report.
    @inline(never)
    func runLookingForUnderflow(_ plan: UnsafePointer<VectorPlan>) throws(Fault) {
        let s = state
        let number = Int(plan.pointee.destination)
        let savedLow = low(number)
        let savedHigh = high(number)
        let mxcsr = s.mxcsr
        // Every exception masked, none raised yet; flush-to-zero counts only where underflow is masked (SDM 1 §10.2.3.3).
        s.mxcsr = mxcsr & 0x7FC0 | 0x1F80
        plan.pointee.code.call(raw)
        let raised = s.mxcsr & 0x3F | (holdsTinyResult(plan) ? 0x10 : 0)
        s.mxcsr = mxcsr
        guard raised & ~(mxcsr >> 7) != 0 else {
            s.mxcsr = mxcsr | raised
            return
        }
        setLow(number, savedLow)
        setHigh(number, savedHigh)
        throw simdFault(raised)
    }

    /// Whether an element that the instruction computed is denormal.
    private func holdsTinyResult(_ plan: UnsafePointer<VectorPlan>) -> Bool {
        let encoding = plan.pointee.encoding
        let number = Int(encoding.reg)
        let isDouble: Bool
        let isScalar: Bool
        switch encoding.map {
        case .map0F38:
            isDouble = encoding.w
            // FMA: odd opcodes from 99 on in each row of sixteen are scalar; 96, 97, 98, 9A, 9C, 9E packed.
            isScalar = encoding.opcode & 9 == 9
        case .map0F3A:
            isDouble = encoding.opcode == 0x41
            isScalar = false
        default:
            // CVTPD2PS and CVTSD2SS give single results.
            isDouble =
                encoding.opcode == 0x5A ? false : encoding.opcode >= 0x7C ? encoding.pp == 1 : encoding.pp & 1 != 0
            isScalar = encoding.pp >= 2 && encoding.opcode < 0x7C
        }
        let lanes = [low(number), encoding.isWide && encoding.isVEX ? high(number) : VectorHalf()]
        for (index, lane) in lanes.enumerated() {
            for element in 0..<2 {
                let word = lane[element]
                if isScalar, index != 0 || element != 0 { return false }
                if isDouble {
                    if word & 0x7FF0_0000_0000_0000 == 0, word & 0xF_FFFF_FFFF_FFFF != 0 { return true }
                } else {
                    if word & 0x7F80_0000 == 0, word & 0x7F_FFFF != 0 { return true }
                    if !isScalar, word >> 32 & 0x7F80_0000 == 0, word >> 32 & 0x7F_FFFF != 0 { return true }
                }
            }
        }
        return false
    }
}
