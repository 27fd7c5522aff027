import HostCode
import X86

/// What the vector engine expects of the host, in one place.
///
/// Executed by the host itself, an instruction at a time: x87, MMX, SSE to SSE4.2, AES, PCLMULQDQ, AVX, AVX2, F16C, FMA.
/// On a host without one of these a guest's use of it is #UD, since there is no software version; any x86-64-v3 CPU with
/// AES and PCLMULQDQ has them all. On a host that is not x86-64 all of them would need one.
///
/// Executed in software, so that no host has to have them: SHA, FXSAVE, the XSAVE family and x87 control instructions,
/// gathers and masked moves.
enum HostRequirements {
    /// Whether the host can run an instruction that needs `feature`.
    static func canExecute(_ feature: CPUFeature) -> Bool { HostProcessor.vectorFeatures.contains(feature) }
}
