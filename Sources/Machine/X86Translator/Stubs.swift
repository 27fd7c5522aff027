import HostCode
import X86
import X86Interpreter

/// The offsets of the code that every block shares: entry, exits, and the hash of indirect branches.
struct Stubs {
    var enter = 0
    var readMiss = 0
    var writeMiss = 0
    var fallback = 0
    var link = 0
    var pending = 0
    var hostFault = 0
    /// For an address in R9, by TLB table; entered by a jump.
    var dispatch: [3 of Int] = [0, 0, 0]
    /// Goes on behind a check whose operand was gathered from two pages.
    var crossing = 0
    /// What lies at the bottom of each stack of return addresses: the hash.
    var returnMiss = 0
    /// A dispatch that leaves at once.
    var dispatchExit = 0

    private static let calleeSaved: [UInt8] = [3, 5, 12, 13, 14, 15]

    /// Writes the stubs; generated code behind them may use AVX registers if `usesAVX`.
    init(_ e: inout Emitter, usesAVX: Bool) {
        enter = e.offset
        Self.writeEntry(&e, usesAVX)
        let common = e.offset
        Self.writeExit(&e, usesAVX)
        func exit(_ reason: ExitReason) -> Int {
            let start = e.offset
            e.storeState32(TranslatorLayout.exitReason, immediate: reason.rawValue)
            e.jump(common)
            return start
        }
        readMiss = exit(.readMiss)
        writeMiss = exit(.writeMiss)
        fallback = exit(.fallback)
        link = exit(.link)
        pending = exit(.pending)
        hostFault = exit(.hostFault)
        dispatchExit = exit(.dispatch)
        for table in 0..<3 { dispatch[table] = Self.writeDispatch(&e, table, dispatchExit) }
        crossing = e.offset
        e.loadState(HostRegisters.address, TranslatorLayout.crossingAddress)
        e.move(HostRegisters.scratch, constant: 0)
        // JMP gs:[...]
        e.bytes(0x2524_FF65, 4)
        e.dword(TranslatorLayout.crossingResume)
        returnMiss = e.offset
        // The entry stays at the bottom: LEA RSP, [RSP - 8].
        e.bytes(0xF824_648D_48, 5)
        // The user's stack is number 0; code of the third table makes no host RET.
        e.loadState32(HostRegisters.scratch, TranslatorLayout.stackInUse)
        e.jumpIfZeroCount(over: 5)
        e.jump(dispatch[1])
        e.jump(dispatch[0])
    }

    private static func writeEntry(_ e: inout Emitter, _ usesAVX: Bool) {
        for register in calleeSaved { push(&e, register) }
        e.storeState(TranslatorLayout.hostRSP, HostRegisters.hostStack)
        vectors(&e, load: true, usesAVX)
        // LDMXCSR gs:[...]
        e.bytes(0x25_14AE_0F65, 5)
        e.dword(CPUState.xsaveOffset + 24)
        e.loadState(HostRegisters.hostStack, TranslatorLayout.returnStack)
        e.loadState(HostRegisters.rax, TranslatorLayout.hostFlags)
        push(&e, HostRegisters.rax)
        e.byte(0x9D)
        for number in HostRegisters.resident {
            e.loadState(HostRegisters.host(number), TranslatorLayout.general(number))
        }
        // JMP gs:[resume]
        e.bytes(0x2524_FF65, 4)
        e.dword(TranslatorLayout.resume)
    }

    private static func writeExit(_ e: inout Emitter, _ usesAVX: Bool) {
        // PUSHFQ; POP RCX
        e.bytes(0x599C, 2)
        e.storeState(TranslatorLayout.hostFlags, HostRegisters.scratch)
        e.storeState(TranslatorLayout.exitAddress, HostRegisters.address)
        for number in HostRegisters.resident {
            e.storeState(TranslatorLayout.general(number), HostRegisters.host(number))
        }
        vectors(&e, load: false, usesAVX)
        // STMXCSR gs:[...]
        e.bytes(0x25_1CAE_0F65, 5)
        e.dword(CPUState.xsaveOffset + 24)
        // LDMXCSR gs:[...]
        e.bytes(0x25_14AE_0F65, 5)
        e.dword(TranslatorLayout.hostMXCSR)
        e.storeState(TranslatorLayout.returnStack, HostRegisters.hostStack)
        e.loadState(HostRegisters.hostStack, TranslatorLayout.hostRSP)
        for register in calleeSaved.reversed() { pop(&e, register) }
        e.byte(0xC3)
    }

    private static func push(_ e: inout Emitter, _ register: UInt8) {
        if register > 7 { e.byte(0x41) }
        e.byte(0x50 | register & 7)
    }

    private static func pop(_ e: inout Emitter, _ register: UInt8) {
        if register > 7 { e.byte(0x41) }
        e.byte(0x58 | register & 7)
    }

    /// All vector registers from or to the XSAVE area.
    private static func vectors(_ e: inout Emitter, load: Bool, _ usesAVX: Bool) {
        for register in 0..<16 as Range<UInt8> {
            let low = CPUState.xsaveOffset + 160 + Int(register) * 16
            let high = CPUState.xsaveOffset + 576 + Int(register) * 16
            let field = 0x04 | (register & 7) << 3
            e.byte(0x65)
            if usesAVX {
                // VMOVUPS xmm, m128 or back.
                e.byte(0xC5)
                e.byte((~register >> 3 & 1) << 7 | 0x78)
            } else {
                if register > 7 { e.byte(0x44) }
                e.byte(0x0F)
            }
            e.byte(load ? 0x10 : 0x11)
            e.byte(field)
            e.byte(0x25)
            e.dword(low)
            guard usesAVX else { continue }
            // VINSERTF128 ymm, ymm, m128, 1 or VEXTRACTF128 m128, ymm, 1.
            e.byte(0x65)
            e.byte(0xC4)
            e.byte((~register >> 3 & 1) << 7 | 0x63)
            e.byte(0x05 | ((load ? ~register : 15) & 15) << 3)
            e.byte(load ? 0x18 : 0x19)
            e.byte(field)
            e.byte(0x25)
            e.dword(high)
            e.byte(1)
        }
        if usesAVX, !load { e.bytes(0x77F8C5, 3) }
    }

    /// Goes on at the guest address in R9; the flags stay.
    private static func writeDispatch(_ e: inout Emitter, _ table: Int, _ leave: Int) -> Int {
        let start = e.offset
        e.loadState32(HostRegisters.scratch, TranslatorLayout.pending)
        e.jumpIfZeroCount(over: 5)
        e.jump(leave)
        e.hashSlot()
        e.loadTable(HostRegisters.scratch, TranslatorLayout.hashTags(table))
        e.sumOfScratch(0)
        e.jumpIfZeroCount(over: 5)
        e.jump(leave)
        e.hashSlot()
        // JMP gs:[RCX · 8 + ...]
        e.bytes(0xCD24_FF65, 4)
        e.dword(TranslatorLayout.hashCode(table))
        return start
    }
}
