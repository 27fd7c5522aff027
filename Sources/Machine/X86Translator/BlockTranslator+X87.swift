import X86
import X86Decoder

extension TranslatorLayout {
    // The x87 control and status words, 16 bits each, in the XSAVE area.
    static let x87Control = CPUState.xsaveOffset
    static let x87Status = CPUState.xsaveOffset + 2
    // Constants for PEXT and PDEP.
    /// FSW: the exception flags, ES and B.
    static let x87FlagsMask = 0xCC0
    /// FCW without what is reserved.
    static let x87ControlMask = 0xCC8

    static let x87Constants: [(offset: Int, value: UInt64)] = [(x87FlagsMask, 0x80BF), (x87ControlMask, 0x1F3F)]
}

/// The x87 instructions that need no x87 registers: the guest's state stays in the state block, where the interpreter, which runs
/// the others, keeps the guest's own instruction and data pointers.
extension BlockTranslator {
    private var r9: UInt8 { HostRegisters.address }
    private var rcx: UInt8 { HostRegisters.scratch }

    /// FNSTCW FNSTSW FLDCW FWAIT.
    mutating func x87Control() {
        // CR0.EM and CR0.TS are clear.
        guard environment.signature.usesSSE else { return fallback() }
        switch i.operation {
        case .fnstcw: storeWord(TranslatorLayout.x87Control)
        case .fnstsw:
            if i.operands.0.isMemory { return storeWord(TranslatorLayout.x87Status) }
            // MOV AX, gs:[...]
            e.bytes(0x25_048B_6665, 5)
            e.dword(TranslatorLayout.x87Status)
        case .fwait:
            // RCX = the exceptions raised and not masked.
            beginDetours()
            e.loadState16(r9, TranslatorLayout.x87Control)
            // NOT R9, which leaves the flags alone.
            e.bytes(0xD1F749, 3)
            e.extract(r9, from: r9, mask: TranslatorLayout.bitIndexMask64)
            e.loadState16(rcx, TranslatorLayout.x87Status)
            // PEXT RCX, RCX, R9
            e.bytes(0xC9F5_F2C2_C4, 5)
            detourUnlessZero()
            endDetours()
        default:
            // With an exception flag set a new mask could raise it.
            beginDetours()
            e.loadState16(rcx, TranslatorLayout.x87Status)
            e.extract(rcx, mask: TranslatorLayout.x87FlagsMask)
            detourUnlessZero()
            operand(2, write: false)
            // MOVZX ECX, word [R9 + RCX]
            e.bytes(0x090C_B70F_41, 5)
            e.keepBits(mask: TranslatorLayout.x87ControlMask)
            e.lea(rcx, base: rcx, 0x40)
            // MOV gs:[...], CX
            e.bytes(0x25_0C89_6665, 5)
            e.dword(TranslatorLayout.x87Control)
            endDetours()
        }
    }

    private mutating func storeWord(_ offset: Int) {
        operand(2, write: true)
        e.joinAddress()
        e.loadState16(rcx, offset)
        e.string(0x88, rcx, 2, isJoined: true)
    }
}

extension Emitter {
    /// MOVZX register, word gs:[displacement].
    mutating func loadState16(_ register: UInt8, _ displacement: Int) {
        byte(0x65)
        if register > 7 { byte(0x44) }
        bytes(0x0F | 0xB7 << 8 | UInt64(0x04 | (register & 7) << 3) << 16 | 0x25 << 24, 4)
        dword(displacement)
    }
}
