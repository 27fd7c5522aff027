import X86

/// Where an interrupt or exception comes from; decides checks, error code and the EXT bit (SDM 3A §6).
enum InterruptKind: UInt8 {
    case external
    case nonMaskable
    /// INT n.
    case software
    /// INT3.
    case breakpoint
    /// INTO.
    case overflow
    /// INT1.
    case privilegedSoftware
    case exception

    /// The gate's DPL must let the current privilege through.
    var checksGatePrivilege: Bool { self == .software || self == .breakpoint || self == .overflow }
    /// The EXT bit of error codes that delivery itself gives rise to.
    var externalBit: UInt32 { checksGatePrivilege ? 0 : 1 }
}

extension Core {
    /// How many exceptions in a row may fail to be delivered.
    private static var serialExceptionLimit: Int { 16 }

    /// Raises an exception: RIP is the faulting instruction's, or the next one's for a trap.
    ///
    /// A fault while delivering is combined with the first one as SDM 3A table 6-5 says; a triple fault shuts the CPU down.
    func deliver(_ fault: Fault) {
        let s = state
        let depth = s[byte: SystemLayout.deliveryDepth]
        guard depth < 4 else { return shutDown() }
        s[byte: SystemLayout.deliveryDepth] = depth + 1
        s[field: SystemLayout.pendingDebug] = 0
        // A trap of HLT itself.
        if s.activity == .halted { s.activity = .active }
        defer { s[byte: SystemLayout.deliveryDepth] = depth }
        var current = fault
        // Benign exceptions can follow one another without end, as #AC does where the handler's stack is misaligned. A CPU then
        // hangs until it is reset; this one shuts down.
        for _ in 0..<Self.serialExceptionLimit {
            do throws(Fault) {
                try deliverException(current)
                return
            } catch {
                guard let next = combine(current, error) else { return shutDown() }
                current = next
            }
        }
        shutDown()
    }

    /// Takes an interrupt: an external one, an NMI, or one of the software kinds with RIP after the instruction.
    func deliverInterrupt(vector: UInt8, kind: InterruptKind) {
        if kind == .nonMaskable { nonMaskableBlocked = true }
        do throws(Fault) { try deliverEvent(vector, kind, errorCode: nil) } catch { deliver(error) }
    }

    /// Stops until INIT or a reset.
    func shutDown() {
        state.activity = .shutdown
        leaveBlock()
    }

    /// The exception to deliver when `second` came up while delivering `first`; nil for a triple fault.
    private func combine(_ first: Fault, _ second: Fault) -> Fault? {
        guard second.kind != .exit, first.vector != ExceptionVector.doubleFault else { return nil }
        func isContributory(_ vector: UInt8) -> Bool { vector == 0 || (10...13).contains(vector) }
        let isSerious = isContributory(second.vector)
        let isDouble =
            isContributory(first.vector) && isSerious
            || first.vector == ExceptionVector.pageFault && (isSerious || second.vector == ExceptionVector.pageFault)
        return isDouble ? .exception(ExceptionVector.doubleFault, code: 0) : second
    }

    private func deliverException(_ fault: Fault) throws(Fault) {
        let s = state
        let vector = fault.vector
        var flags = RFlags.rf
        switch vector {
        case ExceptionVector.pageFault: s.cr2 = fault.address
        case ExceptionVector.debug, ExceptionVector.breakpoint, ExceptionVector.overflow, ExceptionVector.doubleFault,
            ExceptionVector.machineCheck:
            flags = 0
        default: break
        }
        try deliverEvent(
            vector,
            .exception,
            errorCode: fault.kind == .exceptionWithCode ? fault.errorCode : nil,
            flags: flags
        )
        if vector == ExceptionVector.debug {
            // General detection is off in the handler.
            s.setDebugRegister(7, s.debugRegister(7) & ~0x2000)
        }
    }

    /// Delivers through the IDT by the current mode; `flags` is set in the pushed image of RFLAGS (RF for faults).
    ///
    /// - Throws: the fault that delivery met, with the state as it was.
    func deliverEvent(_ vector: UInt8, _ kind: InterruptKind, errorCode: UInt32?, flags: UInt64 = 0) throws(Fault) {
        let s = state
        let isTracing = s.systemFlags & RFlags.tf != 0
        switch s.mode {
        case .real: try deliverReal(vector)
        case .long64, .compatibility32, .compatibility16: try deliverLong(vector, kind, errorCode, flags)
        default: try deliverProtected(vector, kind, errorCode, flags)
        }
        // A trace trap of the interrupted instruction does not reach into the handler.
        if isTracing, kind.checksGatePrivilege || kind == .privilegedSoftware { s[byte: SystemLayout.dropsTrace] = 1 }
        leaveBlock()
    }

    /// Through the interrupt vector table: four bytes a vector, no error codes (SDM 3B §20.1.4).
    private func deliverReal(_ vector: UInt8) throws(Fault) {
        let s = state
        let offset = UInt32(vector) * 4
        guard offset + 3 <= s.idtLimit else { throw .generalProtection(UInt32(vector) * 8 + 2) }
        let pointer = try loadImplicit(UInt32.self, (s.idtBase &+ UInt64(offset)) & 0xFFFF_FFFF)
        var stack = currentStack()
        try pushAll([s.rflags, UInt64(s[.cs].selector), s.rip], byteCount: 2, &stack)
        s.rsp = stack.pointer
        s.systemFlags &= ~(RFlags.interruptEnable | RFlags.tf | RFlags.ac | RFlags.rf)
        s[.cs] = realCode(UInt16(truncatingIfNeeded: pointer >> 16))
        s.rip = UInt64(pointer & 0xFFFF)
        modeChanged()
    }

    /// To be called after CS, CPL, VM, AC or a control register changed.
    @inline(__always)
    func modeChanged() {
        state.updateMode()
        selectTLB()
        leaveBlock()
    }

    /// CS for real mode: limit and rights stay as they are.
    func realCode(_ selector: UInt16) -> Segment {
        let old = state[.cs]
        return .paragraph(selector, limit: old.limit, attributes: old.isPresent ? old.attributes : 0x9B)
    }
}
