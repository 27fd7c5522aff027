import X86
import X86Decoder

extension Core {
    /// Checks the right to access a port: IOPL, else the bitmap of the task-state segment (SDM 1 §18.5).
    func checkPort(_ port: UInt16, _ byteCount: Int) throws(Fault) {
        let s = state
        switch s.mode {
        case .real: return
        case .virtual8086: break
        default: if UInt64(s.cpl) <= s.systemFlags >> 12 & 3 { return }
        }
        let task = s[.tr]
        guard task.isPresent, task.type & 8 != 0, task.limit >= 103 else { throw .generalProtection() }
        let map = UInt32(try loadImplicit(UInt16.self, wrapSystem(task.base &+ 102)))
        let offset = map &+ UInt32(port >> 3)
        guard offset &+ 1 <= task.limit else { throw .generalProtection() }
        let bits = try loadImplicit(UInt16.self, wrapSystem(task.base &+ UInt64(offset)))
        let wanted = (1 as UInt16) << UInt16(byteCount) &- 1
        guard bits >> (port & 7) & wanted == 0 else { throw .generalProtection() }
    }

    /// The width of a port access, from the opcode's low bit and the operand size.
    private func portByteCount(_ i: Instruction) -> Int {
        if i.pointee.opcode & 1 == 0 { return 1 }
        switch i.pointee.operandByteCount {
        case 2: return 2
        case 4, 8: return 4
        default: return (state.mode.codeByteCount == 2) != i.pointee.prefixes.contains(.operandSize) ? 2 : 4
        }
    }

    private func port(_ i: Instruction, _ operand: Operand) -> UInt16 {
        operand.kind == .immediate
            ? UInt16(truncatingIfNeeded: i.pointee.immediate & 0xFF) : UInt16(truncatingIfNeeded: state.rdx)
    }

    /// IN.
    func input(_ i: Instruction) throws(Fault) {
        let byteCount = portByteCount(i)
        let port = port(i, i.pointee.operands.1)
        try checkPort(port, byteCount)
        let value = try portRead(port, byteCount)
        portBreakpoint(port, byteCount)
        writeGeneral(0, value, byteCount)
    }

    /// OUT.
    func output(_ i: Instruction) throws(Fault) {
        let byteCount = portByteCount(i)
        let port = port(i, i.pointee.operands.0)
        try checkPort(port, byteCount)
        portBreakpoint(port, byteCount)
        let mask: UInt64 = byteCount == 4 ? 0xFFFF_FFFF : byteCount == 2 ? 0xFFFF : 0xFF
        portWrite(port, state.rax & mask, byteCount)
    }

    /// INS and OUTS: one element an execution; REP runs the instruction again.
    func stringPort(_ i: Instruction, isInput: Bool) throws(Fault) {
        let s = state
        let byteCount = portByteCount(i)
        let addressMask: UInt64 =
            i.pointee.addressByteCount == 8 ? .max : i.pointee.addressByteCount == 4 ? 0xFFFF_FFFF : 0xFFFF
        let repeats = !i.pointee.prefixes.isDisjoint(with: [.repeatEqual, .repeatNotEqual])
        let count = s.rcx & addressMask
        let port = UInt16(truncatingIfNeeded: s.rdx)
        // Intel's CPUs ask for the right before they look at the count.
        try checkPort(port, byteCount)
        if repeats, count == 0 { return }
        let pointer = isInput ? 7 : 6
        let offset = s[pointer] & addressMask
        if isInput {
            let linear = try segmentLinear(0, offset, byteCount, write: true)
            try checkWritable(linear, byteCount, rules: ruleTable)
            let value = try portRead(port, byteCount)
            try store(value, byteCount: byteCount, linear)
        } else {
            let linear = try segmentLinear(Int(i.pointee.segment), offset, byteCount, write: false)
            portWrite(port, try load(byteCount: byteCount, linear), byteCount)
        }
        portBreakpoint(port, byteCount)
        let step = s.systemFlags & RFlags.df != 0 ? 0 &- UInt64(byteCount) : UInt64(byteCount)
        advance(pointer, by: step, addressMask)
        guard repeats else { return }
        advance(1, by: .max, addressMask)
        if count != 1 { s.rip = instructionRIP }
        leaveBlock()
    }

    /// Adds to a register as wide as the address size.
    private func advance(_ number: Int, by step: UInt64, _ mask: UInt64) {
        let s = state
        let value = (s[number] &+ step) & mask
        s[number] = mask == 0xFFFF ? s[number] & ~0xFFFF | value : value
    }
}
