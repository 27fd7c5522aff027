import HostCode
import X86
import X86Decoder

// The x87 part of the legacy area, in the layout of FXSAVE64 (SDM 1 §10.5.1): FCW 0, FSW 2, abridged tags 4, FOP 6,
// FIP 8, FDP 16 (64 bits each), ST(i) at 32 + 16 i. The selectors FCS and FDS are deprecated and read as 0
// (CPUID.7.0:EBX bit 13).
extension Core {
    var x87Control: UInt16 {
        get { word(0) }
        nonmutating set { setWord(0, newValue) }
    }
    var x87Status: UInt16 {
        get { word(2) }
        nonmutating set { setWord(2, newValue) }
    }
    /// A bit for each physical register that is not empty.
    var x87Tags: UInt16 {
        get { word(4) }
        nonmutating set { setWord(4, newValue) }
    }
    var x87Opcode: UInt16 {
        get { word(6) }
        nonmutating set { setWord(6, newValue) }
    }
    var x87InstructionPointer: UInt64 {
        get { state[field: CPUState.xsaveOffset + 8] }
        nonmutating set { state[field: CPUState.xsaveOffset + 8] = newValue }
    }
    var x87DataPointer: UInt64 {
        get { state[field: CPUState.xsaveOffset + 16] }
        nonmutating set { state[field: CPUState.xsaveOffset + 16] = newValue }
    }
    var x87Top: Int { Int(x87Status >> 11 & 7) }

    private func word(_ offset: Int) -> UInt16 {
        raw.load(fromByteOffset: CPUState.xsaveOffset + offset, as: UInt16.self)
    }
    private func setWord(_ offset: Int, _ value: UInt16) {
        raw.storeBytes(of: value, toByteOffset: CPUState.xsaveOffset + offset, as: UInt16.self)
    }

    /// An exception is raised and not masked: what FSW.ES summarises.
    @inline(__always)
    var hasPendingX87: Bool { x87Status & ~x87Control & 0x3F != 0 }

    /// #MF where a waiting instruction meets a pending exception.
    ///
    /// Without CR0.NE a PC would raise FERR# and IRQ 13 instead (SDM 3A §2.5); nothing sets NE to 0 today but DOS, so
    /// that too is #MF here.
    @inline(__always)
    func checkPendingX87() throws(Fault) {
        guard !hasPendingX87 else { throw .exception(ExceptionVector.x87) }
    }

    /// Makes FSW.ES and FSW.B agree with the flags and masks.
    func updateX87Summary() {
        let status = x87Status & 0x7F7F
        x87Status = hasPendingX87 ? status | 0x8080 : status
    }

    /// Runs a waiting x87 instruction that is not a control instruction, and notes where it was.
    func runX87(_ i: Instruction, _ plan: UnsafePointer<VectorPlan>) throws(Fault) {
        try checkPendingX87()
        let s = state
        let traits = plan.pointee.traits
        let isMemory = plan.pointee.byteCount != 0
        if isMemory, traits.contains(.readsMemory) {
            try loadBytes(try vectorAddress(i, plan), into: raw + VectorScratch.operand, plan.pointee.byteCount)
        }
        if traits.contains(.readsFlags) { s[field: VectorScratch.flags] = s.rflags & RFlags.arithmetic | 2 }
        let before = raw + VectorScratch.area
        if traits.contains(.writesMemory) {
            before.copyMemory(from: raw + CPUState.xsaveOffset, byteCount: Self.x87ByteCount)
        }
        let opcode = x87Opcode
        let dataPointer = x87DataPointer
        plan.pointee.code.call(raw)
        let failed = x87Status & ~x87Control & 0x3F
        x87InstructionPointer = instructionRIP
        // FOP and FDP are those of the last instruction that raised an unmasked exception (SDM 1 §8.1.9.1, CPUID.7.0:EBX bit 6).
        x87Opcode = failed != 0 ? UInt16(plan.pointee.encoding.opcode & 7) << 8 | UInt16(i.pointee.modRM) : opcode
        x87DataPointer = failed != 0 && isMemory ? effectiveOffset(i) : dataPointer
        // A store whose result could not be made touches no memory, not even to fault; an inexact one does.
        if traits.contains(.writesMemory), failed & 0x1F == 0 {
            do throws(Fault) {
                try storeX87(try vectorAddress(i, plan), plan.pointee.byteCount)
            } catch {
                (raw + CPUState.xsaveOffset).copyMemory(from: before, byteCount: Self.x87ByteCount)
                throw error
            }
        }
        if traits.contains(.writesFlags) { s.setArithmeticFlags(s[field: VectorScratch.flags]) }
    }

    /// The x87 part of the legacy area, and MXCSR.
    private static var x87ByteCount: Int { 160 }

    /// Ten bytes are two stores on Intel's CPUs: the first eight bytes are written where only the others fault.
    private func storeX87(_ linear: UInt64, _ byteCount: Int) throws(Fault) {
        let source = raw + VectorScratch.operand
        try storeBytes(linear, from: source, min(byteCount, 8))
        if byteCount > 8 { try storeBytes(wrapLinear(linear &+ 8), from: source + 8, byteCount &- 8) }
    }

    /// What RESET leaves of x87, MMX, SSE and AVX (SDM 3A table 9-1); INIT keeps all of it.
    func resetVectorState() {
        clearVectorArea()
        x87Control = 0x40
        x87Tags = 0xFF
        state.mxcsr = 0x1F80
    }

    private func clearVectorArea() {
        (raw + CPUState.xsaveOffset).initializeMemory(as: UInt8.self, repeating: 0, count: 832)
    }

    /// Makes `top` the top of the stack while every physical register keeps its value: the area holds them by their distance
    /// from the top.
    func turnX87(top: Int) {
        let distance = (top &- x87Top) & 7
        guard distance != 0 else { return }
        let area = raw + VectorRegister.x87(0)
        (raw + VectorScratch.area).copyMemory(from: area, byteCount: 128)
        for index in 0..<8 {
            let source = raw + VectorScratch.area + ((index &+ distance) & 7) * 16
            (area + index * 16).copyMemory(from: source, byteCount: 16)
        }
    }

    /// FNINIT.
    func initializeX87() {
        turnX87(top: 0)
        x87Control = 0x37F
        x87Status = 0
        x87Tags = 0
        x87Opcode = 0
        x87InstructionPointer = 0
        x87DataPointer = 0
    }
}
