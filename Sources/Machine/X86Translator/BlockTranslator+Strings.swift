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
    /// The elements of the pages at hand.
    static let stringCount = 0xCD0

    /// The constants, where they belong.
    static let stringConstants: [(offset: Int, value: UInt64)] = [
        (directionMask, RFlags.df), (pageOffsetMask, 0xFFF), (bitIndexMask64, 63), (bitIndexMask32, 31),
    ]
}

/// String instructions of 64-bit addresses, forwards.
///
/// A repeated STOS or MOVS runs as the host's own where it stays inside one page on each side, else page by page, with RCX, RSI and
/// RDI as the guest sees them between. The rest - backwards, elements across pages, CMPS and SCAS repeated - is the interpreter's.
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

    /// Goes on only where DF is clear and all elements at rDI, and at rSI, lie inside one page; else page by page, from `start`.
    private mutating func proveOnePage(_ scale: UInt8, _ usesSource: Bool, start: Int) {
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
        lists.detours[lists.detours.count - 1].start = start
    }

    private mutating func repeatedStore(_ byteCount: Int) {
        beginDetours()
        let start = e.offset
        let skip = skipIfCountIsZero()
        proveOnePage(UInt8(byteCount.trailingZeroBitCount), false, start: start)
        store(byteCount) { $0.e.move($0.rcx, HostRegisters.guestCount) }
        e.patch(skip, to: e.offset)
        endDetours()
    }

    private mutating func repeatedMove(_ byteCount: Int) {
        beginDetours()
        let start = e.offset
        let skip = skipIfCountIsZero()
        proveOnePage(UInt8(byteCount.trailingZeroBitCount), true, start: start)
        move(byteCount) { $0.e.move($0.rcx, HostRegisters.guestCount) }
        e.patch(skip, to: e.offset)
        endDetours()
    }

    /// The host's REP STOS of as many elements, all in one page, as `count` puts into RCX.
    private mutating func store(_ byteCount: Int, _ count: (inout Self) -> Void) {
        destination(byteCount, write: true)
        checksWholePage()
        e.joinAddress()
        count(&self)
        e.exchange(r9, Self.rdi)
        e.repeatedString(0xAA, byteCount)
        count(&self)
        e.lea(Self.rdi, base: r9, index: rcx, scale: UInt8(byteCount.trailingZeroBitCount), 0)
        reduceCount()
    }

    /// The host's REP MOVS of as many elements, all in one page on each side, as `count` puts into RCX.
    private mutating func move(_ byteCount: Int, _ count: (inout Self) -> Void) {
        let scale = UInt8(byteCount.trailingZeroBitCount)
        source(byteCount)
        e.joinAddress()
        e.storeState(TranslatorLayout.stringSource, r9)
        destination(byteCount, write: true)
        checksWholePage()
        e.joinAddress()
        count(&self)
        e.exchange(r9, Self.rdi)
        e.storeState(TranslatorLayout.stringIndex, Self.rsi)
        e.loadState(Self.rsi, TranslatorLayout.stringSource)
        e.repeatedString(0xA4, byteCount)
        count(&self)
        e.loadState(Self.rsi, TranslatorLayout.stringIndex)
        e.lea(Self.rsi, base: Self.rsi, index: rcx, scale: scale, 0)
        e.lea(Self.rdi, base: r9, index: rcx, scale: scale, 0)
        reduceCount()
    }

    /// Takes RCX from the guest's count.
    private mutating func reduceCount() {
        // NOT RCX, which leaves the flags alone.
        e.bytes(0xD1F748, 3)
        e.lea(HostRegisters.guestCount, base: HostRegisters.guestCount, index: rcx, 1)
    }

    /// Handles the elements up to the nearest page edge, and goes back to `start`; nothing, and goes on behind this, where an
    /// element lies across the edge, DF is set or an event is pending.
    mutating func handlePages(backTo start: Int) {
        let byteCount = Int(i.operandByteCount)
        let isMove = i.operation == .movs
        if isMove { sourceAddress() }
        // PUSHFQ: up to POPFQ nothing leaves.
        e.byte(0x9C)
        if isMove {
            // AND R9D, 0xFFF; SUB R9D, 0x1000; NEG R9D: the bytes up to the source's page edge.
            e.bytes(0x0FFF_E181_41, 7)
            e.bytes(0x1000_E981_41, 7)
            e.bytes(0xD9F741, 3)
        }
        // MOV ECX, EDI; AND ECX, 0xFFF; SUB ECX, 0x1000; NEG ECX: and to the destination's.
        e.bytes(0xF989, 2)
        e.bytes(0x0FFF_E181, 6)
        e.bytes(0x1000_E981, 6)
        e.bytes(0xD9F7, 2)
        if isMove {
            // CMP ECX, R9D; CMOVA ECX, R9D
            e.bytes(0xC93944, 3)
            e.bytes(0xC947_0F41, 4)
        }
        // SHR ECX, scale; CMP R10, RCX; CMOVB RCX, R10
        e.bytes(0xE9C1 | UInt64(byteCount.trailingZeroBitCount) << 16, 3)
        e.bytes(0xCA3949, 3)
        e.bytes(0xCA42_0F49, 4)
        // MOV R9D, 0; TEST byte gs:[RFLAGS + 1], DF; CMOVNZ ECX, R9D
        e.move(r9, constant: 0)
        e.bytes(0x25_04F6_65, 4)
        e.dword(TranslatorLayout.systemFlags + 1)
        e.byte(UInt8(RFlags.df >> 8))
        e.bytes(0xC945_0F41, 4)
        // CMP dword gs:[pending], 0; CMOVNZ ECX, R9D; POPFQ
        e.bytes(0x25_3C83_65, 4)
        e.dword(TranslatorLayout.pending)
        e.byte(0)
        e.bytes(0xC945_0F41, 4)
        e.byte(0x9D)
        e.storeState(TranslatorLayout.stringCount, rcx)
        e.jumpIfZeroCount(over: 2)
        // JMP over the next.
        e.bytes(0x05EB, 2)
        let nothing = e.jump(e.offset)
        if isMove {
            move(byteCount) { $0.e.loadState($0.rcx, TranslatorLayout.stringCount) }
        } else {
            store(byteCount) { $0.e.loadState($0.rcx, TranslatorLayout.stringCount) }
        }
        e.jump(start)
        e.patch(nothing, to: e.offset)
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
    var instruction: DecodedInstruction
    /// The TLB table at the instruction.
    var table: Int
    /// Where the code of a repeated string instruction starts, which is first run page by page.
    var start: Int?
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
        lists.detours.append(Detour(field: e.jump(e.offset), guestOffset: guestOffset, instruction: i, table: table))
    }

    /// The instruction's end, to which its detours lead.
    mutating func endDetours() {
        for index in lists.detours.indices.reversed() {
            guard lists.detours[index].guestOffset == guestOffset else { break }
            lists.detours[index].back = e.offset
        }
    }

    /// Writes the detours, behind the block.
    mutating func finishDetours() {
        // Every instruction with a detour has counted what came before it.
        uncounted = 0
        countBefore = instructionCount
        for detour in lists.detours {
            e.patch(detour.field, to: e.offset)
            (i, guestOffset, table) = (detour.instruction, detour.guestOffset, detour.table)
            // A check compares whole instructions.
            if let start = detour.start, !environment.isRepeatable { handlePages(backTo: start) }
            e.call(environment.stubs.fallback)
            addSite(.fallback, guestOffset)
            // The interpreter has counted it too.
            if environment.countsInstructions { e.addToCount(-1) }
            e.jump(detour.back)
        }
    }
}

extension Emitter {
    /// PEXT of a register with the mask at gs:[mask].
    mutating func extract(_ destination: UInt8, from source: UInt8, mask: Int) {
        bytes(
            0x65 | 0xC4 << 8 | UInt64((~destination >> 3 & 1) << 7 | 0x62) << 16 | UInt64(0x82 | (~source & 15) << 3)
                << 24 | 0xF5 << 32,
            5
        )
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
