import Engine
import X86
import X86Decoder

extension Core {
    /// The bits of CR0 that can be set; ET always reads as 1.
    static let cr0Defined =
        CR0.protectionEnable | CR0.monitorCoprocessor | CR0.emulation | CR0.taskSwitched | CR0.extensionType
        | CR0.numericError
        | CR0.writeProtect | CR0.alignmentMask | CR0.notWriteThrough | CR0.cacheDisable | CR0.paging

    /// MOV r, CRn.
    func moveFromControl(_ i: Instruction) throws(Fault) {
        let s = state
        let value: UInt64
        switch i.pointee.operands.1.number {
        case 0:
            try requirePrivilege()
            value = s.cr0
        case 2:
            try requirePrivilege()
            value = s.cr2
        case 3:
            try requirePrivilege()
            value = s.cr3
        case 4:
            try requirePrivilege()
            value = s.cr4
        case 8:
            try requirePrivilege()
            value = UInt64(services.controller.taskPriority & 15)
        default: throw .invalidOpcode
        }
        writeGeneral(i.pointee.operands.0.number, value, s.mode == .long64 ? 8 : 4)
    }

    /// MOV CRn, r.
    func moveToControl(_ i: Instruction) throws(Fault) {
        let s = state
        let number = i.pointee.operands.0.number
        guard [0, 2, 3, 4, 8].contains(number) else { throw .invalidOpcode }
        try requirePrivilege()
        let value = s.mode == .long64 ? s[i.pointee.operands.1.number] : s[i.pointee.operands.1.number] & 0xFFFF_FFFF
        switch number {
        case 0: try setCR0(value)
        case 2: s.cr2 = value
        case 3: try setCR3(value)
        case 4: try setCR4(value)
        default:
            guard value <= 15 else { throw .generalProtection() }
            services.controller.taskPriority = UInt8(value)
        }
        leaveBlock()
    }

    /// Changes CR0 with all its effects on mode and paging (SDM 3A §2.5, §9.8.5).
    func setCR0(_ value: UInt64) throws(Fault) {
        let s = state
        let old = s.cr0
        guard value >> 32 == 0 else { throw .generalProtection() }
        let new = value & Self.cr0Defined | CR0.extensionType
        let pages = new & CR0.paging != 0
        if pages, new & CR0.protectionEnable == 0 { throw .generalProtection() }
        if new & CR0.notWriteThrough != 0, new & CR0.cacheDisable == 0 { throw .generalProtection() }
        var efer = s.efer
        if pages, old & CR0.paging == 0 {
            if efer & EFER.longModeEnable != 0 {
                guard s.cr4 & CR4.pae != 0, !s[.cs].isLong else { throw .generalProtection() }
                efer |= EFER.longModeActive
            } else if s.cr4 & CR4.pae != 0 {
                guard loadPageDirectoryPointers(s.cr3) else { throw .generalProtection() }
            }
        } else if !pages, old & CR0.paging != 0 {
            guard s.mode != .long64, s.cr4 & CR4.pcide == 0 else { throw .generalProtection() }
            efer &= ~EFER.longModeActive
        }
        s.efer = efer
        s.cr0 = new
        if (old ^ new) & CR0.protectionEnable != 0 { s.cpl = 0 }
        if (old ^ new) & (CR0.protectionEnable | CR0.paging | CR0.writeProtect) != 0 { flushTLB() }
        modeChanged()
    }

    /// Changes CR3 and forgets what that forgets.
    ///
    /// With CR4.PCIDE bit 63 keeps translations; ours carry no PCID, so that only a load of the same CR3 can keep them.
    func setCR3(_ value: UInt64) throws(Fault) {
        let s = state
        var new = value
        var keeps = false
        if s.efer & EFER.longModeActive != 0 {
            if s.cr4 & CR4.pcide != 0 {
                keeps = new >> 63 != 0
                new &= ~(1 << 63)
            }
            guard new >> Self.physicalAddressBits == 0 else { throw .generalProtection() }
        } else if s.cr0 & CR0.paging != 0, s.cr4 & CR4.pae != 0 {
            guard loadPageDirectoryPointers(new) else { throw .generalProtection() }
        }
        let isSame = s.cr3 == new
        s.cr3 = new
        if !(keeps && isSame) { flushTLBKeepingGlobal() }
    }

