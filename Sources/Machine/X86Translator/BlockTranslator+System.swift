import X86
import X86Decoder
import X86Interpreter

/// The system instructions that kernels run often, without leaving translated code.
///
/// Every one that has an unusual outcome - an event that STI would let in, flags that change more than IF - is left to the interpreter.
extension BlockTranslator {
    private var r9: UInt8 { HostRegisters.address }
    private var rcx: UInt8 { HostRegisters.scratch }
    private var isSupervisor: Bool { table != 0 }

    /// - Returns: Whether code was made.
    mutating func system() -> Bool {
        switch i.operation {
        case .cld: changeFlag(mask: TranslatorLayout.maskWithoutDF, adding: 0)
        case .std: changeFlag(mask: TranslatorLayout.maskWithoutDF, adding: RFlags.df)
        case .cli:
            guard isSupervisor else { return false }
            changeFlag(mask: TranslatorLayout.maskWithoutIF, adding: 0)
        case .sti:
            guard isSupervisor else { return false }
            enableInterrupts()
        case .stac, .clac:
            guard isSupervisor else { return false }
            changeAccessCheck(isSet: i.operation == .stac)
        case .pushf: return pushFlags()
        case .popf: return popFlags()
        case .swapgs:
            guard isSupervisor else { return false }
            swapBases()
        case .movFromSegment: return moveFromSegment()
        case .movFromControl: return moveFromControl()
        case .rdfsbase, .rdgsbase:
            guard environment.signature.hasBaseInstructions else { return false }
            e.loadState(rcx, TranslatorLayout.segment(i.operation == .rdfsbase ? 4 : 5))
            writeGeneral(byteCount: Int(i.operandByteCount))
        case .wrfsbase, .wrgsbase:
            guard environment.signature.hasBaseInstructions else { return false }
            writeBase()
        default: return false
        }
        return true
    }

    /// WRFSBASE and WRGSBASE; one that is not canonical faults in the interpreter.
    private mutating func writeBase() {
        let number = UInt8(i.operands.0.number)
        let host = HostRegisters.host(number)
        count(excluding: 0)
        if host == HostRegisters.inMemory {
            e.loadState(r9, TranslatorLayout.general(number))
        } else {
            e.move(r9, host)
        }
        // MOV R9D, R9D
        if i.operandByteCount == 4 { e.bytes(0xC98945, 3) }
        e.testCanonical()
        e.jumpIfZeroCount(over: 7)
        let over = slowPath()
        let segment = i.operation == .wrfsbase ? 4 : 5
        e.storeState(TranslatorLayout.segment(segment), r9)
        e.storeState(TranslatorLayout.effectiveBase(UInt8(segment)), r9)
        bind(over)
    }

    /// Clears one bit of the flags in the state block, and adds `flag`.
    private mutating func changeFlag(mask: Int, adding flag: UInt64) {
        e.loadState(rcx, TranslatorLayout.systemFlags)
        e.keepBits(mask: mask)
        if flag != 0 { e.lea(rcx, base: rcx, Int(flag)) }
        e.storeState(TranslatorLayout.systemFlags, rcx)
    }

    /// STI; with an event that waits, the interpreter does it, which knows the interrupt shadow.
    ///
    /// Otherwise no event is looked for before the next jump, so the shadow is kept without being noted.
    private mutating func enableInterrupts() {
        count(excluding: 0)
        e.loadState32(rcx, TranslatorLayout.deferred)
        e.jumpIfZeroCount(over: 7)
        let over = slowPath()
        changeFlag(mask: TranslatorLayout.maskWithoutIF, adding: RFlags.interruptEnable)
        bind(over)
    }

    /// Seven bytes: the interpreter runs the instruction, then a short jump whose target ``bind(_:)`` sets.
    private mutating func slowPath() -> Int {
        fallback()
        e.bytes(0x00EB, 2)
        return e.offset
    }

    private mutating func bind(_ shortJump: Int) {
        (e.base + shortJump - 1).storeBytes(of: UInt8(truncatingIfNeeded: e.offset - shortJump), as: UInt8.self)
    }

