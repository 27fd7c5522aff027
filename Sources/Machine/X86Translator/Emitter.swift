/// Writes host instructions through the writable mapping of the code buffer.
///
/// The translator makes sure of room for a whole block before it starts one, so nothing here checks.
struct Emitter {
    /// The writable mapping, and what to add for the executable one.
    let base: UnsafeMutableRawPointer
    private(set) var cursor: UnsafeMutableRawPointer

    init(base: UnsafeMutableRawPointer, offset: Int) {
        self.base = base
        cursor = base + offset
    }

    /// The offset of the next byte in the buffer.
    @inline(__always) var offset: Int { cursor - base }

    // MARK: Raw bytes

    @inline(__always)
    mutating func byte(_ value: UInt8) {
        cursor.storeBytes(of: value, as: UInt8.self)
        cursor += 1
    }

    /// The low `count` bytes of `value`, up to eight, which may overwrite what lies behind them.
    @inline(__always)
    mutating func bytes(_ value: UInt64, _ count: Int) {
        cursor.storeBytes(of: value, as: UInt64.self)
        cursor += count
    }

    @inline(__always)
    mutating func dword(_ value: Int) {
        cursor.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
        cursor += 4
    }

    @inline(__always)
    mutating func qword(_ value: UInt64) {
        cursor.storeBytes(of: value, as: UInt64.self)
        cursor += 8
    }

    // MARK: The state block

    /// ModRM, SIB and displacement of `gs:[displacement]`.
    @inline(__always)
    private mutating func absolute(_ reg: UInt8, _ displacement: Int) {
        byte(0x04 | (reg & 7) << 3)
        byte(0x25)
        dword(displacement)
    }

    @inline(__always)
    mutating func loadState(_ register: UInt8, _ displacement: Int) {
        bytes(0x65 | UInt64(0x48 | (register >> 3) << 2) << 8 | 0x8B << 16, 3)
        absolute(register, displacement)
    }

    @inline(__always)
    mutating func loadState32(_ register: UInt8, _ displacement: Int) {
        byte(0x65)
        if register > 7 { byte(0x44) }
        byte(0x8B)
        absolute(register, displacement)
    }

    @inline(__always)
    mutating func storeState(_ displacement: Int, _ register: UInt8) {
        bytes(0x65 | UInt64(0x48 | (register >> 3) << 2) << 8 | 0x89 << 16, 3)
        absolute(register, displacement)
    }

    /// MOV dword gs:[displacement], immediate.
    mutating func storeState32(_ displacement: Int, immediate: UInt32) {
        bytes(0xC765, 2)
        absolute(0, displacement)
        dword(Int(immediate))
    }

    /// MOV register, gs:[RCX · 8 + displacement].
    @inline(__always)
    mutating func loadTable(_ register: UInt8, _ displacement: Int) {
        bytes(
            0x65 | UInt64(0x48 | (register >> 3) << 2) << 8 | 0x8B << 16 | UInt64(0x04 | (register & 7) << 3) << 24
                | 0xCD << 32,
            5
        )
        dword(displacement)
    }

    // MARK: General registers

    @inline(__always)
    mutating func move(_ destination: UInt8, _ source: UInt8) {
        bytes(
            UInt64(0x48 | (source >> 3) << 2 | destination >> 3) | 0x89 << 8 | UInt64(
                0xC0 | (source & 7) << 3 | destination & 7
            ) << 16,
            3
        )
    }

    /// A constant in the shortest form that leaves the flags alone.
    mutating func move(_ register: UInt8, constant: UInt64) {
        if constant <= UInt64(UInt32.max) {
            if register > 7 { byte(0x41) }
            byte(0xB8 | register & 7)
            dword(Int(truncatingIfNeeded: constant))
        } else if Int64(bitPattern: constant) == Int64(Int32(truncatingIfNeeded: constant)) {
            bytes(UInt64(0x48 | register >> 3) | 0xC7 << 8 | UInt64(0xC0 | register & 7) << 16, 3)
            dword(Int(truncatingIfNeeded: constant))
        } else {
            bytes(UInt64(0x48 | register >> 3) | UInt64(0xB8 | register & 7) << 8, 2)
            qword(constant)
        }
    }

    /// LEA with registers of the host; `base` or `index` ``none`` for none.
    mutating func lea(
        _ destination: UInt8,
        base: UInt8,
        index: UInt8 = none,
        scale: UInt8 = 0,
        _ displacement: Int,
        wide: Bool = true
    ) {
        let rex =
            (wide ? 0x48 : 0x40) | (destination >> 3) << 2 | (index == Self.none ? 0 : (index >> 3) << 1)
            | (base == Self.none ? 0 : base >> 3)
        if rex != 0x40 { byte(rex) }
        byte(0x8D)
        operand(destination, base: base, index: index, scale: scale, displacement)
    }

    static let none: UInt8 = 0xFF

