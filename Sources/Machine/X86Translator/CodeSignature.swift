import X86

/// The registers whose values translated code takes for granted, because they hardly ever change.
struct CodeSignature: Equatable {
    /// SSE and AVX instructions raise neither #UD nor #NM.
    var usesSSE = false
    var usesAVX = false
    var hasSystemCalls = false
    var hasBaseInstructions = false
    /// RDTSC is for the supervisor alone.
    var hidesTimestamp = false
    var star: UInt64 = 0
    var systemCallTarget: UInt64 = 0
    var systemCallMask: UInt64 = 0

    init() {}

    init(_ s: CPUState) {
        usesSSE = s.cr0 & (CR0.emulation | CR0.taskSwitched) == 0 && s.cr4 & CR4.osfxsr != 0
        usesAVX = usesSSE && s.cr4 & CR4.osxsave != 0 && s.xcr0 & 6 == 6
        hasSystemCalls = s.efer & EFER.systemCallExtensions != 0
        hasBaseInstructions = s.cr4 & CR4.fsgsbase != 0
        hidesTimestamp = s.cr4 & CR4.tsd != 0
        star = s.star
        systemCallTarget = s.lstar
        systemCallMask = s.fmask
    }
}
