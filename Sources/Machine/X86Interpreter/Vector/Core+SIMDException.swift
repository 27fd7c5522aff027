import CLinux
import HostCode
import X86

// SIMD floating-point exceptions (SDM 1 §11.5). Stubs run with the guest's own MXCSR, masks included: which exceptions an
// instruction reports together, and whether a tiny or huge result is also inexact, depends on which are unmasked, so only the
// CPU itself knows.
extension Core {
    /// Runs a stub of a SIMD instruction with the guest's MXCSR.
    ///
    /// - Throws: #XM, or #UD without CR4.OSXMMEXCPT, where an exception that the guest has not masked was raised; only the
    ///   flags of MXCSR have changed then.
    @inline(__always)
    func callSIMD(_ code: HostCodeAddress) throws(Fault) {
        if state.mxcsr & 0x1F80 == 0x1F80 { return code.call(raw) }
        try callUnmasked(code)
    }

    @inline(never)
    private func callUnmasked(_ code: HostCodeAddress) throws(Fault) {
        // SAFETY: the address is of code assembled for this signature, as in `HostCodeAddress.call`.
        let function = unsafeBitCast(code.rawValue, to: (@convention(c) (UnsafeMutableRawPointer?) -> Void).self)
        let raised = clinux_call_raising(function, raw)
        guard raised >= 0 else { return }
        let s = state
        s.mxcsr |= UInt32(truncatingIfNeeded: raised) & 0x3F
        throw s.cr4 & CR4.osxmmexcpt != 0 ? .exception(ExceptionVector.simd) : .invalidOpcode
    }
}
