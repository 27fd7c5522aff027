public import X86

/// The state in which the first vCPU starts; all that is not named here is as after reset.
public struct BootEntry: Hashable, Sendable {
    public enum Mode: Sendable {
        /// Real mode at the reset vector F000:FFF0, base 0xFFFF0000 (SDM 3A §10.1.4).
        case real
        /// Protected mode, flat 4 GiB segments, no paging.
        case protected32
        /// 64-bit mode with the low 4 GiB identity-mapped.
        case long64
    }

    public var mode: Mode
    public var rip: UInt64
    public var rax: UInt64 = 0
    public var rbx: UInt64 = 0
    public var rsi: UInt64 = 0
    /// The root of the page tables; 0 without paging.
    public var cr3: UInt64 = 0
    /// The linear address of the GDT.
    public var gdtBase: UInt64 = 0

    public init(mode: Mode, rip: UInt64) {
        self.mode = mode
        self.rip = rip
    }

    /// Where a CPU starts after reset.
    public static var resetVector: BootEntry { BootEntry(mode: .real, rip: 0xFFF0) }

    /// Puts a vCPU that was just reset into this state.
    ///
    /// RDX keeps what the reset left there: it names the CPU's model.
    public func apply(to state: CPUState) {
        for index in 0..<16 where index != 2 { state[index] = 0 }
        state.rip = rip
        state.rax = rax
        state.rbx = rbx
        state.rsi = rsi
        state.rflags = 2
        state.cr2 = 0
        state.cr3 = cr3
        state.idtBase = 0
        state.idtLimit = mode == .real ? 0xFFFF : 0
        let reset = CR0.extensionType
        switch mode {
        case .real:
            state.cr0 = reset | CR0.notWriteThrough | CR0.cacheDisable
            state.cr4 = 0
            state.efer = 0
            state.gdtBase = 0
            state.gdtLimit = 0xFFFF
            state[.cs] = Segment(base: 0xFFFF_0000, limit: 0xFFFF, attributes: 0x9B, selector: 0xF000)
            setData(of: state, Segment(base: 0, limit: 0xFFFF, attributes: 0x93, selector: 0))
            state[.tr] = Segment(base: 0, limit: 0xFFFF, attributes: 0x8B, selector: 0)
            state[.ldtr] = Segment(base: 0, limit: 0xFFFF, attributes: 0x82, selector: 0)
        case .protected32, .long64:
            let isLong = mode == .long64
            state.cr0 = reset | CR0.protectionEnable | (isLong ? CR0.paging | CR0.numericError : 0)
            state.cr4 = isLong ? CR4.pae : 0
            state.efer = isLong ? EFER.longModeEnable | EFER.longModeActive : 0
            state.gdtBase = gdtBase
            state.gdtLimit = UInt32(LowMemory.gdtByteCount - 1)
            state[.cs] = Segment(
                base: 0,
                limit: .max,
                attributes: isLong ? 0xA09B : 0xC09B,
                selector: LowMemory.codeSelector
            )
            setData(of: state, Segment(base: 0, limit: .max, attributes: 0xC093, selector: LowMemory.dataSelector))
            state[.tr] = Segment(base: 0, limit: 0x67, attributes: 0x8B, selector: LowMemory.taskSelector)
            state[.ldtr] = Segment(base: 0, limit: 0, attributes: 0, selector: 0)
        }
        state.cpl = 0
        state.updateMode()
        state.activity = .active
        state.interruptShadow = 0
    }

    private func setData(of state: CPUState, _ segment: Segment) {
        for register in [SegmentRegister.ds, .es, .ss, .fs, .gs] { state[register] = segment }
    }
}
