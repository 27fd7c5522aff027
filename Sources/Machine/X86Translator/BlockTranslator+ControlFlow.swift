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

    /// PUSH of registers and constants: those that follow one another, up to eight, share the check of their bytes.
    mutating func push() {
        guard i.operandByteCount == 8 else { return fallback() }
        guard Self.isPlainPush(i) else { return pushOther() }
        var run: [8 of DecodedInstruction] = .init(repeating: i)
        var runCount = 1
        while runCount < run.count, let next = peek(), Self.isPlainPush(next) {
            take(next)
            run[runCount] = next
            runCount += 1
        }
        stack(-8 * runCount, 8 * runCount, write: true)
        e.joinAddress()
        for index in 0..<runCount { storePushed(run[index], at: 8 * (runCount - 1 - index)) }
        e.lea(HostRegisters.guestStack, base: HostRegisters.guestStack, -8 * runCount)
    }

    private static func isPlainPush(_ i: DecodedInstruction) -> Bool {
        guard i.operation == .push, i.operandByteCount == 8 else { return false }
        return i.operands.0.kind == .immediate || i.operands.0.kind == .general && i.operands.0.number != 4
    }

    /// PUSH of memory, or of RSP.
    private mutating func pushOther() {
        let operand = i.operands.0
        if operand.kind == .general {
            stack(-8, 8, write: true)
            e.joinAddress()
            storeJoined(HostRegisters.guestStack)
        } else if operand.isMemory {
            self.operand(8, write: false)
            loadChecked(rcx)
            e.storeState(TranslatorLayout.temporary, rcx)
            stack(-8, 8, write: true)
            e.joinAddress()
            e.loadState(rcx, TranslatorLayout.temporary)
            storeJoined(rcx)
        } else {
            return fallback()
        }
        e.lea(HostRegisters.guestStack, base: HostRegisters.guestStack, -8)
    }

    /// MOV [R9 + displacement], what `i` pushes; RCX is lost.
    private mutating func storePushed(_ i: DecodedInstruction, at displacement: Int) {
        if i.operands.0.kind == .immediate {
            // MOV qword [R9 + displacement], immediate
            e.bytes(0x41_C749, 3)
            e.byte(UInt8(displacement))
            e.dword(Int(truncatingIfNeeded: i.immediate))
            return
        }
        let number = UInt8(i.operands.0.number)
        var host = HostRegisters.host(number)
        if host == HostRegisters.inMemory {
            e.loadState(rcx, TranslatorLayout.general(number))
            host = rcx
        }
        storeJoined(host, displacement)
    }

    /// MOV [R9 + displacement], register.
    mutating func storeJoined(_ register: UInt8, _ displacement: Int = 0) {
        moveJoined(0x89, register, displacement)
    }

    /// MOV register, [R9 + displacement].
    private mutating func loadJoined(_ register: UInt8, _ displacement: Int) {
        moveJoined(0x8B, register, displacement)
    }

    private mutating func moveJoined(_ opcode: UInt64, _ register: UInt8, _ displacement: Int) {
        e.bytes(
            UInt64(0x49 | (register >> 3) << 2) | opcode << 8 | UInt64(0x41 | (register & 7) << 3) << 16
                | UInt64(UInt8(truncatingIfNeeded: displacement)) << 24,
            4
        )
    }

    /// MOV register, [R9 + RCX].
    mutating func loadChecked(_ register: UInt8) {
        e.bytes(
            UInt64(0x49 | (register >> 3) << 2) | 0x8B << 8 | UInt64(0x04 | (register & 7) << 3) << 16 | 0x09 << 24,
            4
        )
    }

    /// POP of registers, with a RET behind them: they share the check of their bytes.
    ///
    /// - Returns: Whether the block goes on.
    mutating func pop() -> Bool {
        guard i.operandByteCount == 8, i.operands.0.kind == .general else {
            fallback()
            return true
        }
        if i.operands.0.number == 4 {
            stack(0, 8, write: false)
            loadChecked(HostRegisters.guestStack)
            return true
        }
        var run: [8 of UInt8] = .init(repeating: UInt8(i.operands.0.number))
        var runCount = 1
        var released: Int?
        while runCount < run.count, let next = peek() {
            if next.operation == .pop, next.operandByteCount == 8, next.operands.0.kind == .general,
                next.operands.0.number != 4
            {
                take(next)
                run[runCount] = UInt8(next.operands.0.number)
                runCount += 1
            } else if next.operation == .retNear, next.operandByteCount == 8 {
                take(next)
                released = Self.released(next)
                break
            } else {
                break
            }
        }
        let byteCount = 8 * (runCount + (released == nil ? 0 : 1))
        stack(0, byteCount, write: false)
        e.joinAddress()
        for index in 0..<runCount { loadPopped(run[index], at: 8 * index) }
        if let released {
            loadJoined(r9, 8 * runCount)
            e.lea(HostRegisters.guestStack, base: HostRegisters.guestStack, 8 * runCount)
            guestOffset = nextOffset - Int(i.length)
            returnTo(releasing: 8 + released)
            return false
        }
        e.lea(HostRegisters.guestStack, base: HostRegisters.guestStack, byteCount)
        return true
    }

    private mutating func loadPopped(_ number: UInt8, at displacement: Int) {
        let host = HostRegisters.host(number)
        if host == HostRegisters.inMemory {
            loadJoined(rcx, displacement)
            e.storeState(TranslatorLayout.general(number), rcx)
        } else {
            loadJoined(host, displacement)
        }
    }

    /// LEAVE, with a RET behind it.
    ///
    /// - Returns: Whether the block goes on.
    mutating func leaveFrame() -> Bool {
        guard i.operandByteCount == 8 else {
            fallback()
            return true
        }
        var released: Int?
        if let next = peek(), next.operation == .retNear, next.operandByteCount == 8 {
            take(next)
            released = Self.released(next)
        }
        let resume = e.offset
        e.lea(r9, base: HostRegisters.rbp, 0)
        check(released == nil ? 8 : 16, write: false, resume: resume)
        e.joinAddress()
        e.lea(HostRegisters.guestStack, base: HostRegisters.rbp, 8)
        loadJoined(HostRegisters.rbp, 0)
        guard let released else { return true }
        loadJoined(r9, 8)
        guestOffset = nextOffset - Int(i.length)
        returnTo(releasing: 8 + released)
        return false
    }

    /// Leaves word of the branch, in case its target is not canonical: the fault is then the branch's own.
    ///
    /// `released`: What it has added to RSP.
    private mutating func noteBranch(released: Int) {
        let number = addSite(.branch, guestOffset, amount: released)
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
            branchIndirectly(isCall: false)
        } else {
            leave()
        }
        return false
    }

    /// Lets the interpreter run a CALL whose target, in R9, is not canonical, before anything is pushed.
    private mutating func refuseUnlessCanonical() {
        beginDetours()
        e.testCanonical()
        e.jumpIfZeroCount(over: 5)
        e.call(environment.stubs.fallback)
        addSite(.leave, guestOffset)
    }

    mutating func callNear() -> Bool {
        let isDirect = i.operands.0.kind == .relative
        guard isDirect || i.operandByteCount == 8 else {
            leave()
            return false
        }
        if !isDirect {
            loadTarget()
            refuseUnlessCanonical()
            e.storeState(TranslatorLayout.temporary, r9)
        }
        stack(-8, 8, write: true)
        e.joinAddress()
        if isRelative {
            e.loadState(rcx, TranslatorLayout.displacement)
            e.lea(rcx, base: rcx, Int(nextRIP))
        } else {
            e.move(rcx, constant: nextRIP)
        }
        storeJoined(rcx)
        e.lea(HostRegisters.guestStack, base: HostRegisters.guestStack, -8)
        count(excluding: 0)
        if !isDirect {
            noteBranch(released: -8)
            e.loadState(r9, TranslatorLayout.temporary)
        }
        guard predictsReturns else {
            if isDirect { jump(to: branchTarget) } else { branchIndirectly(isCall: false) }
            return false
        }
        // PUSH gs:[displacement]: what is called may have another.
        if isRelative {
            e.bytes(0x2534_FF65, 4)
            e.dword(TranslatorLayout.displacement)
        }
        if isDirect { call(to: branchTarget) } else { branchIndirectly(isCall: true) }
        // The host returns here with the guest's return address in R9.
        if isRelative {
            // POP RCX, and later NOT RCX
            e.byte(0x59)
            e.storeState(TranslatorLayout.temporary, rcx)
            e.lea(rcx, base: rcx, Int(nextRIP))
            e.bytes(0xD1F748, 3)
            e.sumOfScratch(1)
        } else {
            e.move(rcx, constant: 0 &- nextRIP)
            e.sumOfScratch(0)
        }
        e.jumpIfZeroCount(over: 5)
        e.jump(environment.stubs.dispatch[table])
        if isRelative {
            e.loadState(rcx, TranslatorLayout.temporary)
            e.storeState(TranslatorLayout.displacement, rcx)
        }
        return true
    }

    mutating func returnNear() -> Bool {
        guard i.operandByteCount == 8 else {
            leave()
            return false
        }
        stack(0, 8, write: false)
        loadChecked(r9)
        returnTo(releasing: 8 + Self.released(i))
        return false
    }

    /// What RET releases besides its address.
    private static func released(_ i: DecodedInstruction) -> Int {
        i.operands.0.kind == .immediate ? Int(i.immediate & 0xFFFF) : 0
    }

    /// Returns to the address in R9.
    private mutating func returnTo(releasing byteCount: Int) {
        e.lea(HostRegisters.guestStack, base: HostRegisters.guestStack, byteCount)
        count(excluding: 0)
        noteBranch(released: byteCount)
        if predictsReturns { e.byte(0xC3) } else { e.jump(environment.stubs.dispatch[table]) }
    }

    /// JCXZ and LOOP.
    mutating func countedJump() -> Bool {
        let isWide = i.addressByteCount == 8
        guard i.operandByteCount == 8 || i.operation == .jcxz || i.operation == .loop, isWide || i.operation == .jcxz
        else {
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
