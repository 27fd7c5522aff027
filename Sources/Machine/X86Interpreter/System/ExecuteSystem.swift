import X86
import X86Decoder

extension Core {
    /// Executes a system operation (raw values 256..<512).
    func executeSystem(_ i: Instruction) throws(Fault) {
        let s = state
        switch i.pointee.operation {
        case .callFar: try farCall(i)
        case .jmpFar: try farJump(i)
        case .retFar: try farReturn(i)
        case .iret: try interruptReturn(i)
        case .int3: try deliverEvent(ExceptionVector.breakpoint, .breakpoint, errorCode: nil)
        case .int: try softwareInterrupt(UInt8(truncatingIfNeeded: i.pointee.immediate))
        case .into:
            if s.overflowFlag { try deliverEvent(ExceptionVector.overflow, .overflow, errorCode: nil) }
        case .int1: try deliverEvent(ExceptionVector.debug, .privilegedSoftware, errorCode: nil)
        case .syscall: try systemCall()
        case .sysret: try systemReturn(i)
        case .sysenter: try systemEnter()
        case .sysexit: try systemExit(i)
        case .in: try input(i)
        case .out: try output(i)
        case .ins: try stringPort(i, isInput: true)
        case .outs: try stringPort(i, isInput: false)
        case .hlt: try halt()
        case .cli: try clearInterrupts()
        case .sti: try setInterrupts()
        case .movToSegment: try moveToSegment(i.pointee.operands.0.number, try word(i, i.pointee.operands.1))
        case .movFromSegment:
            guard i.pointee.operands.1.number < 6 else { throw .invalidOpcode }
            let register = SegmentRegister(rawValue: UInt8(i.pointee.operands.1.number)) ?? .ds
            try storeWord(i, UInt64(s[register].selector))
        case .pushSegment: try pushSegment(i)
        case .popSegment: try popSegment(i)
        case .lds: try loadFarPointer(i, .ds)
        case .les: try loadFarPointer(i, .es)
        case .lss: try loadFarPointer(i, .ss)
        case .lfs: try loadFarPointer(i, .fs)
        case .lgs: try loadFarPointer(i, .gs)
        case .lgdt: (s.gdtLimit, s.gdtBase) = try loadTable(i)
        case .lidt: (s.idtLimit, s.idtBase) = try loadTable(i)
        case .sgdt: try storeTable(i, limit: s.gdtLimit, base: s.gdtBase)
        case .sidt: try storeTable(i, limit: s.idtLimit, base: s.idtBase)
        case .lldt: try loadLocalTable(i)
        case .ltr: try loadTask(i)
        case .sldt:
            try requireProtected()
            try checkUserModePrevention()
            try storeWord(i, UInt64(s[.ldtr].selector))
        case .str:
            try requireProtected()
            try checkUserModePrevention()
            try storeWord(i, UInt64(s[.tr].selector))
        case .smsw:
            try checkUserModePrevention()
            try storeWord(i, s.cr0)
        case .lmsw: try loadMachineStatusWord(i)
        case .clts:
            try requirePrivilege()
            s.cr0 &= ~CR0.taskSwitched
        case .arpl: try adjustPrivilege(i)
        case .lar: try loadAccessRights(i)
        case .lsl: try loadSegmentLimit(i)
        case .verr: try verifySegment(i, write: false)
        case .verw: try verifySegment(i, write: true)
        case .movToControl: try moveToControl(i)
        case .movFromControl: try moveFromControl(i)
        case .movToDebug: try moveToDebug(i)
        case .movFromDebug: try moveFromDebug(i)
        case .invlpg: try invalidatePage(i)
        case .invpcid: try invalidateProcessContext(i)
        case .wbinvd, .invd, .wbnoinvd: try requirePrivilege()
        case .rdmsr: try readModelSpecific()
        case .wrmsr: try writeModelSpecific()
        case .rdtsc: try readTimestamp()
        case .rdtscp: try readTimestampAndProcessor()
        // No performance counters exist.
        case .rdpmc: throw .generalProtection()
        case .rdpid: try readProcessor(i)
        case .cpuid: identify()
        case .xgetbv: try readExtendedControl()
        case .xsetbv: try writeExtendedControl()
        case .swapgs: try swapGSBase()
        case .rdfsbase: try readBase(i, .fs)
        case .rdgsbase: try readBase(i, .gs)
        case .wrfsbase: try writeBase(i, .fs)
        case .wrgsbase: try writeBase(i, .gs)
        case .stac: try setAlignmentCheck(true)
        case .clac: try setAlignmentCheck(false)
        case .monitor: try monitor(waits: false)
        case .mwait: try monitor(waits: true)
        case .vmcall, .vmmcall: hypercall()
        // Extensions that no model has, and RSM outside system-management mode.
        default: throw .invalidOpcode
        }
    }
}
