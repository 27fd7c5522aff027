import X86
import X86Decoder

// The flat segments that SYSCALL, SYSRET, SYSENTER and SYSEXIT load without looking at a table.
private enum FlatSegment {
    static func code(_ selector: UInt16, level: UInt16, isLong: Bool) -> Segment {
        Segment(base: 0, limit: .max, attributes: (isLong ? 0xA09B : 0xC09B) | level << 5, selector: selector)
    }
    static func stack(_ selector: UInt16, level: UInt16) -> Segment {
        Segment(base: 0, limit: .max, attributes: 0xC093 | level << 5, selector: selector)
    }
}

extension Core {
    /// SYSCALL and SYSRET exist outside 64-bit mode only on AMD's CPUs.
    private var hasCompatibilitySystemCalls: Bool { services.model.vendor == "AuthenticAMD" }

    /// SYSCALL (SDM 2B, APM 3).
    func systemCall() throws(Fault) {
        let s = state
        guard s.efer & EFER.systemCallExtensions != 0 else { throw .invalidOpcode }
        let is64 = s.mode == .long64
        guard is64 || hasCompatibilitySystemCalls && s.mode.isLong else { throw .invalidOpcode }
        let flags = s.rflags
        s.rcx = s.rip
        s[11] = flags & ~RFlags.rf
        s.rip = is64 ? s.lstar : s.cstar
        s.rflags = flags & ~(s.fmask | RFlags.rf)
        let selector = UInt16(truncatingIfNeeded: s.star >> 32) & 0xFFFC
        s[.cs] = FlatSegment.code(selector, level: 0, isLong: true)
        s[.ss] = FlatSegment.stack(selector &+ 8, level: 0)
        s.cpl = 0
        if flags & RFlags.tf != 0, s.systemFlags & RFlags.tf == 0 { s[byte: SystemLayout.dropsTrace] = 1 }
        if !is64 { s.updateMode() }
        selectTLB()
        leaveBlock()
    }

    /// SYSRET.
    func systemReturn(_ i: Instruction) throws(Fault) {
        let s = state
        guard s.efer & EFER.systemCallExtensions != 0, s.mode == .long64 || hasCompatibilitySystemCalls && s.mode.isLong
        else {
            throw .invalidOpcode
        }
        try requirePrivilege()
        let to64 = i.pointee.prefixes.contains(.rexW)
        let target = to64 ? s.rcx : s.rcx & 0xFFFF_FFFF
        guard isCanonical(target) else { throw .generalProtection() }
        let base = UInt16(truncatingIfNeeded: s.star >> 48)
        s.rip = target
        s.rflags = s[11] & ~(RFlags.rf | RFlags.vm)
        s[.cs] = FlatSegment.code((to64 ? base &+ 16 : base) | 3, level: 3, isLong: to64)
        s[.ss] = FlatSegment.stack((base &+ 8) | 3, level: 3)
        s.cpl = 3
        if !to64 || s.mode != .long64 { s.updateMode() }
        selectTLB()
        leaveBlock()
    }

    /// SYSENTER.
    func systemEnter() throws(Fault) {
        let s = state
        let selector = UInt16(truncatingIfNeeded: s.sysenterCS) & 0xFFFC
        guard s.mode != .real, selector != 0 else { throw .generalProtection() }
        let isLong = s.efer & EFER.longModeActive != 0
        s.systemFlags &= ~(RFlags.vm | RFlags.interruptEnable | RFlags.rf)
        s.rsp = isLong ? s.sysenterESP : s.sysenterESP & 0xFFFF_FFFF
        s.rip = isLong ? s.sysenterEIP : s.sysenterEIP & 0xFFFF_FFFF
        s[.cs] = FlatSegment.code(selector, level: 0, isLong: isLong)
        s[.ss] = FlatSegment.stack(selector &+ 8, level: 0)
        s.cpl = 0
        modeChanged()
    }

    /// SYSEXIT.
    func systemExit(_ i: Instruction) throws(Fault) {
        let s = state
        let selector = UInt16(truncatingIfNeeded: s.sysenterCS) & 0xFFFC
        guard s.mode != .real, s.mode != .virtual8086, selector != 0, s.cpl == 0 else { throw .generalProtection() }
        let to64 = s.mode == .long64 && i.pointee.prefixes.contains(.rexW)
        if to64 { guard isCanonical(s.rcx), isCanonical(s.rdx) else { throw .generalProtection() } }
        let mask: UInt64 = to64 ? .max : 0xFFFF_FFFF
        s.rsp = s.rcx & mask
        s.rip = s.rdx & mask
        s[.cs] = FlatSegment.code((selector &+ (to64 ? 32 : 16)) | 3, level: 3, isLong: to64)
        s[.ss] = FlatSegment.stack((selector &+ (to64 ? 40 : 24)) | 3, level: 3)
        s.cpl = 3
        modeChanged()
    }

    /// SWAPGS.
    func swapGSBase() throws(Fault) {
        let s = state
        guard s.mode == .long64 else { throw .invalidOpcode }
        try requirePrivilege()
        var segment = s[.gs]
        let other = s.kernelGSBase
        s.kernelGSBase = segment.base
        segment.base = other
        s[.gs] = segment
        setEffectiveBase(.gs)
    }

    /// RDFSBASE and RDGSBASE.
    func readBase(_ i: Instruction, _ register: SegmentRegister) throws(Fault) {
        guard state.mode == .long64, state.cr4 & CR4.fsgsbase != 0 else { throw .invalidOpcode }
        writeGeneral(i.pointee.operands.0.number, state[register].base, Int(i.pointee.operandByteCount))
    }

    /// WRFSBASE and WRGSBASE.
    func writeBase(_ i: Instruction, _ register: SegmentRegister) throws(Fault) {
        guard state.mode == .long64, state.cr4 & CR4.fsgsbase != 0 else { throw .invalidOpcode }
        var value = state[i.pointee.operands.0.number]
        if i.pointee.operandByteCount == 4 { value &= 0xFFFF_FFFF }
        guard isCanonical(value) else { throw .generalProtection() }
        setBase(register, value)
    }

    func setBase(_ register: SegmentRegister, _ base: UInt64) {
        var segment = state[register]
        segment.base = base
        state[register] = segment
        setEffectiveBase(register)
    }
}
