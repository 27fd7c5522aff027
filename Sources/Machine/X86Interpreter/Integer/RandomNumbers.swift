import X86
import X86Decoder

extension Core {
    /// RDRAND and RDSEED: always successful, from the host kernel's generator.
    ///
    /// CF is set, the other flags are cleared.
    @inline(never)
    func executeRandom(_ i: Instruction) {
        var generator = SystemRandomNumberGenerator()
        setOperandRegister(i, i.pointee.operands.0.number, generator.next())
        state.setArithmeticFlags(RFlags.cf)
    }
}
