import X86
import X86Decoder

extension TranslatorLayout {
    // Constants for PEXT.
    /// RFLAGS.DF.
    static let directionMask = 0xC00
    /// 0xFFF: the offset in a page.
    static let pageOffsetMask = 0xC08
    /// 63 and 31: the index of a bit in its operand.
    static let bitIndexMask64 = 0xC10
    static let bitIndexMask32 = 0xC18
    /// What a string instruction keeps while it needs the host's RSI.
    static let stringSource = 0xC20
    static let stringIndex = 0xC28

    /// The constants, where they belong.
    static let stringConstants: [(offset: Int, value: UInt64)] = [
        (directionMask, RFlags.df), (pageOffsetMask, 0xFFF), (bitIndexMask64, 63), (bitIndexMask32, 31),
    ]
}

/// String instructions of 64-bit addresses, forwards.
///
/// A repeated one runs as the host's own where it stays inside one page on each side; it is over then, so that nothing has to be
/// exact half-way. The rest - backwards, several pages, CMPS and SCAS repeated - is the interpreter's, which moves a page at once.
extension BlockTranslator {
    private var r9: UInt8 { HostRegisters.address }
    private var rcx: UInt8 { HostRegisters.scratch }
    private static let rax: UInt8 = 0
    private static let rsi: UInt8 = 6
    private static let rdi: UInt8 = 7

    /// MOVS STOS LODS SCAS CMPS.
    mutating func string() {
        let byteCount = Int(i.operandByteCount)
        guard i.addressByteCount == 8 else { return fallback() }
        if !i.prefixes.isDisjoint(with: [.repeatEqual, .repeatNotEqual]) {
            switch i.operation {
            case .stos: repeatedStore(byteCount)
            case .movs: repeatedMove(byteCount)
            default: fallback()
            }
            return
        }
        beginDetours()
        e.loadState(rcx, TranslatorLayout.systemFlags)
        e.extract(rcx, from: rcx, mask: TranslatorLayout.directionMask)
        detourUnlessZero()
        switch i.operation {
        case .stos:
            destination(byteCount, write: true)
            e.string(0x88, Self.rax, byteCount, isJoined: false)
        case .lods:
            source(byteCount)
            e.string(0x8A, Self.rax, byteCount, isJoined: false)
        case .scas:
            destination(byteCount, write: false)
            e.string(0x3A, Self.rax, byteCount, isJoined: false)
        case .movs:
            element(byteCount, writes: true)
            e.string(0x88, rcx, byteCount, isJoined: true)
        default:
            element(byteCount, writes: false)
            e.string(0x3A, rcx, byteCount, isJoined: true)
        }
        let usesSource = i.operation != .stos && i.operation != .scas
        if usesSource { e.lea(Self.rsi, base: Self.rsi, byteCount) }
        if i.operation != .lods { e.lea(Self.rdi, base: Self.rdi, byteCount) }
        endDetours()
    }

    // MARK: One element

    /// R9 + RCX = the host address of the element at rDI.
    private mutating func destination(_ byteCount: Int, write: Bool) {
        let resume = e.offset
        e.move(r9, Self.rdi)
        check(byteCount, write: write, resume: resume)
    }

    /// R9 + RCX = the host address of the element at rSI.
    private mutating func source(_ byteCount: Int) {
        let resume = e.offset
        sourceAddress()
        check(byteCount, write: false, resume: resume)
    }

    /// R9 = the linear address of the element at rSI.
    private mutating func sourceAddress() {
        e.move(r9, Self.rsi)
        guard i.segment == 4 || i.segment == 5 else { return }
        e.loadState(rcx, TranslatorLayout.effectiveBase(i.segment))
        e.joinAddress()
    }

    /// RCX = the element at rSI, R9 = the host address of the one at rDI.
    private mutating func element(_ byteCount: Int, writes: Bool) {
        source(byteCount)
        e.string(0x8A, rcx, byteCount, isJoined: false)
        e.storeState(TranslatorLayout.temporary, rcx)
        destination(byteCount, write: writes)
        e.joinAddress()
        e.loadState(rcx, TranslatorLayout.temporary)
    }

    // MARK: Repeated

    /// Leaves for the interpreter unless DF is clear and all elements at rDI, and at rSI, lie inside one page.
    private mutating func proveOnePage(_ scale: UInt8, _ usesSource: Bool) {
        let guestCount = HostRegisters.guestCount
        if usesSource, i.segment == 4 || i.segment == 5 {
            sourceAddress()
            e.storeState(TranslatorLayout.stringSource, r9)
        }
        // RCX = a sum of terms far below 2^64, each 0 where its condition holds; the last are right if the second holds.
        e.loadState(rcx, TranslatorLayout.systemFlags)
        e.extract(rcx, from: rcx, mask: TranslatorLayout.directionMask)
        e.extract(r9, from: guestCount, mask: TranslatorLayout.pageMask)
        e.sumOfScratch(0)
        func addOverflow(_ t: inout Self) {
            t.e.lea(t.r9, base: t.r9, index: guestCount, scale: scale, -1)
            t.e.extract(t.r9, from: t.r9, mask: TranslatorLayout.pageMask)
            t.e.sumOfScratch(0)
        }
        e.extract(r9, from: Self.rdi, mask: TranslatorLayout.pageOffsetMask)
        addOverflow(&self)
        if usesSource {
            if i.segment == 4 || i.segment == 5 {
                e.loadState(r9, TranslatorLayout.stringSource)
                e.extract(r9, from: r9, mask: TranslatorLayout.pageOffsetMask)
            } else {
                e.extract(r9, from: Self.rsi, mask: TranslatorLayout.pageOffsetMask)
            }
            addOverflow(&self)
        }
        detourUnlessZero()
    }