    private mutating func changeAccessCheck(isSet: Bool) {
        changeFlag(mask: TranslatorLayout.maskWithoutAC, adding: isSet ? RFlags.ac : 0)
        table = isSet ? 2 : 1
        e.loadState(rcx, TranslatorLayout.tablePointers + table * 8)
        e.storeState(Layout.tlb, rcx)
    }

    /// RCX = the whole of RFLAGS, for PUSHF and SYSCALL; R9 is lost.
    private mutating func loadFlags() {
        // PUSHFQ; POP RCX
        e.bytes(0x599C, 2)
        e.keepBits(mask: TranslatorLayout.arithmeticMask)
        e.loadState(r9, TranslatorLayout.systemFlags)
        e.sumOfScratch(0)
    }

    /// The host's arithmetic flags = those in RCX, which is lost.
    mutating func adoptFlags() {
        // AND ECX, arithmetic; OR ECX, 202h; PUSH RCX; POPFQ
        e.bytes(0xE181, 2)
        e.dword(Int(RFlags.arithmetic))
        e.bytes(0xC981, 2)
        e.dword(0x202)
        e.bytes(0x9D51, 2)
    }

    private mutating func pushFlags() -> Bool {
        guard i.operandByteCount == 8 else { return false }
        loadFlags()
        e.storeState(TranslatorLayout.temporary, rcx)
        stack(-8, 8, write: true)
        e.joinAddress()
        e.loadState(rcx, TranslatorLayout.temporary)
        storeJoined(rcx)
        e.lea(HostRegisters.guestStack, base: HostRegisters.guestStack, -8)
        return true
    }

    /// XOR R9, gs:[displacement], or with `0x31` the other way round.
    private mutating func exclusiveOr(_ opcode: UInt64, _ displacement: Int) {
        e.bytes(0x65 | 0x4C << 8 | opcode << 16 | 0x0C << 24 | 0x25 << 32, 5)
        e.dword(displacement)
    }

    /// CMP dword gs:[displacement], 0.
    mutating func compareWithZero(_ displacement: Int) {
        e.bytes(0x25_3C83_65, 4)
        e.dword(displacement)
        e.byte(0)
    }

    /// POPF that changes the arithmetic flags and, for the supervisor, IF while nothing waits for it.
    private mutating func popFlags() -> Bool {
        guard i.operandByteCount == 8 else { return false }
        count(excluding: 0)
        stack(0, 8, write: false)
        loadChecked(rcx)
        e.storeState(TranslatorLayout.temporary, rcx)
        // All arithmetic flags are about to be replaced, so the guest's are no longer kept. What else would change?
        e.move(r9, rcx)
        exclusiveOr(0x33, TranslatorLayout.systemFlags)
        var kept = RFlags.defined & ~RFlags.arithmetic & ~2
        if !isSupervisor { kept &= ~RFlags.iopl }
        // AND R9, kept
        e.bytes(0xE18149, 3)
        e.dword(Int(kept))
        let same = e.jump(if: 4, e.offset)
        var slow: [Int] = []
        if isSupervisor {
            // CMP R9, IF
            e.bytes(0xF98149, 3)
            e.dword(Int(RFlags.interruptEnable))
            slow.append(e.jump(if: 5, e.offset))
            compareWithZero(TranslatorLayout.deferred)
            slow.append(e.jump(if: 5, e.offset))
            exclusiveOr(0x31, TranslatorLayout.systemFlags)
        } else {
            slow.append(e.jump(e.offset))
        }
        e.patch(same, to: e.offset)
        e.loadState(rcx, TranslatorLayout.temporary)
        adoptFlags()
        e.lea(HostRegisters.guestStack, base: HostRegisters.guestStack, 8)
        e.bytes(0x00EB, 2)
        let over = e.offset
        for field in slow { e.patch(field, to: e.offset) }
        fallback()
        bind(over)
        return true
    }

