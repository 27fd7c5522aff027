import X86
import X86Decoder

/// BT, BTS, BTR and BTC of memory with the index in a register, which is signed and reaches beyond the operand.
extension BlockTranslator {
    private var r9: UInt8 { HostRegisters.address }
    private var rcx: UInt8 { HostRegisters.scratch }

    /// - Returns: Whether it is such an instruction and could be done.
    mutating func bitString() -> Bool {
        let byteCount = Int(i.operandByteCount)
        guard i.operands.0.isMemory, i.operands.1.kind == .general, i.addressByteCount == 8, byteCount >= 4 else { return false }
        let isWide = byteCount == 8
        let number = UInt8(i.operands.1.number)
        let index = HostRegisters.host(number)
        let writes = i.operation != .bt
        let resume = e.offset
        address()
        // RCX = the operand's distance, in operands: the index shifted right by 6 or 5.
        e.move(rcx, constant: isWide ? 6 : 5)
        e.shiftRight(rcx, index, state: TranslatorLayout.general(number), isWide: isWide)
        if !isWide {
            // MOVSXD RCX, ECX
            e.bytes(0xC96348, 3)
        }
        e.lea(r9, base: r9, index: rcx, scale: isWide ? 3 : 2, 0)
        check(byteCount, write: writes, resume: resume)
        if !writes, index != HostRegisters.inMemory {
            loadChecked(rcx, byteCount)
            e.bitTest(i.opcode, rcx, index, isWide: isWide)
            return true
        }
        e.joinAddress()
        // RCX = the index inside the operand.
        let mask = isWide ? TranslatorLayout.bitIndexMask64 : TranslatorLayout.bitIndexMask32
        if index == HostRegisters.inMemory {
            e.loadState(rcx, TranslatorLayout.general(number))
            e.extract(rcx, from: rcx, mask: mask)
        } else {
            e.extract(rcx, from: index, mask: mask)
        }
        if i.prefixes.contains(.lock) { e.byte(0xF0) }
        e.bitTestOfMemory(i.opcode, rcx, isWide: isWide)
        return true
    }

    private mutating func loadChecked(_ register: UInt8, _ byteCount: Int) {
        e.string(0x8A, register, byteCount, isJoined: false)
    }
}

extension Emitter {
    /// SARX: `register`, which holds how far, becomes `source`, or the value at gs:[state] where no register holds it, shifted.
    mutating func shiftRight(_ register: UInt8, _ source: UInt8, state: Int, isWide: Bool) {
        let isInMemory = source == HostRegisters.inMemory
        if isInMemory { byte(0x65) }
        byte(0xC4)
        byte((~register >> 3 & 1) << 7 | 0x42 | (isInMemory ? 1 : ~source >> 3 & 1) << 5)
        byte((isWide ? 0x80 : 0) | (~register & 15) << 3 | 2)
        byte(0xF7)
        if isInMemory {
            bytes(UInt64(0x04 | (register & 7) << 3) | 0x25 << 8, 2)
            dword(state)
        } else {
            byte(0xC0 | (register & 7) << 3 | source & 7)
        }
    }

    /// BT and its like between two registers.
    mutating func bitTest(_ opcode: UInt8, _ operand: UInt8, _ index: UInt8, isWide: Bool) {
        byte(0x40 | (isWide ? 8 : 0) | (index >> 3) << 2 | operand >> 3)
        bytes(0x0F | UInt64(opcode) << 8 | UInt64(0xC0 | (index & 7) << 3 | operand & 7) << 16, 3)
    }

    /// BT and its like of [R9].
    mutating func bitTestOfMemory(_ opcode: UInt8, _ index: UInt8, isWide: Bool) {
        byte(0x41 | (isWide ? 8 : 0) | (index >> 3) << 2)
        bytes(0x0F | UInt64(opcode) << 8 | UInt64((index & 7) << 3 | 1) << 16, 3)
    }
}
