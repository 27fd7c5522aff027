import Engine
import X86

// RDMSR and WRMSR (SDM 4). An MSR that does not exist raises #GP(0), and is counted.
extension Core {
    func readModelSpecific() throws(Fault) {
        try requirePrivilege()
        let s = state
        let value = try readMSR(UInt32(truncatingIfNeeded: s.rcx))
        s.rax = value & 0xFFFF_FFFF
        s.rdx = value >> 32
    }

    func writeModelSpecific() throws(Fault) {
        try requirePrivilege()
        let s = state
        try writeMSR(UInt32(truncatingIfNeeded: s.rcx), s.rdx << 32 | s.rax & 0xFFFF_FFFF)
    }

    private func unknownMSR() -> Fault {
        services.msrs.unknownAccessCount &+= 1
        return .generalProtection()
    }

    /// The time-stamp counter as the guest sees it.
    var timestamp: UInt64 { services.clock.timestamp &+ state.tscOffset }

    /// What IA32_MISC_ENABLE always says: fast strings, no BTS, no PEBS.
    private static let miscEnableFixed: UInt64 = 1 | 1 << 11 | 1 << 12

    func readMSR(_ msr: UInt32) throws(Fault) -> UInt64 {
        let s = state
        let model = services.model
        let is64 = model.features.contains(.longMode)
        switch msr {
        case 0x10: return timestamp
        case 0x3B where is64: return s.tscAdjust
        case 0x174: return s.sysenterCS
        case 0x175: return s.sysenterESP
        case 0x176: return s.sysenterEIP
        case 0x277: return s.pat
        case 0x1A0: return s.miscEnable | Self.miscEnableFixed
        case 0xC000_0080 where is64 || model.features.contains(.noExecute): return s.efer
        case 0xC000_0081 where is64: return s.star
        case 0xC000_0082 where is64: return s.lstar
        case 0xC000_0083 where is64: return s.cstar
        case 0xC000_0084 where is64: return s.fmask
        case 0xC000_0100 where is64: return s[.fs].base
        case 0xC000_0101 where is64: return s[.gs].base
        case 0xC000_0102 where is64: return s.kernelGSBase
        case 0xC000_0103 where model.features.contains(.rdtscp) || model.features.contains(.rdpid): return s.tscAux
        case 0x6E0:
            let deadline = try readController(msr)
            return deadline == 0 ? 0 : deadline &+ s.tscOffset
        case 0x1B, 0x800...0x8FF: return try readController(msr)
        default: return try readColdMSR(msr)
        }
    }

    private func readController(_ msr: UInt32) throws(Fault) -> UInt64 {
        guard let value = services.controller.readRegister(msr) else { throw unknownMSR() }
        return value
    }

    private func readColdMSR(_ msr: UInt32) throws(Fault) -> UInt64 {
        let model = services.model
        let msrs = services.msrs
        switch msr {
        // Eight variable ranges, fixed ranges, write combining.
        case 0xFE: return UInt64(MSRFile.variableRangeCount) | 1 << 8 | 1 << 10
        case 0x2FF: return msrs.memoryTypeDefault
        case 0x200..<UInt32(0x200 + 2 * MSRFile.variableRangeCount): return msrs.memoryTypeVariable[Int(msr - 0x200)]
        case 0x250, 0x258, 0x259, 0x268...0x26F:
            return MSRFile.fixedIndex(msr).map { msrs.memoryTypeFixed[$0] } ?? 0
        // IA32_MCG_CAP: no banks. IA32_MCG_STATUS.
        case 0x179: return 0
        case 0x17A: return msrs.machineCheckStatus
        // IA32_P5_MC_ADDR and TYPE, IA32_PLATFORM_ID, EBL_CR_POWERON, IA32_SMBASE's neighbour MSR_SMI_COUNT.
        case 0x0, 0x1, 0x17, 0x2A, 0x34: return 0
        // IA32_FEATURE_CONTROL: locked, no VMX.
        case 0x3A: return 1
        // IA32_BIOS_SIGN_ID: the revision of the microcode.
        case 0x8B: return 1 << 32
        // MSR_PLATFORM_INFO: the ratio to 100 MHz.
        case 0xCE: return (services.clock.timestampFrequency / 100_000_000 & 0xFF) << 8
        case 0x10A:
            guard let value = model.architecturalCapabilities else { throw unknownMSR() }
            return value
        // MSR_MISC_FEATURES_ENABLES.
        case 0x140: return 0
        case 0x1D9: return msrs.debugControl
        // IA32_XSS.
        case 0xDA0 where model.features.contains(.xsaves): return 0
        case 0x11, 0x4B56_4D00: return msrs.wallClock
        case 0x12, 0x4B56_4D01: return msrs.systemTime
        default: throw unknownMSR()
        }
    }