    /// ModRM, SIB and displacement of a memory operand; the caller has written the REX bits.
    mutating func operand(_ reg: UInt8, base: UInt8, index: UInt8, scale: UInt8, _ displacement: Int) {
        let field = (reg & 7) << 3
        guard base != Self.none else {
            byte(field | 4)
            byte(scale << 6 | (index == Self.none ? 4 : index & 7) << 3 | 5)
            return dword(displacement)
        }
        let isByte = displacement >= -128 && displacement < 128
        let mod: UInt8 = displacement == 0 && base & 7 != 5 ? 0 : isByte ? 0x40 : 0x80
        if index == Self.none, base & 7 != 4 {
            byte(mod | field | base & 7)
        } else {
            byte(mod | field | 4)
            byte(scale << 6 | (index == Self.none ? 4 : index & 7) << 3 | base & 7)
        }
        if mod == 0x40 { byte(UInt8(truncatingIfNeeded: displacement)) } else if mod == 0x80 { dword(displacement) }
    }

    // MARK: What a check is made of

    /// ECX = bits 27:12 of R9: the TLB slot.
    @inline(__always)
    mutating func slot() {
        bytes(0x0CC9_F07B_C3C4, 6)
        bytes(0xC9B70F, 3)
    }

    /// RCX = the slot of the hash for the address in R9: RORX ECX, R9D, 12; LEA RCX, [RCX + R9]; PEXT.
    mutating func hashSlot() {
        bytes(0x0CC9_F07B_C3C4, 6)
        lea(HostRegisters.scratch, base: HostRegisters.scratch, index: HostRegisters.address, 0)
        extract(HostRegisters.scratch, mask: TranslatorLayout.hashMask)
    }

    /// RCX = PEXT(`source`, gs:[mask]); `source` is RCX or R9.
    mutating func extract(_ source: UInt8, mask: Int) {
        bytes(
            0x65 | 0xC4 << 8 | 0xE2 << 16 | UInt64(source == HostRegisters.scratch ? 0xF2 : 0xB2) << 24 | 0xF5 << 32
                | 0x0C << 40 | 0x25 << 48,
            7
        )
        dword(mask)
    }

    /// RCX = PDEP(RCX, gs:[mask]).
    mutating func deposit(mask: Int) {
        bytes(0x25_0CF5_F3E2_C465, 7)
        dword(mask)
    }

    /// RCX = RCX with the bits outside the mask at `mask` cleared.
    mutating func keepBits(mask: Int) {
        extract(HostRegisters.scratch, mask: mask)
        deposit(mask: mask)
    }

    /// LEA RCX, [RCX + R9 + displacement].
    mutating func sumOfScratch(_ displacement: Int) {
        lea(HostRegisters.scratch, base: HostRegisters.scratch, index: HostRegisters.address, displacement)
    }

    /// LEA R9, [R9 + RCX]: frees RCX.
    @inline(__always)
    mutating func joinAddress() {
        lea(HostRegisters.address, base: HostRegisters.address, index: HostRegisters.scratch, 0)
    }

    /// RCX = 0 if R9 is canonical.
    mutating func testCanonical() {
        // The upper 17 bits are 0 or 1FFFFh: with 1 added, bits 16:1 are clear.
        extract(HostRegisters.address, mask: TranslatorLayout.canonicalMask)
        lea(HostRegisters.scratch, base: HostRegisters.scratch, 1)
        extract(HostRegisters.scratch, mask: TranslatorLayout.canonicalSumMask)
    }

    /// Adds `n` to the vCPU's count of instructions; RCX is lost.
    mutating func addToCount(_ n: Int) {
        loadState(HostRegisters.scratch, TranslatorLayout.instructionCount)
        lea(HostRegisters.scratch, base: HostRegisters.scratch, n)
        storeState(TranslatorLayout.instructionCount, HostRegisters.scratch)
    }

    // MARK: Control

    /// JRCXZ over the next `byteCount` bytes.
    @inline(__always)
    mutating func jumpIfZeroCount(over byteCount: UInt8) { bytes(0xE3 | UInt64(byteCount) << 8, 2) }

    /// JMP to an offset of the buffer; returns where its displacement lies.
    @discardableResult
    mutating func jump(_ target: Int) -> Int {
        byte(0xE9)
        dword(target - (offset + 4))
        return offset - 4
    }

    @discardableResult
    mutating func call(_ target: Int) -> Int {
        byte(0xE8)
        dword(target - (offset + 4))
        return offset - 4
    }

    /// Jcc; `condition` is the low half of the opcode.
    @discardableResult
    mutating func jump(if condition: UInt8, _ target: Int) -> Int {
        byte(0x0F)
        byte(0x80 | condition)
        dword(target - (offset + 4))
        return offset - 4
    }

    /// Makes the displacement at `field` lead to `target`.
    func patch(_ field: Int, to target: Int) {
        (base + field).storeBytes(of: Int32(truncatingIfNeeded: target - (field + 4)), as: Int32.self)
    }
}