    private mutating func swapBases() {
        let gs = TranslatorLayout.segment(5)
        e.loadState(rcx, gs)
        e.loadState(r9, TranslatorLayout.kernelGSBase)
        e.storeState(TranslatorLayout.kernelGSBase, rcx)
        e.storeState(gs, r9)
        e.storeState(TranslatorLayout.effectiveBase(5), r9)
    }

    /// Writes RCX to the general register that is the first operand.
    private mutating func writeGeneral(byteCount: Int) {
        let number = UInt8(i.operands.0.number)
        let host = HostRegisters.host(number)
        if host == HostRegisters.inMemory {
            if byteCount == 4 { e.bytes(0xC989, 2) }
            e.storeState(TranslatorLayout.general(number), rcx)
        } else if byteCount == 8 {
            e.move(host, rcx)
        } else {
            // MOV r32, ECX
            if host > 7 { e.byte(0x41) }
            e.bytes(0x89 | UInt64(0xC8 | host & 7) << 8, 2)
        }
    }

    private mutating func moveFromSegment() -> Bool {
        guard i.operands.0.kind == .general, i.operandByteCount >= 4, i.operands.1.kind == .segment else {
            return false
        }
        // MOVZX ECX, word gs:[...]
        e.bytes(0x25_0CB7_0F65, 5)
        e.dword(TranslatorLayout.segment(i.operands.1.number) + 14)
        writeGeneral(byteCount: 4)
        return true
    }

    private mutating func moveFromControl() -> Bool {
        guard isSupervisor, i.operands.0.kind == .general else { return false }
        switch i.operands.1.number {
        case 0, 2, 3, 4: e.loadState(rcx, 0x1A0 + [0, 0, 8, 16, 24][i.operands.1.number])
        default: return false
        }
        writeGeneral(byteCount: 8)
        return true
    }

    /// RDTSC and RDTSCP, from the host's counter.
    mutating func readTimestamp() -> Bool {
        guard environment.readsHostCounter, !environment.isRepeatable,
            isSupervisor || !environment.signature.hidesTimestamp
        else { return false }
        // RDTSC; RORX RDX, RDX, 32; LEA RDX, [RDX + RAX]
        e.bytes(0x310F, 2)
        e.bytes(0x20D2_F0FB_E3C4, 6)
        e.bytes(0x0214_8D48, 4)
        // MULX RAX, RCX, gs:[...]: the high half in RAX.
        e.bytes(0x2504_F6F3_E2C4_65, 7)
        e.dword(TranslatorLayout.counterMultiplier)
        e.loadState(rcx, TranslatorLayout.counterOffset)
        e.lea(HostRegisters.rax, base: HostRegisters.rax, index: rcx, 0)
        e.loadState(rcx, TranslatorLayout.timestampOffset)
        e.lea(HostRegisters.rax, base: HostRegisters.rax, index: rcx, 0)
        // RORX RDX, RAX, 32; MOV EDX, EDX; MOV EAX, EAX
        e.bytes(0x20D0_F0FB_E3C4, 6)
        e.bytes(0xC089_D289, 4)
        if i.operation == .rdtscp {
            // MOV R10D, gs:[IA32_TSC_AUX]
            e.loadState32(HostRegisters.guestCount, TranslatorLayout.timestampAuxiliary)
        }
        return true
    }

    // MARK: SYSCALL and SYSRET

    mutating func systemTransfer() -> Bool {
        guard environment.signature.hasSystemCalls else { return false }
        return i.operation == .syscall ? systemCall() : systemReturn()
    }

    /// Segment register `number` = a flat segment of the privilege that `selector` asks for, or an absent one; RCX is lost.
    mutating func loadFlatSegment(_ number: Int, _ selector: UInt64, isCode: Bool) {
        e.move(rcx, constant: 0)
        e.storeState(TranslatorLayout.segment(number), rcx)
        // Limit, attributes, selector.
        let attributes: UInt64 = (isCode ? 0xA09B : 0xC093) | (selector & 3) << 5
        e.move(rcx, constant: selector == 0 ? 0 : 0xFFFF_FFFF | attributes << 32 | (selector & 0xFFFF) << 48)
        e.storeState(TranslatorLayout.segment(number) + 8, rcx)
    }

