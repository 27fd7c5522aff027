import X86

extension Core {
    /// The state after power-up or RESET (SDM 3A table 9-1).
    func resetRegisters() {
        let s = state
        initializeRegisters()
        s.xcr0 = 1
        s.efer = 0
        s.pat = 0x0007_0406_0007_0406
        s.miscEnable = 1
        s.star = 0
        s.lstar = 0
        s.cstar = 0
        s.fmask = 0
        s.kernelGSBase = 0
        s.sysenterCS = 0
        s.sysenterESP = 0
        s.sysenterEIP = 0
        s.tscAux = 0
        s.tscOffset = 0
        s.tscAdjust = 0
        s.instructionCount = 0
        services.msrs = MSRFile()
        resetVectorState()
    }

    /// The state after INIT: what RESET changes, but for the MSRs and the x87 and vector state (SDM 3A table 9-1).
    func initializeRegisters() {
        let s = state
        for index in 0..<16 { s[index] = 0 }
        s.rdx = UInt64(services.model.signature)
        s.rip = 0xFFF0
        s.rflags = 2
        s.cr0 = CR0.extensionType | s.cr0 & (CR0.cacheDisable | CR0.notWriteThrough)
        s.cr2 = 0
        s.cr3 = 0
        s.cr4 = 0
        s.efer &= EFER.systemCallExtensions | EFER.noExecuteEnable
        for index in 0..<4 { s.setDebugRegister(index, 0) }
        s.setDebugRegister(6, 0xFFFF_0FF0)
        s.setDebugRegister(7, 0x400)
        let data = Segment(base: 0, limit: 0xFFFF, attributes: 0x93, selector: 0)
        for register in [SegmentRegister.es, .ss, .ds, .fs, .gs] { s[register] = data }
        s[.cs] = Segment(base: 0xFFFF_0000, limit: 0xFFFF, attributes: 0x9B, selector: 0xF000)
        s[.ldtr] = Segment(base: 0, limit: 0xFFFF, attributes: 0x82, selector: 0)
        s[.tr] = Segment(base: 0, limit: 0xFFFF, attributes: 0x8B, selector: 0)
        s.gdtBase = 0
        s.gdtLimit = 0xFFFF
        s.idtBase = 0
        s.idtLimit = 0xFFFF
        s.cpl = 0
        s.interruptShadow = 0
        nonMaskableBlocked = false
        services.forgetAnswers()
        s.updateMode()
        selectTLB()
        flushTLB()
    }

    /// Starts in real mode at `vector` · 4096 (SDM 3A §8.4.3).
    func startUp(vector: UInt8) {
        let s = state
        s[.cs] = Segment(base: UInt64(vector) << 12, limit: 0xFFFF, attributes: 0x9B, selector: UInt16(vector) << 8)
        s.rip = 0
        s.activity = .active
        s.updateMode()
    }

    /// NMIs are held back, from the delivery of one to the next IRET.
    var nonMaskableBlocked: Bool {
        get { state[byte: Layout.nonMaskableBlocked] != 0 }
        nonmutating set { state[byte: Layout.nonMaskableBlocked] = newValue ? 1 : 0 }
    }
}
