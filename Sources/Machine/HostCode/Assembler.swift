/// A general register of the host, in encoding order.
@frozen
public enum HostRegister: UInt8, Sendable {
    case rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
}

/// A memory operand of host code: a base register and a displacement.
@frozen
public struct HostMemory: Sendable {
    public var base: HostRegister
    public var displacement: Int32

    @inlinable
    public init(_ base: HostRegister, _ displacement: Int) {
        self.base = base
        self.displacement = Int32(truncatingIfNeeded: displacement)
    }
}

/// Conditions of host jumps, as in the low bits of their opcodes (SDM 1 appendix B).
@frozen
public enum HostCondition: UInt8, Sendable {
    case overflow, notOverflow, below, aboveOrEqual, equal, notEqual, belowOrEqual, above
}

/// Writes host instructions straight into a ``CodeBuffer``.
///
/// The operand order is the SDM's. What does not fit is dropped and sets ``isFull``.
public struct Assembler {
    public private(set) var cursor: UnsafeMutableRawPointer
    private let limit: UnsafeMutableRawPointer
    /// What to add to ``cursor`` for the address at which the code will run.
    public let executableOffset: Int
    public private(set) var isFull = false

    init(cursor: UnsafeMutableRawPointer, limit: UnsafeMutableRawPointer, executableOffset: Int) {
        self.cursor = cursor
        self.limit = limit
        self.executableOffset = executableOffset
    }

    /// The address at which the next byte will run.
    public var address: UInt { UInt(bitPattern: cursor + executableOffset) }

    // MARK: Raw bytes

    public mutating func byte(_ value: UInt8) {
        guard cursor < limit else {
            isFull = true
            return
        }
        cursor.storeBytes(of: value, as: UInt8.self)
        cursor += 1
    }

    public mutating func bytes(_ values: UInt8...) { for value in values { byte(value) } }
    public mutating func bytes(_ values: UnsafeRawBufferPointer) { for value in values { byte(value) } }

