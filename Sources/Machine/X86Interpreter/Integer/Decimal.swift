import X86
import X86Decoder

// AAA AAS AAM AAD DAA DAS (SDM 2A), with the flags that it leaves undefined as Skylake sets them.
extension Core {
    private var al: UInt8 { UInt8(truncatingIfNeeded: state.rax) }

    /// AAA and AAS.
    ///
    /// ZF SF PF follow AL as it ends up, OF is cleared.
    @inline(never)
    func executeAdjustUnpacked(_ i: Instruction) {
        let s = state
        let adjusts = al & 15 > 9 || s.auxiliaryFlag
        var ax = UInt16(truncatingIfNeeded: s.rax)
        if adjusts { ax = i.pointee.operation == .aaa ? ax &+ 0x106 : ax &- 0x106 }
        ax &= 0xFF0F
        setRegister(0, ax)
        setFlags(UInt8(truncatingIfNeeded: ax), carry: adjusts, overflow: false, auxiliary: adjusts)
    }

    /// DAA and DAS.
    ///
    /// OF is cleared.
    @inline(never)
    func executeAdjustPacked(_ i: Instruction) {
        let s = state
        let old = al
        let isAddition = i.pointee.operation == .daa
        let lowAdjusts = old & 15 > 9 || s.auxiliaryFlag
        let highAdjusts = old > 0x99 || s.carryFlag
        var carry = highAdjusts
        var result = old
        if lowAdjusts {
            let (sum, over) = isAddition ? old.addingReportingOverflow(6) : old.subtractingReportingOverflow(6)
            result = sum
            carry = carry || over
        }
        if highAdjusts { result = isAddition ? result &+ 0x60 : result &- 0x60 }
        setRegister(0, result)
        setFlags(result, carry: carry, overflow: false, auxiliary: lowAdjusts)
    }

    /// AAM: OF AF CF, undefined, are cleared.
    ///
    /// - Throws: #DE for base 0.
    @inline(never)
    func executeAdjustAfterMultiply(_ i: Instruction) throws(Fault) {
        let base = UInt8(truncatingIfNeeded: i.pointee.immediate)
        guard base != 0 else { throw .divideError }
        let (high, low) = al.quotientAndRemainder(dividingBy: base)
        setRegister(0, UInt16(high) << 8 | UInt16(low))
        setFlags(low, carry: false, overflow: false)
    }

    /// AAD: OF AF CF, undefined, are those of the addition that it ends with.
    @inline(never)
    func executeAdjustBeforeDivide(_ i: Instruction) {
        let base = UInt8(truncatingIfNeeded: i.pointee.immediate)
        let product = UInt8(truncatingIfNeeded: state.rax >> 8) &* base
        setRegister(0, UInt16(add(al, product)))
    }
}
