import X86
import X86Decoder

// Operands whose width is known only at run time.
extension Core {
    /// The unsigned integer of 1, 2, 4 or 8 bytes at `linear`.
    func load(byteCount: Int, _ linear: UInt64) throws(Fault) -> UInt64 {
        switch byteCount {
        case 1: UInt64(try load(UInt8.self, linear))
        case 2: UInt64(try load(UInt16.self, linear))
        case 4: UInt64(try load(UInt32.self, linear))
        default: try load(UInt64.self, linear)
        }
    }

    func store(_ value: UInt64, byteCount: Int, _ linear: UInt64) throws(Fault) {
        switch byteCount {
        case 1: try store(UInt8(truncatingIfNeeded: value), linear)
        case 2: try store(UInt16(truncatingIfNeeded: value), linear)
        case 4: try store(UInt32(truncatingIfNeeded: value), linear)
        default: try store(value, linear)
        }
    }

    /// Writes a general register: 1 and 2 bytes keep the rest, 4 bytes clear bits 63:32.
    @inline(__always)
    func writeGeneral(_ number: Int, _ value: UInt64, _ byteCount: Int) {
        let s = state
        switch byteCount {
        case 1: s[number] = s[number] & ~0xFF | value & 0xFF
        case 2: s[number] = s[number] & ~0xFFFF | value & 0xFFFF
        case 4: s[number] = value & 0xFFFF_FFFF
        default: s[number] = value
        }
    }

    /// The 16-bit r/m operand of `i`.
    func word(_ i: Instruction, _ operand: Operand) throws(Fault) -> UInt16 {
        if operand.isMemory { return try load(UInt16.self, try linearAddress(i, 2, write: false)) }
        return UInt16(truncatingIfNeeded: state[operand.number])
    }

    /// Stores a selector or machine status word: 16 bits to memory, the whole operand size to a register.
    func storeWord(_ i: Instruction, _ value: UInt64) throws(Fault) {
        let operand = i.pointee.operands.0
        if operand.isMemory {
            try store(UInt16(truncatingIfNeeded: value), try linearAddress(i, 2, write: true))
        } else {
            writeGeneral(operand.number, value, Int(i.pointee.operandByteCount))
        }
    }

    /// `old` with the bits in `mask` from `new`; a 32-bit stack pointer clears the upper half.
    func mergeStackPointer(_ old: UInt64, _ new: UInt64, _ mask: UInt64) -> UInt64 {
        mask == 0xFFFF ? old & ~0xFFFF | new & 0xFFFF : new & mask
    }

    /// #GP(0) unless the CPL is 0.
    @inline(__always)
    func requirePrivilege() throws(Fault) {
        guard state.cpl == 0 else { throw .generalProtection() }
    }

    /// #UD in real and virtual-8086 mode.
    @inline(__always)
    func requireProtected() throws(Fault) {
        guard !state.mode.isRealLike else { throw .invalidOpcode }
    }

    func setZeroFlag(_ value: Bool) { state.setArithmeticFlags(value ? RFlags.zf : 0, mask: RFlags.zf) }
}