    func writeMSR(_ msr: UInt32, _ value: UInt64) throws(Fault) {
        let s = state
        let model = services.model
        let is64 = model.features.contains(.longMode)
        switch msr {
        case 0x10:
            let delta = value &- timestamp
            s.tscOffset = s.tscOffset &+ delta
            s.tscAdjust = s.tscAdjust &+ delta
        case 0x3B where is64:
            s.tscOffset = s.tscOffset &+ (value &- s.tscAdjust)
            s.tscAdjust = value
        case 0x174: s.sysenterCS = value & 0xFFFF_FFFF
        case 0x175: s.sysenterESP = try canonical(value)
        case 0x176: s.sysenterEIP = try canonical(value)
        case 0x277:
            for index in 0..<8 {
                let type = value >> UInt64(index * 8) & 0xFF
                // UC- (7) exists here beside the memory types.
                guard type == 7 || MSRFile.isMemoryType(type) else { throw .generalProtection() }
            }
            s.pat = value
        case 0x1A0: s.miscEnable = value & ~Self.miscEnableFixed
        case 0xC000_0080 where is64 || model.features.contains(.noExecute): try setEFER(value)
        case 0xC000_0081 where is64: s.star = value
        case 0xC000_0082 where is64: s.lstar = try canonical(value)
        case 0xC000_0083 where is64: s.cstar = try canonical(value)
        case 0xC000_0084 where is64: s.fmask = value & 0xFFFF_FFFF
        case 0xC000_0100 where is64: setBase(.fs, try canonical(value))
        case 0xC000_0101 where is64: setBase(.gs, try canonical(value))
        case 0xC000_0102 where is64: s.kernelGSBase = try canonical(value)
        case 0xC000_0103 where model.features.contains(.rdtscp) || model.features.contains(.rdpid):
            guard value >> 32 == 0 else { throw .generalProtection() }
            s.tscAux = value
        case 0x6E0:
            try writeController(msr, value == 0 ? 0 : value &- s.tscOffset)
        case 0x1B, 0x800...0x8FF: try writeController(msr, value)
        default: try writeColdMSR(msr, value)
        }
    }

    private func writeController(_ msr: UInt32, _ value: UInt64) throws(Fault) {
        guard services.controller.writeRegister(msr, value) else { throw unknownMSR() }
        // It may have made an interrupt deliverable.
        leaveBlock()
    }

    private func canonical(_ value: UInt64) throws(Fault) -> UInt64 {
        guard isCanonical(value) else { throw .generalProtection() }
        return value
    }

    private func setEFER(_ value: UInt64) throws(Fault) {
        let s = state
        let features = services.model.features
        var defined: UInt64 = EFER.longModeActive
        if features.contains(.syscall) { defined |= EFER.systemCallExtensions }
        if features.contains(.longMode) { defined |= EFER.longModeEnable }
        if features.contains(.noExecute) { defined |= EFER.noExecuteEnable }
        let old = s.efer
        guard value & ~defined == 0 else { throw .generalProtection() }
        if s.cr0 & CR0.paging != 0, (old ^ value) & EFER.longModeEnable != 0 { throw .generalProtection() }
        s.efer = value & ~EFER.longModeActive | old & EFER.longModeActive
        if (old ^ value) & EFER.noExecuteEnable != 0 { flushTLB() }
        leaveBlock()
    }

    private func writeColdMSR(_ msr: UInt32, _ value: UInt64) throws(Fault) {
        let services = services
        let physicalMask: UInt64 = (1 << Self.physicalAddressBits) &- 1
        switch msr {
        case 0x2FF:
            guard value & ~0xCFF == 0, MSRFile.isMemoryType(value & 0xFF) else { throw .generalProtection() }
            services.msrs.memoryTypeDefault = value
        case 0x200..<UInt32(0x200 + 2 * MSRFile.variableRangeCount):
            let isMask = msr & 1 != 0
            guard value & ~physicalMask == 0, value & (isMask ? 0x7FF : 0xF00) == 0,
                isMask || MSRFile.isMemoryType(value & 0xFF)
            else { throw .generalProtection() }
            services.msrs.memoryTypeVariable[Int(msr - 0x200)] = value
        case 0x250, 0x258, 0x259, 0x268...0x26F:
            for index in 0..<8 {
                guard MSRFile.isMemoryType(value >> UInt64(index * 8) & 0xFF) else { throw .generalProtection() }
            }
            if let index = MSRFile.fixedIndex(msr) { services.msrs.memoryTypeFixed[index] = value }
        case 0x17A:
            guard value & ~7 == 0 else { throw .generalProtection() }
            services.msrs.machineCheckStatus = value
        case 0x0, 0x1, 0x8B, 0x2A: break
        // The microcode update trigger: nothing to update.
        case 0x79: break
        case 0x3A: throw .generalProtection()
        case 0x140:
            guard value == 0 else { throw .generalProtection() }
        case 0x1D9:
            guard value & ~3 == 0 else { throw .generalProtection() }
            services.msrs.debugControl = value
        case 0xDA0 where services.model.features.contains(.xsaves):
            guard value == 0 else { throw .generalProtection() }
        case 0x11, 0x4B56_4D00:
            services.msrs.wallClock = value
            publishWallClock(value)
        case 0x12, 0x4B56_4D01:
            services.msrs.systemTime = value
            if value & 1 != 0 { publishSystemTime(value & ~1) }
        default: throw unknownMSR()
        }
    }
}
