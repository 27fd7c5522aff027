import X86
import X86Decoder

extension Core {
    /// Checks access to a debug register, and resolves the aliases DR4 and DR5.
    private func debugIndex(_ number: Int) throws(Fault) -> Int {
        let s = state
        var index = number
        if index == 4 || index == 5 {
            guard s.cr4 & CR4.de == 0 else { throw .invalidOpcode }
            index += 2
        }
        guard index < 8 else { throw .invalidOpcode }
        try requirePrivilege()
        if s.debugRegister(7) & 0x2000 != 0 {
            s.setDebugRegister(6, s.debugRegister(6) | 1 << 13)
            throw .exception(ExceptionVector.debug)
        }
        return index
    }

    /// MOV r, DRn.
    func moveFromDebug(_ i: Instruction) throws(Fault) {
        let index = try debugIndex(i.pointee.operands.1.number)
        writeGeneral(i.pointee.operands.0.number, state.debugRegister(index), state.mode == .long64 ? 8 : 4)
    }

    /// MOV DRn, r.
    func moveToDebug(_ i: Instruction) throws(Fault) {
        let s = state
        let index = try debugIndex(i.pointee.operands.0.number)
        var value = s[i.pointee.operands.1.number]
        if s.mode != .long64 { value &= 0xFFFF_FFFF }
        if index >= 6 {
            guard value >> 32 == 0 else { throw .generalProtection() }
            value = index == 6 ? value & 0xE00F | 0xFFFF_0FF0 : value & 0xFFFF_23FF | 0x400
        }
        s.setDebugRegister(index, value)
        selectTLB()
        leaveBlock()
    }

    /// Whether breakpoint `index` is enabled with the condition `kind` (0 execute, 1 write, 2 I/O, 3 read or write).
    @inline(__always)
    private func isEnabled(_ index: Int, _ dr7: UInt64) -> Bool { dr7 >> UInt64(index * 2) & 3 != 0 }

    @inline(__always)
    private func condition(_ index: Int, _ dr7: UInt64) -> UInt64 { dr7 >> UInt64(16 + index * 4) & 3 }

    /// The DR6 bits of the breakpoints that an access of a kind in `kinds` (a bit each) to these bytes hits.
    private func hits(_ address: UInt64, _ byteCount: Int, kinds: UInt64) -> UInt64 {
        let s = state
        let dr7 = s.debugRegister(7)
        var found: UInt64 = 0
        for index in 0..<4 where isEnabled(index, dr7) && kinds >> condition(index, dr7) & 1 != 0 {
            // The length field: 1, 2, 8, 4 bytes.
            let size = [1, 2, 8, 4][Int(dr7 >> UInt64(18 + index * 4) & 3)] as UInt64
            let start = s.debugRegister(index) & ~(size &- 1)
            if address <= start &+ (size &- 1), start <= address &+ UInt64(byteCount &- 1) {
                found |= 1 << UInt64(index)
            }
        }
        return found
    }

    /// Whether an enabled instruction breakpoint is at `rip`; its bits are then set in DR6.
    func instructionBreakpoint(at rip: UInt64) -> Bool {
        let s = state
        let dr7 = s.debugRegister(7)
        guard dr7 & 0xFF != 0 else { return false }
        let linear = wrapLinear(s.effectiveBase(1) &+ rip)
        var found: UInt64 = 0
        for index in 0..<4 where isEnabled(index, dr7) && condition(index, dr7) == 0 && s.debugRegister(index) == linear
        {
            found |= 1 << UInt64(index)
        }
        guard found != 0 else { return false }
        s.setDebugRegister(6, s.debugRegister(6) & ~15 | found)
        return true
    }

    /// Notes the data breakpoints that an access hits; they are reported after the instruction, or after the iteration of a
    /// repeated one (SDM 3B §17.2.4).
    func dataBreakpoint(linear: UInt64, byteCount: Int, write: Bool) {
        let found = hits(linear, byteCount, kinds: write ? 0b1010 : 0b1000)
        guard found != 0 else { return }
        state[field: SystemLayout.pendingDebug] |= found
        leaveBlock()
    }

    /// Notes the I/O breakpoints that an access to a port hits.
    func portBreakpoint(_ port: UInt16, _ byteCount: Int) {
        let s = state
        guard s.debugRegister(7) & 0xFF != 0, s.cr4 & CR4.de != 0 else { return }
        let found = hits(UInt64(port), byteCount, kinds: 0b0100)
        if found != 0 { s[field: SystemLayout.pendingDebug] |= found }
    }

    /// The #DB trap due after an instruction, with DR6 set: data and I/O breakpoints, and single step where `wasTracing`
    /// says that TF was set when the instruction began.
    func debugTrapAfterInstruction(wasTracing: Bool) -> Fault? {
        let s = state
        let dropsTrace = s[byte: SystemLayout.dropsTrace] != 0
        s[byte: SystemLayout.dropsTrace] = 0
        // MOV SS and POP SS hold both kinds back.
        if s.interruptShadow == 2 { return nil }
        var bits = s[field: SystemLayout.pendingDebug]
        s[field: SystemLayout.pendingDebug] = 0
        if wasTracing, !dropsTrace { bits |= 1 << 14 }
        guard bits != 0 else { return nil }
        s.setDebugRegister(6, s.debugRegister(6) & ~15 | bits)
        return .exception(ExceptionVector.debug)
    }
}
