import X86
import X86Decoder

// Operands of the complete integer functions, in every form and width.
extension Core {
    /// General register `number`, cut to `T`.
    @inline(__always)
    func register<T: OperandInteger>(_ number: Int, _ type: T.Type) -> T { T(truncatingIfNeeded: state[number]) }

    /// Writes general register `number`: 8 and 16 bits leave the rest of it, 32 bits are zero-extended (SDM 1 §3.4.1.1).
    @inline(__always)
    func setRegister<T: OperandInteger>(_ number: Int, _ value: T) {
        let wide = UInt64(truncatingIfNeeded: value)
        if T.bitWidth >= 32 {
            state[number] = wide
        } else {
            let mask: UInt64 = T.bitWidth == 8 ? 0xFF : 0xFFFF
            state[number] = state[number] & ~mask | wide
        }
    }

    /// Reads an operand of the width of `T`.
    @inline(__always)
    func read<T: OperandInteger>(_ i: Instruction, _ operand: Operand, _ type: T.Type) throws(Fault) -> T {
        switch operand.kind {
        case .general: return register(operand.number, T.self)
        case .memory: return try load(T.self, try linearAddress(i, MemoryLayout<T>.size, write: false))
        case .immediate: return T(truncatingIfNeeded: i.pointee.immediate)
        case .highByte: return T(truncatingIfNeeded: state[operand.number & 3] >> 8 & 0xFF)
        case .one: return 1
        default: return 0
        }
    }

    /// Writes an operand of the width of `T`.
    @inline(__always)
    func write<T: OperandInteger>(_ i: Instruction, _ operand: Operand, _ value: T) throws(Fault) {
        switch operand.kind {
        case .memory: try store(value, try linearAddress(i, MemoryLayout<T>.size, write: true))
        case .highByte:
            let number = operand.number & 3
            state[number] = state[number] & ~0xFF00 | (UInt64(truncatingIfNeeded: value) & 0xFF) << 8
        default: setRegister(operand.number, value)
        }
    }

    /// Where ``writeBack(_:_:_:)`` puts the result of a read-modify-write: a linear address, or a register.
    struct Destination {
        var operand: Operand
        var linear: UInt64
    }

    /// Proves that `operand` may be written, and says where it is; its value is then read by ``read(_:_:)``.
    @inline(__always)
    func destination<T: OperandInteger>(
        _ i: Instruction,
        _ operand: Operand,
        _ type: T.Type
    ) throws(Fault) -> Destination {
        guard operand.isMemory else { return Destination(operand: operand, linear: 0) }
        return Destination(operand: operand, linear: try linearAddress(i, MemoryLayout<T>.size, write: true))
    }

    /// The old value of a destination; throws whatever a write to it would.
    @inline(__always)
    func read<T: OperandInteger>(_ destination: Destination, _ type: T.Type) throws(Fault) -> T {
        switch destination.operand.kind {
        case .memory: return try loadForModify(T.self, destination.linear)
        case .highByte: return T(truncatingIfNeeded: state[destination.operand.number & 3] >> 8 & 0xFF)
        default: return register(destination.operand.number, T.self)
        }
    }

    /// The new value of a destination that was read: cannot fault.
    @inline(__always)
    func writeBack<T: OperandInteger>(_ i: Instruction, _ destination: Destination, _ value: T) throws(Fault) {
        if destination.operand.isMemory {
            try store(value, destination.linear)
        } else {
            try write(i, destination.operand, value)
        }
    }

    /// The bits that the operand size of `i` has.
    @inline(__always)
    func operandMask(_ i: Instruction) -> UInt64 {
        switch i.pointee.operandByteCount {
        case 1: 0xFF
        case 2: 0xFFFF
        case 4: 0xFFFF_FFFF
        default: .max
        }
    }

    /// The bits that the address size of `i` has.
    @inline(__always)
    func addressMask(_ i: Instruction) -> UInt64 {
        switch i.pointee.addressByteCount {
        case 2: 0xFFFF
        case 4: 0xFFFF_FFFF
        default: .max
        }
    }

    /// Writes the bits of a register that addresses and counts of `mask` use; 32 bits are zero-extended.
    @inline(__always)
    func setAddressRegister(_ number: Int, _ value: UInt64, mask: UInt64) {
        state[number] = mask == 0xFFFF ? state[number] & ~0xFFFF | value & 0xFFFF : value & mask
    }
}