    private mutating func repeatedStore(_ byteCount: Int) {
        let scale = UInt8(byteCount.trailingZeroBitCount)
        let guestCount = HostRegisters.guestCount
        beginDetours()
        let skip = skipIfCountIsZero()
        proveOnePage(scale, false)
        destination(byteCount, write: true)
        e.joinAddress()
        e.move(rcx, guestCount)
        e.exchange(r9, Self.rdi)
        e.repeatedString(0xAA, byteCount)
        e.lea(Self.rdi, base: r9, index: guestCount, scale: scale, 0)
        e.move(guestCount, rcx)
        e.patch(skip, to: e.offset)
        endDetours()
    }

    private mutating func repeatedMove(_ byteCount: Int) {
        let scale = UInt8(byteCount.trailingZeroBitCount)
        let guestCount = HostRegisters.guestCount
        beginDetours()
        let skip = skipIfCountIsZero()
        proveOnePage(scale, true)
        source(byteCount)
        e.joinAddress()
        e.storeState(TranslatorLayout.stringSource, r9)
        destination(byteCount, write: true)
        e.joinAddress()
        e.move(rcx, guestCount)
        e.exchange(r9, Self.rdi)
        e.storeState(TranslatorLayout.stringIndex, Self.rsi)
        e.loadState(Self.rsi, TranslatorLayout.stringSource)
        e.repeatedString(0xA4, byteCount)
        e.loadState(Self.rsi, TranslatorLayout.stringIndex)
        e.lea(Self.rsi, base: Self.rsi, index: guestCount, scale: scale, 0)
        e.lea(Self.rdi, base: r9, index: guestCount, scale: scale, 0)
        e.move(guestCount, rcx)
        e.patch(skip, to: e.offset)
        endDetours()
    }

    /// A repeated instruction with a count of 0 does nothing.
    ///
    /// - Returns: The jump to patch to its end.
    private mutating func skipIfCountIsZero() -> Int {
        e.move(rcx, HostRegisters.guestCount)
        e.jumpIfZeroCount(over: 2)
        e.bytes(0x05EB, 2)
        return e.jump(e.offset)
    }
}

/// A way from an instruction's code to the interpreter, and back to the instruction's end.
struct Detour {
    var field: Int
    var back = 0
    var guestOffset: Int
    var operation: Operation
}

extension BlockTranslator {
    /// Counts what came before, so that the instruction may be counted here or by the interpreter.
    mutating func beginDetours() {
        count()
        uncounted = 1
    }

    /// Goes on where RCX is 0; else lets the interpreter run the instruction.
    mutating func detourUnlessZero() {
        e.jumpIfZeroCount(over: 5)
        detours.append(Detour(field: e.jump(e.offset), guestOffset: guestOffset, operation: i.operation))
    }

    /// The instruction's end, to which its detours lead.
    mutating func endDetours() {
        for index in detours.indices.reversed() {
            guard detours[index].guestOffset == guestOffset else { break }
            detours[index].back = e.offset
        }
    }

    /// Writes the detours, behind the block.
    mutating func finishDetours() {
        for detour in detours {
            e.patch(detour.field, to: e.offset)
            e.call(environment.stubs.fallback)
            let site = addSite(.fallback, detour.guestOffset)
            store.sites[site].operation = detour.operation.rawValue
            if environment.countsInstructions {
                // The interpreter has counted it too.
                e.loadState(HostRegisters.scratch, TranslatorLayout.instructionCount)
                e.lea(HostRegisters.scratch, base: HostRegisters.scratch, -1)
                e.storeState(TranslatorLayout.instructionCount, HostRegisters.scratch)
            }
            e.jump(detour.back)
        }
    }
}

extension Emitter {
    /// PEXT of a register with the mask at gs:[mask].
    mutating func extract(_ destination: UInt8, from source: UInt8, mask: Int) {
        bytes(0x65 | 0xC4 << 8 | UInt64((~destination >> 3 & 1) << 7 | 0x62) << 16 | UInt64(0x82 | (~source & 15) << 3) << 24 | 0xF5 << 32, 5)
        bytes(UInt64(0x04 | (destination & 7) << 3) | 0x25 << 8, 2)
        dword(mask)
    }

    /// XCHG of two registers.
    mutating func exchange(_ a: UInt8, _ b: UInt8) {
        bytes(UInt64(0x48 | (a >> 3) << 2 | b >> 3) | 0x87 << 8 | UInt64(0xC0 | (a & 7) << 3 | b & 7) << 16, 3)
    }

    /// An instruction between a register and [R9 + RCX], or [R9] if `isJoined`; `opcode` is that of its 8-bit form.
    mutating func string(_ opcode: UInt8, _ register: UInt8, _ byteCount: Int, isJoined: Bool) {
        if byteCount == 2 { byte(0x66) }
        byte(0x41 | (byteCount == 8 ? 8 : 0) | (register >> 3) << 2)
        byte(byteCount == 1 ? opcode : opcode | 1)
        byte((register & 7) << 3 | (isJoined ? 1 : 4))
        if !isJoined { byte(0x09) }
    }

    /// REP and a string instruction; `opcode` is that of its 8-bit form.
    mutating func repeatedString(_ opcode: UInt8, _ byteCount: Int) {
        if byteCount == 2 { byte(0x66) }
        byte(0xF3)
        if byteCount == 8 { byte(0x48) }
        byte(byteCount == 1 ? opcode : opcode | 1)
    }
}
