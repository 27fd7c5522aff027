import Engine
import X86
import X86Decoder

extension Core {
    /// CLI (SDM 2A table 3-8).
    func clearInterrupts() throws(Fault) {
        let s = state
        let flags = s.systemFlags
        let iopl = flags >> 12 & 3
        if s.mode == .real || UInt64(s.cpl) <= iopl {
            s.systemFlags = flags & ~RFlags.interruptEnable
        } else if usesVirtualInterrupts {
            s.systemFlags = flags & ~RFlags.vif
        } else {
            throw .generalProtection()
        }
    }

    /// STI (SDM 2B table 4-19).
    ///
    /// Interrupts wait for one more instruction.
    func setInterrupts() throws(Fault) {
        let s = state
        let flags = s.systemFlags
        let iopl = flags >> 12 & 3
        if s.mode == .real || UInt64(s.cpl) <= iopl {
            guard flags & RFlags.interruptEnable == 0 else { return }
            s.systemFlags = flags | RFlags.interruptEnable
            s.interruptShadow = 1
        } else if usesVirtualInterrupts, flags & RFlags.vip == 0 {
            s.systemFlags = flags | RFlags.vif
        } else {
            throw .generalProtection()
        }
        leaveBlock()
    }

    /// CLI and STI change VIF: virtual-8086 mode with CR4.VME, or CPL 3 with CR4.PVI.
    private var usesVirtualInterrupts: Bool {
        let s = state
        return s.mode == .virtual8086 ? s.cr4 & CR4.vme != 0 : s.cpl == 3 && s.cr4 & CR4.pvi != 0
    }

    /// HLT.
    func halt() throws(Fault) {
        try requirePrivilege()
        state.activity = .halted
        leaveBlock()
    }

    /// STAC and CLAC.
    func setAlignmentCheck(_ value: Bool) throws(Fault) {
        let s = state
        guard services.model.features.contains(.smap), s.cpl == 0 else { throw .invalidOpcode }
        if value { s.systemFlags |= RFlags.ac } else { s.systemFlags &= ~RFlags.ac }
        selectTLB()
    }

    /// XGETBV.
    ///
    /// With ECX = 1 every enabled component counts as in use.
    func readExtendedControl() throws(Fault) {
        let s = state
        guard s.cr4 & CR4.osxsave != 0 else { throw .invalidOpcode }
        let index = UInt32(truncatingIfNeeded: s.rcx)
        guard index == 0 || index == 1 && services.model.features.contains(.xsavec) else { throw .generalProtection() }
        s.rax = s.xcr0 & 0xFFFF_FFFF
        s.rdx = s.xcr0 >> 32
    }

    /// XSETBV.
    func writeExtendedControl() throws(Fault) {
        let s = state
        guard s.cr4 & CR4.osxsave != 0 else { throw .invalidOpcode }
        try requirePrivilege()
        let value = s.rdx << 32 | s.rax & 0xFFFF_FFFF
        guard UInt32(truncatingIfNeeded: s.rcx) == 0, value & 1 != 0, value & ~services.model.supportedXCR0 == 0,
            value & 6 != 4
        else { throw .generalProtection() }
        s.xcr0 = value
        leaveBlock()
    }

    /// RDTSC, and the first half of RDTSCP.
    func readTimestamp() throws(Fault) {
        let s = state
        guard s.cr4 & CR4.tsd == 0 || s.cpl == 0 else { throw .generalProtection() }
        let value = timestamp
        s.rax = value & 0xFFFF_FFFF
        s.rdx = value >> 32
    }

    /// RDTSCP.
    func readTimestampAndProcessor() throws(Fault) {
        guard services.model.features.contains(.rdtscp) else { throw .invalidOpcode }
        try readTimestamp()
        state.rcx = state.tscAux & 0xFFFF_FFFF
    }

    /// RDPID.
    func readProcessor(_ i: Instruction) throws(Fault) {
        guard services.model.features.contains(.rdpid) else { throw .invalidOpcode }
        writeGeneral(i.pointee.operands.0.number, state.tscAux & 0xFFFF_FFFF, 8)
    }

    /// CPUID.
    func identify() {
        let s = state
        let base = services.controller.readRegister(0x1B) ?? 1 << 11
        let context = CPUIDContext(
            apicID: UInt32(truncatingIfNeeded: services.identifier),
            cpuCount: UInt32(truncatingIfNeeded: services.cpuCount),
            xcr0: s.xcr0,
            cr4: s.cr4,
            isAPICEnabled: base >> 11 & 1 != 0,
            timestampFrequency: services.clock.timestampFrequency
        )
        let result = services.model.cpuid(
            leaf: UInt32(truncatingIfNeeded: s.rax),
            subleaf: UInt32(truncatingIfNeeded: s.rcx),
            context: context
        )
        s.rax = UInt64(result.eax)
        s.rbx = UInt64(result.ebx)
        s.rcx = UInt64(result.ecx)
        s.rdx = UInt64(result.edx)
    }

    /// MONITOR, MWAIT, where the model has them: MWAIT waits as HLT does.
    func monitor(waits: Bool) throws(Fault) {
        guard services.model.features.contains(.monitor) else { throw .invalidOpcode }
        guard state.cpl == 0 else { throw .invalidOpcode }
        if waits { try halt() }
    }

    /// VMCALL: no hypercall of the KVM interface is offered.
    func hypercall() {
        // -EPERM from user mode, -KVM_ENOSYS from the kernel.
        state.rax = state.cpl == 0 ? UInt64(bitPattern: -1000) : UInt64(bitPattern: -1)
    }
}