    public mutating func dword(_ value: UInt32) {
        for shift in stride(from: 0 as UInt32, to: 32, by: 8) { byte(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    public mutating func qword(_ value: UInt64) {
        dword(UInt32(truncatingIfNeeded: value))
        dword(UInt32(truncatingIfNeeded: value >> 32))
    }

    /// ModRM, SIB if the base needs one, and a 32-bit displacement.
    public mutating func modRM(_ reg: UInt8, _ memory: HostMemory) {
        byte(0x80 | (reg & 7) << 3 | memory.base.rawValue & 7)
        if memory.base.rawValue & 7 == 4 { byte(0x24) }
        dword(UInt32(bitPattern: memory.displacement))
    }

    /// A REX prefix, left out where it would say nothing.
    public mutating func rex(w: Bool, _ reg: UInt8, _ rm: UInt8) {
        let value = 0x40 | (w ? 8 : 0) | (reg >> 3 & 1) << 2 | rm >> 3 & 1
        if value != 0x40 { byte(value) }
    }

    /// A three-byte VEX prefix without index register.
    ///
    /// `map` 1...3, `pp` 0...3 for none, 66, F3, F2.
    public mutating func vex(map: UInt8, pp: UInt8, w: Bool, isWide: Bool, reg: UInt8, vvvv: UInt8, rm: UInt8) {
        byte(0xC4)
        byte((~reg >> 3 & 1) << 7 | 0x40 | (~rm >> 3 & 1) << 5 | map)
        byte((w ? 0x80 : 0) | (~vvvv & 15) << 3 | (isWide ? 4 : 0) | pp)
    }

    // MARK: General registers

    public mutating func load64(_ register: HostRegister, _ memory: HostMemory) {
        general(0x8B, true, register, memory)
    }
    public mutating func load32(_ register: HostRegister, _ memory: HostMemory) {
        general(0x8B, false, register, memory)
    }
    public mutating func store64(_ memory: HostMemory, _ register: HostRegister) {
        general(0x89, true, register, memory)
    }
    public mutating func store32(_ memory: HostMemory, _ register: HostRegister) {
        general(0x89, false, register, memory)
    }

    private mutating func general(_ opcode: UInt8, _ w: Bool, _ register: HostRegister, _ memory: HostMemory) {
        rex(w: w, register.rawValue, memory.base.rawValue)
        byte(opcode)
        modRM(register.rawValue, memory)
    }

    public mutating func store16(_ memory: HostMemory, immediate: UInt16) {
        byte(0x66)
        rex(w: false, 0, memory.base.rawValue)
        byte(0xC7)
        modRM(0, memory)
        bytes(UInt8(truncatingIfNeeded: immediate), UInt8(truncatingIfNeeded: immediate >> 8))
    }

    public mutating func store32(_ memory: HostMemory, immediate: UInt32) {
        rex(w: false, 0, memory.base.rawValue)
        byte(0xC7)
        modRM(0, memory)
        dword(immediate)
    }

    /// The immediate is sign-extended to 64 bits.
    public mutating func store64(_ memory: HostMemory, immediate: Int32) {
        rex(w: true, 0, memory.base.rawValue)
        byte(0xC7)
        modRM(0, memory)
        dword(UInt32(bitPattern: immediate))
    }

    public mutating func move64(_ register: HostRegister, immediate: UInt64) {
        rex(w: true, 0, register.rawValue)
        byte(0xB8 | register.rawValue & 7)
        qword(immediate)
    }

    public mutating func move32(_ register: HostRegister, immediate: UInt32) {
        rex(w: false, 0, register.rawValue)
        byte(0xB8 | register.rawValue & 7)
        dword(immediate)
    }

    public mutating func move64(_ destination: HostRegister, _ source: HostRegister) {
        twoRegisters(0x89, true, source, destination)
    }
    public mutating func move32(_ destination: HostRegister, _ source: HostRegister) {
        twoRegisters(0x89, false, source, destination)
    }
    public mutating func and32(_ destination: HostRegister, _ source: HostRegister) {
        twoRegisters(0x21, false, source, destination)
    }
    public mutating func or32(_ destination: HostRegister, _ source: HostRegister) {
        twoRegisters(0x09, false, source, destination)
    }
    public mutating func xor32(_ destination: HostRegister, _ source: HostRegister) {
        twoRegisters(0x31, false, source, destination)
    }
    public mutating func not32(_ register: HostRegister) {
        rex(w: false, 0, register.rawValue)
        bytes(0xF7, 0xD0 | register.rawValue & 7)
    }
    public mutating func shiftRight32(_ register: HostRegister, _ count: UInt8) {
        rex(w: false, 0, register.rawValue)
        bytes(0xC1, 0xE8 | register.rawValue & 7, count)
    }
    public mutating func and32(_ register: HostRegister, immediate: UInt32) { immediate32(4, register, immediate) }
    public mutating func or32(_ register: HostRegister, immediate: UInt32) { immediate32(1, register, immediate) }

    private mutating func twoRegisters(_ opcode: UInt8, _ w: Bool, _ reg: HostRegister, _ rm: HostRegister) {
        rex(w: w, reg.rawValue, rm.rawValue)
        bytes(opcode, 0xC0 | (reg.rawValue & 7) << 3 | rm.rawValue & 7)
    }

    private mutating func immediate32(_ operation: UInt8, _ register: HostRegister, _ immediate: UInt32) {
        rex(w: false, 0, register.rawValue)
        bytes(0x81, 0xC0 | operation << 3 | register.rawValue & 7)
        dword(immediate)
    }

    // MARK: Stack, flags and control

    public mutating func push(_ register: HostRegister) {
        rex(w: false, 0, register.rawValue)
        byte(0x50 | register.rawValue & 7)
    }
    public mutating func pop(_ register: HostRegister) {
        rex(w: false, 0, register.rawValue)
        byte(0x58 | register.rawValue & 7)
    }
    public mutating func push(_ memory: HostMemory) {
        rex(w: false, 0, memory.base.rawValue)
        byte(0xFF)
        modRM(6, memory)
    }
    public mutating func pop(_ memory: HostMemory) {
        rex(w: false, 0, memory.base.rawValue)
        byte(0x8F)
        modRM(0, memory)
    }
    public mutating func pushFlags() { byte(0x9C) }
    public mutating func popFlags() { byte(0x9D) }
    public mutating func clearDirection() { byte(0xFC) }
    public mutating func ret() { byte(0xC3) }
    public mutating func cpuid() { bytes(0x0F, 0xA2) }

    public mutating func jump(_ register: HostRegister) {
        rex(w: false, 0, register.rawValue)
        bytes(0xFF, 0xE0 | register.rawValue & 7)
    }

    /// A jump whose target is not known yet; ``bind(_:)`` sets it to the place that is then next.
    public struct ForwardJump {
        fileprivate var field: UnsafeMutableRawPointer
    }

    public mutating func jump(if condition: HostCondition) -> ForwardJump {
        bytes(0x0F, 0x80 | condition.rawValue)
        let field = cursor
        dword(0)
        return ForwardJump(field: field)
    }

    public func bind(_ jump: ForwardJump) {
        guard !isFull else { return }
        jump.field.storeBytes(of: Int32(truncatingIfNeeded: cursor - (jump.field + 4)), as: Int32.self)
    }
}
