import X86
import X86Decoder

// PUSHF POPF LAHF SAHF, CLC STC CMC CLD STD SALC.
extension Core {
    private var privilegeLevel: UInt64 { state.systemFlags >> 12 & 3 }

    /// PUSHF: VM and RF are pushed clear; in virtual-8086 mode below IOPL 3, VIF stands for IF under CR4.VME (SDM 2B "PUSHF").
    @inline(never)
    func executePushFlags(_ i: Instruction) throws(Fault) {
        var flags = state.rflags & ~(RFlags.vm | RFlags.rf)
        if state.mode == .virtual8086, privilegeLevel < 3 {
            guard state.cr4 & CR4.vme != 0, i.pointee.operandByteCount == 2 else { throw .generalProtection() }
            let interrupts = flags & RFlags.vif != 0 ? RFlags.interruptEnable : 0
            flags = flags & ~RFlags.interruptEnable | RFlags.iopl | interrupts
        }
        try pushOperand(i, flags)
    }

    /// POPF, with the rules for each mode of SDM 2B "POPF", table 4-16.
    @inline(never)
    func executePopFlags(_ i: Instruction) throws(Fault) {
        let s = state
        let old = s.rflags
        let isWord = i.pointee.operandByteCount == 2
        var mask = RFlags.arithmetic | RFlags.tf | RFlags.df | RFlags.nt
        if !isWord { mask |= RFlags.ac | RFlags.id }
        var virtualInterrupts = false
        if s.mode == .virtual8086 {
            if privilegeLevel == 3 {
                mask |= RFlags.interruptEnable
            } else {
                guard isWord, s.cr4 & CR4.vme != 0 else { throw .generalProtection() }
                virtualInterrupts = true
            }
        } else {
            if s.mode == .real || s.cpl == 0 { mask |= RFlags.iopl }
            if s.mode == .real || UInt64(s.cpl) <= privilegeLevel { mask |= RFlags.interruptEnable }
        }
        let pointer = s.rsp
        let popped = try popOperand(i)
        var new = old & ~mask | popped & mask
        if virtualInterrupts {
            let enables = popped & RFlags.interruptEnable != 0
            guard popped & RFlags.tf == 0, !(enables && old & RFlags.vip != 0) else {
                s.rsp = pointer
                throw .generalProtection()
            }
            new = new & ~RFlags.vif | (enables ? RFlags.vif : 0)
        }
        if !isWord { new &= ~RFlags.rf }
        s.rflags = new
        if (old ^ new) & (RFlags.tf | RFlags.ac | RFlags.interruptEnable | RFlags.vif) != 0 {
            selectTLB()
            leaveBlock()
        }
    }

    @inline(never)
    func executeLoadFlagsIntoAH() {
        let flags = state.rflags & 0xD5 | 2
        state.rax = state.rax & ~0xFF00 | flags << 8
    }

    @inline(never)
    func executeStoreAHIntoFlags() {
        state.setArithmeticFlags(state.rax >> 8, mask: RFlags.arithmetic & 0xFF)
    }

    func executeSetDirection(_ backwards: Bool) {
        state.systemFlags = state.systemFlags & ~RFlags.df | (backwards ? RFlags.df : 0)
    }
}
