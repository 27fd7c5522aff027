/// Vector and x87 instructions of the host: state in and out. The instructions that compute are the guest's own bytes.
extension Assembler {
    /// MOVAPS: XMM `register` from 16 aligned bytes; the upper half of the YMM register stays.
    public mutating func loadXMM(_ register: UInt8, _ memory: HostMemory) { legacy(0x28, register, memory) }
    /// MOVAPS to memory.
    public mutating func storeXMM(_ memory: HostMemory, _ register: UInt8) { legacy(0x29, register, memory) }

    private mutating func legacy(_ opcode: UInt8, _ register: UInt8, _ memory: HostMemory) {
        rex(w: false, register, memory.base.rawValue)
        bytes(0x0F, opcode)
        modRM(register, memory)
    }

    /// YMM `register` from two halves that lie apart.
    public mutating func loadYMM(_ register: UInt8, low: HostMemory, high: HostMemory) {
        // VMOVAPS xmm, m128; VINSERTF128 ymm, ymm, m128, 1.
        vex(map: 1, pp: 0, w: false, isWide: false, reg: register, vvvv: 0, rm: low.base.rawValue)
        byte(0x28)
        modRM(register, low)
        vex(map: 3, pp: 1, w: false, isWide: true, reg: register, vvvv: register, rm: high.base.rawValue)
        byte(0x18)
        modRM(register, high)
        byte(1)
    }

    /// YMM `register` to two halves that lie apart.
    public mutating func storeYMM(low: HostMemory, high: HostMemory, _ register: UInt8) {
        vex(map: 1, pp: 0, w: false, isWide: false, reg: register, vvvv: 0, rm: low.base.rawValue)
        byte(0x29)
        modRM(register, low)
        vex(map: 3, pp: 1, w: false, isWide: true, reg: register, vvvv: 0, rm: high.base.rawValue)
        byte(0x19)
        modRM(register, high)
        byte(1)
    }

    /// MOVQ: MM `register` from 8 bytes.
    public mutating func loadMMX(_ register: UInt8, _ memory: HostMemory) { legacy(0x6F, register & 7, memory) }
    public mutating func storeMMX(_ memory: HostMemory, _ register: UInt8) { legacy(0x7F, register & 7, memory) }

    public mutating func emms() { bytes(0x0F, 0x77) }
    public mutating func zeroUpper() { bytes(0xC5, 0xF8, 0x77) }
    public mutating func fninit() { bytes(0xDB, 0xE3) }

    public mutating func loadMXCSR(_ memory: HostMemory) { state(0xAE, 2, memory) }
    public mutating func storeMXCSR(_ memory: HostMemory) { state(0xAE, 3, memory) }

    private mutating func state(_ opcode: UInt8, _ reg: UInt8, _ memory: HostMemory) {
        rex(w: false, 0, memory.base.rawValue)
        bytes(0x0F, opcode)
        modRM(reg, memory)
    }

    /// FXSAVE64: 512 bytes, 16-byte aligned.
    public mutating func fxsave64(_ memory: HostMemory) { state64(0, memory) }
    public mutating func fxrstor64(_ memory: HostMemory) { state64(1, memory) }
    /// XSAVE64 of the components in EDX:EAX: standard format, 64-byte aligned.
    public mutating func xsave64(_ memory: HostMemory) { state64(4, memory) }
    public mutating func xrstor64(_ memory: HostMemory) { state64(5, memory) }

    private mutating func state64(_ reg: UInt8, _ memory: HostMemory) {
        rex(w: true, 0, memory.base.rawValue)
        bytes(0x0F, 0xAE)
        modRM(reg, memory)
    }
}
