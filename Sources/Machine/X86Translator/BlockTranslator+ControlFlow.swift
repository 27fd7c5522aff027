import X86
import X86Decoder

/// The stack, calls and returns.
///
/// A guest's CALL is also the host's, and a RET the host's RET, so that the host predicts returns. What the host returns to
/// compares the guest's return address, which is in R9, with the one that it expects, and goes through the hash where they differ.
extension BlockTranslator {
    /// Whether host CALL and RET may stand for the guest's.
    ///
    /// Code with AC set shares the supervisor's stack of return addresses, but not its TLB table.
    private var predictsReturns: Bool { table != 2 }

    private var r9: UInt8 { HostRegisters.address }
    private var rcx: UInt8 { HostRegisters.scratch }

    mutating func push() {
        guard i.operandByteCount == 8 else { return fallback() }
        let operand = i.operands.0
        switch operand.kind {
        case .general:
            stack(-8, 8, write: true)
            storePushed(UInt8(operand.number))
        case .immediate:
            stack(-8, 8, write: true)
            // MOV qword [R9 + RCX], immediate
            e.bytes(0x0904_C749, 4)
            e.dword(Int(truncatingIfNeeded: i.immediate))
        case .memory:
            self.operand(8, write: false)
            loadChecked(rcx)
            e.storeState(TranslatorLayout.temporary, rcx)
            stack(-8, 8, write: true)
            e.joinAddress()
            e.loadState(rcx, TranslatorLayout.temporary)
            storeJoined(rcx)
        default: return fallback()
        }
        e.lea(HostRegisters.guestStack, base: HostRegisters.guestStack, -8)
    }

    /// MOV [R9 + RCX], guest register.
    private mutating func storePushed(_ number: UInt8) {
        let host = HostRegisters.host(number)
        if host == HostRegisters.inMemory {
            e.joinAddress()
            e.loadState(rcx, TranslatorLayout.general(number))
            storeJoined(rcx)
        } else {
            e.bytes(UInt64(0x49 | (host >> 3) << 2) | 0x89 << 8 | UInt64(0x04 | (host & 7) << 3) << 16 | 0x09 << 24, 4)
        }
    }

    /// MOV [R9], register.
    mutating func storeJoined(_ register: UInt8) {
        e.bytes(UInt64(0x49 | (register >> 3) << 2) | 0x89 << 8 | UInt64(0x01 | (register & 7) << 3) << 16, 3)
    }

    /// MOV register, [R9 + RCX].
    mutating func loadChecked(_ register: UInt8) {
        e.bytes(UInt64(0x49 | (register >> 3) << 2) | 0x8B << 8 | UInt64(0x04 | (register & 7) << 3) << 16 | 0x09 << 24, 4)
    }

    mutating func pop() {
        guard i.operandByteCount == 8, i.operands.0.kind == .general else { return fallback() }
        let number = UInt8(i.operands.0.number)
        let host = HostRegisters.host(number)
        stack(0, 8, write: false)
        if host == HostRegisters.inMemory {
            loadChecked(rcx)
            e.storeState(TranslatorLayout.general(number), rcx)
        } else {
            loadChecked(host)
        }
        if number != 4 { e.lea(HostRegisters.guestStack, base: HostRegisters.guestStack, 8) }
    }

    /// LEAVE.
    mutating func leaveFrame() {
        guard i.operandByteCount == 8 else { return fallback() }
        let resume = e.offset
        e.lea(r9, base: HostRegisters.rbp, 0)
        check(8, write: false, resume: resume)
        loadChecked(rcx)
        e.lea(HostRegisters.guestStack, base: HostRegisters.rbp, 8)
        e.move(HostRegisters.rbp, rcx)
    }

    /// Leaves word of the branch, in case its target is not canonical: the fault is then the branch's own.
    ///
    /// `released`: What it has added to RSP.
    private mutating func noteBranch(released: Int) {
        let number = addSite(.branch, guestOffset, target: rip &+ UInt64(bitPattern: Int64(released)))
        e.storeState32(TranslatorLayout.branchSite, immediate: number)
    }

    /// R9 = the target of an indirect branch; memory is read.
    private mutating func loadTarget() {
        let operand = i.operands.0
        if operand.isMemory {
            self.operand(8, write: false)
            loadChecked(r9)
        } else {
            let host = HostRegisters.host(UInt8(operand.number))
            if host == HostRegisters.inMemory {
                e.loadState(r9, TranslatorLayout.general(UInt8(operand.number)))
            } else {
                e.move(r9, host)
            }
        }
    }

    mutating func jumpNear() -> Bool {
        if i.operands.0.kind == .relative {
            jump(to: branchTarget)
        } else if i.operandByteCount == 8 {
            loadTarget()
            count(excluding: 0)
            noteBranch(released: 0)
            e.jump(environment.stubs.dispatch[table])
        } else {
            leave()
        }
        return false
    }

    mutating func callNear() -> Bool {
        let isDirect = i.operands.0.kind == .relative
        guard isDirect || i.operandByteCount == 8 else {
            leave()
            return false
        }
        if !isDirect {
            loadTarget()
            e.storeState(TranslatorLayout.temporary, r9)
        }
        stack(-8, 8, write: true)
        e.joinAddress()
        e.move(rcx, constant: nextRIP)
        storeJoined(rcx)
        e.lea(HostRegisters.guestStack, base: HostRegisters.guestStack, -8)
        count(excluding: 0)
        if !isDirect {
            noteBranch(released: -8)
            e.loadState(r9, TranslatorLayout.temporary)
        }
        guard predictsReturns else {
            if isDirect { jump(to: branchTarget) } else { e.jump(environment.stubs.dispatch[table]) }
            return false
        }
        if isDirect { call(to: branchTarget) } else { e.call(environment.stubs.dispatch[table]) }
        // The host returns here with the guest's return address in R9.
        e.move(rcx, constant: 0 &- nextRIP)
        e.sumOfScratch(0)
        e.jumpIfZeroCount(over: 5)
        e.jump(environment.stubs.dispatch[table])
        return true
    }

    mutating func returnNear() -> Bool {
        guard i.operandByteCount == 8 else {
            leave()
            return false
        }
        stack(0, 8, write: false)
        loadChecked(r9)
        let released = i.operands.0.kind == .immediate ? Int(i.immediate & 0xFFFF) : 0
        e.lea(HostRegisters.guestStack, base: HostRegisters.guestStack, 8 + released)
        count(excluding: 0)
        noteBranch(released: 8 + released)
        if predictsReturns { e.byte(0xC3) } else { e.jump(environment.stubs.dispatch[table]) }
        return false
    }

    /// JCXZ and LOOP.
    mutating func countedJump() -> Bool {
        let isWide = i.addressByteCount == 8
        guard i.operandByteCount == 8 || i.operation == .jcxz || i.operation == .loop, isWide || i.operation == .jcxz else {
            leave()
            return false
        }
        count(excluding: 0)
        if i.operation == .loop { e.lea(HostRegisters.guestCount, base: HostRegisters.guestCount, -1) }
        if isWide {
            e.move(rcx, HostRegisters.guestCount)
        } else {
            // MOV ECX, R10D
            e.bytes(0xD18944, 3)
        }
        if i.operation == .loop {
            e.jumpIfZeroCount(over: 5)
        } else {
            e.jumpIfZeroCount(over: 2)
            e.bytes(0x05EB, 2)
        }
        jump(to: branchTarget)
        return true
    }
}