    /// The bits of CR4 that the model lets a guest set.
    var cr4Defined: UInt64 {
        let features = services.model.features
        let platform = services.model.platform
        var bits: UInt64 = 0
        if platform.contains(.virtual8086Extensions) { bits |= CR4.vme | CR4.pvi }
        if platform.contains(.timestamp) { bits |= CR4.tsd }
        if platform.contains(.debuggingExtensions) { bits |= CR4.de }
        if platform.contains(.pageSizeExtension) { bits |= CR4.pse }
        if platform.contains(.physicalAddressExtension) { bits |= CR4.pae }
        if platform.contains(.machineCheckException) { bits |= CR4.mce }
        if platform.contains(.globalPages) { bits |= CR4.pge }
        if features.contains(.mmx) { bits |= CR4.pce }
        if features.contains(.fxsr) { bits |= CR4.osfxsr }
        if features.contains(.sse) { bits |= CR4.osxmmexcpt }
        if features.contains(.umip) { bits |= CR4.umip }
        if features.contains(.fsgsbase) { bits |= CR4.fsgsbase }
        if features.contains(.pcid) { bits |= CR4.pcide }
        if features.contains(.xsave) { bits |= CR4.osxsave }
        if features.contains(.smep) { bits |= CR4.smep }
        if features.contains(.smap) { bits |= CR4.smap }
        return bits
    }

    /// Changes CR4 (SDM 3A §2.5).
    func setCR4(_ value: UInt64) throws(Fault) {
        let s = state
        let old = s.cr4
        guard value & ~cr4Defined == 0 else { throw .generalProtection() }
        let changed = old ^ value
        let isLongMode = s.efer & EFER.longModeActive != 0
        if isLongMode, value & CR4.pae == 0 { throw .generalProtection() }
        if value & CR4.pcide != 0, old & CR4.pcide == 0 {
            guard isLongMode, s.cr3 & 0xFFF == 0 else { throw .generalProtection() }
        }
        if !isLongMode, s.cr0 & CR0.paging != 0, value & CR4.pae != 0,
            changed & (CR4.pae | CR4.pge | CR4.pse | CR4.smep) != 0
        {
            guard loadPageDirectoryPointers(s.cr3) else { throw .generalProtection() }
        }
        s.cr4 = value
        if changed & (CR4.pse | CR4.pae | CR4.pge | CR4.pcide | CR4.smep | CR4.smap) != 0 { flushTLB() }
        leaveBlock()
    }

    /// Loads the four entries of PAE paging from the table that CR3 value `cr3` names (SDM 3A §4.4.1).
    ///
    /// - Returns: false, with nothing loaded, where a present entry has a reserved bit set: #GP(0).
    func loadPageDirectoryPointers(_ cr3: UInt64) -> Bool {
        let base = cr3 & 0xFFFF_FFE0
        let reserved = ~((1 << Self.physicalAddressBits) &- 1) | 0x1E6 as UInt64
        var entries: [UInt64] = []
        for index in 0..<4 {
            let entry = loadPhysical64(base &+ UInt64(index) * 8)
            if entry & PageBits.present != 0, entry & reserved != 0 { return false }
            entries.append(entry)
        }
        for (index, entry) in entries.enumerated() { state[field: Layout.pdptes + index * 8] = entry }
        return true
    }

    /// LMSW: the low four bits of CR0; PE can be set but not cleared.
    func loadMachineStatusWord(_ i: Instruction) throws(Fault) {
        try requirePrivilege()
        let value = UInt64(try word(i, i.pointee.operands.0)) & 15
        let old = state.cr0
        try setCR0(old & ~14 | value | old & CR0.protectionEnable)
    }

    /// INVPCID (SDM 2A).
    ///
    /// Only translations of the current PCID are ever cached, and global ones.
    func invalidateProcessContext(_ i: Instruction) throws(Fault) {
        let s = state
        guard services.model.features.contains(.invpcid) else { throw .invalidOpcode }
        guard s.mode != .virtual8086 else { throw .generalProtection() }
        try requirePrivilege()
        let register = s[i.pointee.operands.0.number]
        let type = s.mode == .long64 ? register : register & 0xFFFF_FFFF
        let linear = try linearAddress(i, 16, write: false)
        let context = try load(UInt64.self, linear)
        let address = try load(UInt64.self, wrapLinear(linear &+ 8))
        guard type <= 3, context >> 12 == 0 else { throw .generalProtection() }
        if type <= 1, s.cr4 & CR4.pcide == 0, context != 0 { throw .generalProtection() }
        switch type {
        case 0:
            guard isCanonical(address) else { throw .generalProtection() }
            flushTLB(page: address)
        case 1: if context == s.cr3 & 0xFFF || s.cr4 & CR4.pcide == 0 { flushTLBKeepingGlobal() }
        case 2: flushTLB()
        default: flushTLBKeepingGlobal()
        }
        leaveBlock()
    }

    /// INVLPG; a non-canonical address is ignored.
    func invalidatePage(_ i: Instruction) throws(Fault) {
        try requirePrivilege()
        let base = state.effectiveBase(Int(i.pointee.segment))
        let linear = wrapLinear(effectiveOffset(i) &+ base)
        if isCanonical(linear) { flushTLB(page: linear) }
        leaveBlock()
    }
}
