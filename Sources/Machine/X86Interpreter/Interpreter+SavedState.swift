import CLinux
public import Engine
public import MachineState
import Synchronization
import X86

extension Interpreter.Pending {
    /// The events that are part of a vCPU's state.
    static let saved = interrupt | nonMaskable | initialize | startUp
}

extension Interpreter: SaveableCPU {
    public func settle() -> VMExit? {
        if let write = services.takePosted() { return write }
        guard services.hasAnswers else {
            services.yields = false
            return nil
        }
        core.step()
        return services.takeNeededRead() ?? services.takePosted()
    }

    public var stateName: String { "cpu" }
    public var stateVersion: UInt16 { 1 }

    /// Translations and decoded code are no state: they are made again.
    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        guard !services.hasAnswers, !services.hasPosted else {
            throw .cannotSave("an instruction waits for a device")
        }
        let s = core.state
        for index in 0..<16 { encoder.encode(s[index]) }
        encoder.encode(s.rip)
        encoder.encode(s.rflags)
        encoder.encode(s.instructionCount)
        encoder.encode(s.cpl)
        encoder.encode(s.interruptShadow)
        encoder.encode(s.activity.rawValue)
        for register in SegmentRegister.allCases {
            let segment = s[register]
            encoder.encode(segment.base)
            encoder.encode(segment.limit)
            encoder.encode(segment.attributes)
            encoder.encode(segment.selector)
        }
        for value in [s.gdtBase, s.idtBase, UInt64(s.gdtLimit), UInt64(s.idtLimit)] { encoder.encode(value) }
        for value in [s.cr0, s.cr2, s.cr3, s.cr4, s.xcr0] { encoder.encode(value) }
        for index in 0..<8 { encoder.encode(s.debugRegister(index)) }
        for register in Self.modelSpecific { encoder.encode(s[field: register.offset]) }
        for index in 0..<4 { encoder.encode(s[field: Layout.pdptes + index * 8]) }
        encoder.encodeFixed(UnsafeRawBufferPointer(start: s.xsaveArea, count: StateComponent.byteCount))
        encoder.encode(core.nonMaskableBlocked)
        let msrs = services.msrs
        encoder.encode(msrs.memoryTypeDefault)
        for value in msrs.memoryTypeVariable + msrs.memoryTypeFixed { encoder.encode(value) }
        for value in [msrs.systemTime, msrs.wallClock, msrs.debugControl, msrs.machineCheckStatus] {
            encoder.encode(value)
        }
        encoder.encode(clinux_atomic_load(pending) & Pending.saved)
        encoder.encode(mailbox.withLock { $0.startUpVector })
    }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        let s = core.state
        for index in 0..<16 { s[index] = try decoder.decode(UInt64.self, "general register \(index)") }
        s.rip = try decoder.decode(UInt64.self, "RIP")
        s.rflags = try decoder.decode(mask: RFlags.defined, "RFLAGS")
        s.instructionCount = try decoder.decode(in: 0...(UInt64.max >> 1), "number of instructions")
        s.cpl = try decoder.decode(in: UInt8(0)...3, "CPL")
        s.interruptShadow = try decoder.decode(in: UInt8(0)...2, "interrupt shadow")
        let activityNumber = try decoder.decode(UInt8.self, "activity")
        guard let activity = Activity(rawValue: activityNumber) else {
            throw .badValue(field: "activity", value: "\(activityNumber)")
        }
        s.activity = activity
        for register in SegmentRegister.allCases {
            s[register] = Segment(
                base: try decoder.decode(UInt64.self, "base of \(register)"),
                limit: try decoder.decode(UInt32.self, "limit of \(register)"),
                attributes: try decoder.decode(UInt16.self, "attributes of \(register)"),
                selector: try decoder.decode(UInt16.self, "selector of \(register)")
            )
        }
        s.gdtBase = try decoder.decode(UInt64.self, "base of GDTR")
        s.idtBase = try decoder.decode(UInt64.self, "base of IDTR")
        s.gdtLimit = UInt32(truncatingIfNeeded: try decoder.decode(mask: UInt64(0xFFFF), "limit of GDTR"))
        s.idtLimit = UInt32(truncatingIfNeeded: try decoder.decode(mask: UInt64(0xFFFF), "limit of IDTR"))
        s.cr0 = try decoder.decode(mask: Core.cr0Defined, "CR0")
        s.cr2 = try decoder.decode(UInt64.self, "CR2")
        s.cr3 = try decoder.decode(UInt64.self, "CR3")
        s.cr4 = try decoder.decode(mask: core.cr4Defined, "CR4")
        s.xcr0 = try decoder.decode(mask: StateComponent.x87 | StateComponent.sse | StateComponent.avx, "XCR0")
        for index in 0..<8 { s.setDebugRegister(index, try decoder.decode(UInt64.self, "DR\(index)")) }
        for register in Self.modelSpecific {
            s[field: register.offset] = try decoder.decode(mask: register.mask, register.name)
        }
        for index in 0..<4 { s[field: Layout.pdptes + index * 8] = try decoder.decode(UInt64.self, "PDPTE \(index)") }
        try checkMode()
        try checkAddresses()
        try loadVectors(from: &decoder)
        core.nonMaskableBlocked = try decoder.decode(Bool.self, "NMI block")
        try loadColdRegisters(from: &decoder)
        let events = try decoder.decode(mask: Pending.saved, "pending events")
        let vector = try decoder.decode(UInt8.self, "start-up vector")
        mailbox.withLock { $0.startUpVector = vector }
        // Whether an interrupt can be delivered is asked again: its controller has saved that.
        clinux_atomic_or(pending, events | Pending.interrupt)
        services.forgetAnswers()
        stateChanged()
    }

    /// What no load of control registers lets stand together (SDM 3A §2.5, §4.1, §9.8.5).
    private func checkMode() throws(StateFault) {
        let s = core.state
        let isPaging = s.cr0 & CR0.paging != 0
        let isProtected = s.cr0 & CR0.protectionEnable != 0
        guard isProtected || !isPaging else { throw .badValue(field: "CR0", value: "paging without protection") }
        let isLong = s.efer & EFER.longModeActive != 0
        guard isLong == (isPaging && s.efer & EFER.longModeEnable != 0), !isLong || s.cr4 & CR4.pae != 0 else {
            throw .badValue(field: "EFER", value: "0x" + String(s.efer, radix: 16))
        }
        guard isProtected || s.cpl == 0 else { throw .badValue(field: "CPL", value: "\(s.cpl) without protection") }
        guard s.systemFlags & RFlags.vm == 0 || isProtected && !isLong && s.cpl == 3 else {
            throw .badValue(field: "RFLAGS", value: "virtual-8086 mode here")
        }
        let addresses = UInt64(1) << Core.physicalAddressBits - 1
        guard s.cr3 & ~addresses == 0 else { throw .badValue(field: "CR3", value: "0x" + String(s.cr3, radix: 16)) }
    }

    /// What WRMSR and loads of descriptor tables take only in canonical form.
    private func checkAddresses() throws(StateFault) {
        let s = core.state
        let addresses = [
            ("IA32_LSTAR", s.lstar), ("IA32_CSTAR", s.cstar), ("IA32_KERNEL_GS_BASE", s.kernelGSBase),
            ("IA32_SYSENTER_ESP", s.sysenterESP), ("IA32_SYSENTER_EIP", s.sysenterEIP),
            ("base of GDTR", s.gdtBase), ("base of IDTR", s.idtBase),
        ]
        for (name, address) in addresses + SegmentRegister.allCases.map({ ("base of \($0)", s[$0].base) })
        where UInt64(bitPattern: Int64(bitPattern: address << 16) >> 16) != address {
            throw .badValue(field: name, value: "0x" + String(address, radix: 16))
        }
    }

    /// The XSAVE area: its control words are loaded into the host's own registers.
    private func loadVectors(from decoder: inout StateDecoder) throws(StateFault) {
        let bytes = try decoder.decodeFixed(StateComponent.byteCount, "x87 and vector registers")
        UnsafeMutableRawBufferPointer(start: core.state.xsaveArea, count: bytes.count).copyBytes(from: bytes)
        let mxcsr = core.state.mxcsr
        guard mxcsr & 0xFFFF_0000 == 0 else {
            throw .badValue(field: "MXCSR", value: "0x" + String(mxcsr, radix: 16))
        }
        core.x87Control = core.x87Control & 0x1F7F | 0x40
        core.updateX87Summary()
    }

    private func loadColdRegisters(from decoder: inout StateDecoder) throws(StateFault) {
        var msrs = MSRFile()
        msrs.memoryTypeDefault = try decoder.decode(mask: 0xCFF, "IA32_MTRR_DEF_TYPE")
        for index in msrs.memoryTypeVariable.indices {
            msrs.memoryTypeVariable[index] = try decoder.decode(UInt64.self, "variable MTRR \(index)")
        }
        for index in msrs.memoryTypeFixed.indices {
            msrs.memoryTypeFixed[index] = try decoder.decode(UInt64.self, "fixed MTRR \(index)")
        }
        msrs.systemTime = try decoder.decode(UInt64.self, "MSR_KVM_SYSTEM_TIME")
        msrs.wallClock = try decoder.decode(UInt64.self, "MSR_KVM_WALL_CLOCK")
        msrs.debugControl = try decoder.decode(mask: 3, "IA32_DEBUGCTL")
        msrs.machineCheckStatus = try decoder.decode(mask: 7, "IA32_MCG_STATUS")
        services.msrs = msrs
    }

    /// The registers at 0x208 and on in ``CPUState``, with the bits that they can have.
    private static let modelSpecific: [(name: String, offset: Int, mask: UInt64)] = [
        (
            "EFER", 0x208,
            EFER.systemCallExtensions | EFER.longModeEnable | EFER.longModeActive | EFER.noExecuteEnable
        ),
        ("IA32_STAR", 0x210, .max), ("IA32_LSTAR", 0x218, .max), ("IA32_CSTAR", 0x220, .max),
        ("IA32_FMASK", 0x228, .max), ("IA32_KERNEL_GS_BASE", 0x230, .max), ("IA32_SYSENTER_CS", 0x238, .max),
        ("IA32_SYSENTER_ESP", 0x240, .max), ("IA32_SYSENTER_EIP", 0x248, .max), ("IA32_PAT", 0x250, .max),
        ("IA32_TSC_AUX", 0x258, 0xFFFF_FFFF), ("IA32_MISC_ENABLE", 0x260, .max), ("TSC offset", 0x268, .max),
        ("IA32_TSC_ADJUST", 0x270, .max),
    ]
}