    /// CPL, and what follows from it.
    mutating func setPrivilege(_ level: UInt8, table: Int) {
        // MOV byte gs:[CPL], level
        e.bytes(0x25_04C6_65, 4)
        e.dword(TranslatorLayout.currentPrivilege)
        e.byte(level)
        e.loadState(rcx, TranslatorLayout.tablePointers + table * 8)
        e.storeState(Layout.tlb, rcx)
        let (from, to) = level == 0 ? (0, 1) : (1, 0)
        e.storeState(TranslatorLayout.savedStacks + from * 8, HostRegisters.hostStack)
        e.loadState(HostRegisters.hostStack, TranslatorLayout.savedStacks + to * 8)
        e.storeState32(TranslatorLayout.stackInUse, immediate: UInt32(to))
    }

    /// MOV gs:[system flags], RCX without the arithmetic flags; R9 is lost.
    mutating func storeSystemFlags() {
        e.move(r9, rcx)
        // AND R9D, ~arithmetic; OR R9D, 2
        e.bytes(0xE18141, 3)
        e.dword(Int(truncatingIfNeeded: ~RFlags.arithmetic & 0xFFFF_FFFF))
        e.bytes(0x02C9_8341, 4)
        e.storeState(TranslatorLayout.systemFlags, r9)
    }

    /// SYSCALL from user code.
    private mutating func systemCall() -> Bool {
        let signature = environment.signature
        guard table == 0, signature.systemCallMask & RFlags.ac != 0, signature.systemCallTarget >> 47 == 0x1FFFF else {
            return false
        }
        count(excluding: 0)
        loadFlags()
        e.storeState(TranslatorLayout.general(11), rcx)
        e.storeState(TranslatorLayout.temporary, rcx)
        linear(HostRegisters.guestCount, nextRIP)
        e.loadState(rcx, TranslatorLayout.temporary)
        e.move(r9, constant: ~signature.systemCallMask)
        // AND RCX, R9
        e.bytes(0xC9214C, 3)
        storeSystemFlags()
        adoptFlags()
        let selector = signature.star >> 32 & 0xFFFC
        loadFlatSegment(1, selector, isCode: true)
        loadFlatSegment(2, selector &+ 8, isCode: false)
        setPrivilege(0, table: 1)
        jump(to: signature.systemCallTarget, table: 1)
        return true
    }

    /// SYSRET to 64-bit user code, with flags that change nothing but the arithmetic ones and IF.
    private mutating func systemReturn() -> Bool {
        guard table == 1, i.operandByteCount == 8 || i.prefixes.contains(.rexW) else { return false }
        count(excluding: 0)
        var slow: [Int] = []
        // PUSHFQ; POP RCX
        e.bytes(0x599C, 2)
        e.storeState(TranslatorLayout.temporary, rcx)
        e.loadState(rcx, TranslatorLayout.general(11))
        // TEST ECX, everything else
        e.bytes(0xC1F7, 2)
        e.dword(Int(truncatingIfNeeded: ~(RFlags.arithmetic | RFlags.interruptEnable | RFlags.id | 2) & 0xFFFF_FFFF))
        slow.append(e.jump(if: 5, e.offset))
        compareWithZero(TranslatorLayout.deferred)
        slow.append(e.jump(if: 5, e.offset))
        e.move(r9, HostRegisters.guestCount)
        // SHR R9, 47
        e.bytes(0x2FE9_C149, 4)
        slow.append(e.jump(if: 5, e.offset))
        storeSystemFlags()
        adoptFlags()
        let selector = environment.signature.star >> 48
        loadFlatSegment(1, (selector &+ 16) | 3, isCode: true)
        loadFlatSegment(2, (selector &+ 8) | 3, isCode: false)
        setPrivilege(3, table: 0)
        e.move(r9, HostRegisters.guestCount)
        e.jump(environment.stubs.dispatch[0])
        for field in slow { e.patch(field, to: e.offset) }
        // It may fault.
        e.loadState(rcx, TranslatorLayout.temporary)
        adoptFlags()
        leave()
        return true
    }
}
