import HostCode
import X86
import X86Decoder

/// Which rows of the opcode table the oracle can run, and why not the others.
struct OracleScope {
    /// What the guest's model and the host's CPU both have.
    let features: CPUFeatureSet
    let model: CPUModel

    init(model: CPUModel) {
        self.model = model
        var features = HostProcessor.vectorFeatures
        for feature: CPUFeature in [.longMode, .syscall, .sysenter, .monitor, .invpcid] { features.insert(feature) }
        let basic = HostProcessor.cpuid(1, 0) ?? CPUIDResult()
        let extended = HostProcessor.cpuid(7, 0) ?? CPUIDResult()
        let long = HostProcessor.cpuid(0x8000_0001, 0) ?? CPUIDResult()
        let state = HostProcessor.cpuid(13, 1) ?? CPUIDResult()
        let bits: [(UInt32, Int, CPUFeature)] = [
            (basic.ecx, 13, .cx16), (basic.ecx, 22, .movbe), (basic.ecx, 23, .popcnt), (long.ecx, 5, .lzcnt),
            (long.ecx, 0, .lahf64), (long.ecx, 8, .prefetchw), (extended.ebx, 3, .bmi1), (extended.ebx, 8, .bmi2),
            (extended.ebx, 19, .adx), (extended.ebx, 0, .fsgsbase), (extended.ebx, 23, .clflushopt),
            (extended.ebx, 24, .clwb), (extended.ebx, 20, .smap),
            (state.eax, 0, .xsaveopt), (state.eax, 1, .xsavec), (state.eax, 3, .xsaves),
        ]
        for (word, bit, feature) in bits where word >> UInt32(bit) & 1 != 0 { features.insert(feature) }
        self.features = features
    }

    /// Why `row` is not run; nil if it is.
    func exclusion(of row: OpcodeRow) -> String? {
        if row.operation == .undefined {
            return "not an instruction: the decoder's tests compare #UD and lengths with the host"
        }
        if let reason = Self.reason(row.operation) { return reason }
        if !model.features.contains(row.feature) { return "needs \(row.feature), which no CPU model has" }
        if !features.contains(row.feature) { return "needs \(row.feature), which this host's CPU or system lacks" }
        return nil
    }

    private static func reason(_ operation: Operation) -> String? {
        switch operation {
        case .callFar, .jmpFar, .retFar, .iret: "far transfer: needs descriptors of the guest's own"
        case .int, .int1, .int3, .into: "software interrupt: Linux answers it by its own IDT"
        case .syscall, .sysenter: "enters the host's kernel"
        case .rdtsc, .rdtscp, .rdpmc: "reads time or performance counters"
        case .rdrand, .rdseed: "reads random numbers"
        case .cpuid, .xgetbv, .rdpid: "answers by the CPU model, which is not the host's"
        case .vmcall, .vmmcall: "leaves to the hypervisor that the host may run under"
        case .sgdt, .sidt, .sldt, .str, .smsw: "Linux emulates it where UMIP forbids it"
        case .wrfsbase: "takes the host thread's thread-local storage away"
        case .rdpkru, .wrpkru: "protection keys are the host's own"
        case .xbegin, .xend, .xabort, .xtest: "transactions, which no CPU model has"
        default: nil
        }
    }

    /// What must not stand in a sequence, as it needs prepared memory, ends the code, or changes what later instructions mean.
    static func isAlone(_ row: OpcodeRow) -> Bool {
        if row.endsBlock || row.sensitivity != .innocuous { return true }
        switch row.operation {
        case .fxsave, .fxrstor, .xsave, .xsaveopt, .xsavec, .xsaves, .xrstor, .xrstors, .fldenv, .frstor, .fnstenv,
            .fnsave,
            .ldmxcsr, .vldmxcsr, .ud0, .ud1, .ud2, .enter, .leave, .maskmovq,
            .maskmovdqu, .vmaskmovdqu:
            return true
        default: return false
        }
    }
}
