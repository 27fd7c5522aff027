import X86
import X86Decoder

extension Core {
    /// Runs the first `count` instructions of `block`.
    ///
    /// - Returns: Whether the next block may follow at once: false where an instruction asked to leave, faulted, or waits for a
    ///   device.
    func runBlock(_ block: Block, count: Int) -> Bool {
        let s = state
        let first = block.first
        var i = first
        var rip = s.rip
        s[field: Layout.blockEnd] = UInt64(UInt(bitPattern: first + count))
        do throws(Fault) {
            repeat {
                rip = s.rip
                s.rip = rip &+ UInt64(i.pointee.length)
                try execute(i)
                i += 1
            } while UInt64(UInt(bitPattern: i)) < s[field: Layout.blockEnd]
            s.instructionCount &+= UInt64(i - first)
            if !s.isLong64 { s.rip &= 0xFFFF_FFFF }
            return s[field: Layout.blockEnd] != 0
        } catch {
            s.instructionCount &+= UInt64(i - first)
            fail(i, at: rip, error)
            return false
        }
    }

    /// Executes one instruction.
    @inline(__always)
    private func execute(_ i: Instruction) throws(Fault) {
        let s = state
        // SAFETY: the field holds only raw values of cases, which count up from 0 as the cases do.
        switch unsafeBitCast(i.pointee.handler, to: QuickHandler.self) {
        case .undefined: throw .invalidOpcode
        case .movRR32: write(i, UInt32.self, source(i, UInt32.self))
        case .movRI32: write(i, UInt32.self, immediate(i, UInt32.self))
        case .load32: write(i, UInt32.self, try loadOperand(i, UInt32.self))
        case .storeR32: try storeOperand(i, source(i, UInt32.self))
        case .storeI32: try storeOperand(i, immediate(i, UInt32.self))
        case .lea32: write(i, UInt32.self, UInt32(truncatingIfNeeded: effectiveOffset(i)))
        case .addRR32: write(i, UInt32.self, add(target(i, UInt32.self), source(i, UInt32.self)))
        case .addRI32: write(i, UInt32.self, add(target(i, UInt32.self), immediate(i, UInt32.self)))
        case .addRM32: write(i, UInt32.self, add(target(i, UInt32.self), try loadOperand(i, UInt32.self)))
        case .addMR32: try modify(i, source(i, UInt32.self), add)
        case .addMI32: try modify(i, immediate(i, UInt32.self), add)
        case .orRR32: write(i, UInt32.self, or(target(i, UInt32.self), source(i, UInt32.self)))
        case .orRI32: write(i, UInt32.self, or(target(i, UInt32.self), immediate(i, UInt32.self)))
        case .orRM32: write(i, UInt32.self, or(target(i, UInt32.self), try loadOperand(i, UInt32.self)))
        case .orMR32: try modify(i, source(i, UInt32.self), or)
        case .orMI32: try modify(i, immediate(i, UInt32.self), or)
        case .adcRR32: write(i, UInt32.self, adc(target(i, UInt32.self), source(i, UInt32.self)))
        case .adcRI32: write(i, UInt32.self, adc(target(i, UInt32.self), immediate(i, UInt32.self)))
        case .adcRM32: write(i, UInt32.self, adc(target(i, UInt32.self), try loadOperand(i, UInt32.self)))
        case .sbbRR32: write(i, UInt32.self, sbb(target(i, UInt32.self), source(i, UInt32.self)))
        case .sbbRI32: write(i, UInt32.self, sbb(target(i, UInt32.self), immediate(i, UInt32.self)))
        case .sbbRM32: write(i, UInt32.self, sbb(target(i, UInt32.self), try loadOperand(i, UInt32.self)))
        case .andRR32: write(i, UInt32.self, and(target(i, UInt32.self), source(i, UInt32.self)))
        case .andRI32: write(i, UInt32.self, and(target(i, UInt32.self), immediate(i, UInt32.self)))
        case .andRM32: write(i, UInt32.self, and(target(i, UInt32.self), try loadOperand(i, UInt32.self)))
        case .andMR32: try modify(i, source(i, UInt32.self), and)
        case .andMI32: try modify(i, immediate(i, UInt32.self), and)
        case .subRR32: write(i, UInt32.self, sub(target(i, UInt32.self), source(i, UInt32.self)))
        case .subRI32: write(i, UInt32.self, sub(target(i, UInt32.self), immediate(i, UInt32.self)))
        case .subRM32: write(i, UInt32.self, sub(target(i, UInt32.self), try loadOperand(i, UInt32.self)))
        case .subMR32: try modify(i, source(i, UInt32.self), sub)
        case .subMI32: try modify(i, immediate(i, UInt32.self), sub)
        case .xorRR32: write(i, UInt32.self, xor(target(i, UInt32.self), source(i, UInt32.self)))
        case .xorRI32: write(i, UInt32.self, xor(target(i, UInt32.self), immediate(i, UInt32.self)))
        case .xorRM32: write(i, UInt32.self, xor(target(i, UInt32.self), try loadOperand(i, UInt32.self)))
        case .xorMR32: try modify(i, source(i, UInt32.self), xor)
        case .xorMI32: try modify(i, immediate(i, UInt32.self), xor)
        case .cmpRR32: cmp(target(i, UInt32.self), source(i, UInt32.self))
        case .cmpRI32: cmp(target(i, UInt32.self), immediate(i, UInt32.self))
        case .cmpRM32: cmp(target(i, UInt32.self), try loadOperand(i, UInt32.self))
        case .cmpMR32: cmp(try loadOperand(i, UInt32.self), source(i, UInt32.self))
        case .cmpMI32: cmp(try loadOperand(i, UInt32.self), immediate(i, UInt32.self))
        case .testRR32: test(target(i, UInt32.self), source(i, UInt32.self))
        case .testRI32: test(target(i, UInt32.self), immediate(i, UInt32.self))
        case .testMR32: test(try loadOperand(i, UInt32.self), source(i, UInt32.self))
        case .testMI32: test(try loadOperand(i, UInt32.self), immediate(i, UInt32.self))
        case .incR32: write(i, UInt32.self, increment(target(i, UInt32.self)))
        case .decR32: write(i, UInt32.self, decrement(target(i, UInt32.self)))
        case .negR32: write(i, UInt32.self, negate(target(i, UInt32.self)))
        case .notR32: write(i, UInt32.self, ~target(i, UInt32.self))
        case .shlRI32: write(i, UInt32.self, shiftLeft(target(i, UInt32.self), i.pointee.immediate))
        case .shrRI32: write(i, UInt32.self, shiftRight(target(i, UInt32.self), i.pointee.immediate))
        case .sarRI32: write(i, UInt32.self, shiftArithmetic(target(i, UInt32.self), i.pointee.immediate))
        case .cmovRR32:
            write(i, UInt32.self, condition(i.pointee.opcode) ? source(i, UInt32.self) : target(i, UInt32.self))
        case .movsxM8to32:
            write(i, UInt32.self, UInt32(truncatingIfNeeded: Int8(bitPattern: try loadOperand(i, UInt8.self))))
        case .movsxR8to32:
            write(i, UInt32.self, UInt32(truncatingIfNeeded: Int8(truncatingIfNeeded: source(i, UInt64.self))))
        case .imulRR32: write(i, UInt32.self, multiply(target(i, UInt32.self), source(i, UInt32.self)))
        case .movRR64: write(i, UInt64.self, source(i, UInt64.self))
        case .movRI64: write(i, UInt64.self, immediate(i, UInt64.self))
        case .load64: write(i, UInt64.self, try loadOperand(i, UInt64.self))
        case .storeR64: try storeOperand(i, source(i, UInt64.self))
        case .storeI64: try storeOperand(i, immediate(i, UInt64.self))
        case .lea64: write(i, UInt64.self, UInt64(truncatingIfNeeded: effectiveOffset(i)))
        case .addRR64: write(i, UInt64.self, add(target(i, UInt64.self), source(i, UInt64.self)))
        case .addRI64: write(i, UInt64.self, add(target(i, UInt64.self), immediate(i, UInt64.self)))
        case .addRM64: write(i, UInt64.self, add(target(i, UInt64.self), try loadOperand(i, UInt64.self)))
        case .addMR64: try modify(i, source(i, UInt64.self), add)
        case .addMI64: try modify(i, immediate(i, UInt64.self), add)
        case .orRR64: write(i, UInt64.self, or(target(i, UInt64.self), source(i, UInt64.self)))
        case .orRI64: write(i, UInt64.self, or(target(i, UInt64.self), immediate(i, UInt64.self)))
        case .orRM64: write(i, UInt64.self, or(target(i, UInt64.self), try loadOperand(i, UInt64.self)))
        case .orMR64: try modify(i, source(i, UInt64.self), or)
        case .orMI64: try modify(i, immediate(i, UInt64.self), or)
        case .adcRR64: write(i, UInt64.self, adc(target(i, UInt64.self), source(i, UInt64.self)))
        case .adcRI64: write(i, UInt64.self, adc(target(i, UInt64.self), immediate(i, UInt64.self)))
        case .adcRM64: write(i, UInt64.self, adc(target(i, UInt64.self), try loadOperand(i, UInt64.self)))
        case .sbbRR64: write(i, UInt64.self, sbb(target(i, UInt64.self), source(i, UInt64.self)))
        case .sbbRI64: write(i, UInt64.self, sbb(target(i, UInt64.self), immediate(i, UInt64.self)))
        case .sbbRM64: write(i, UInt64.self, sbb(target(i, UInt64.self), try loadOperand(i, UInt64.self)))
        case .andRR64: write(i, UInt64.self, and(target(i, UInt64.self), source(i, UInt64.self)))
        case .andRI64: write(i, UInt64.self, and(target(i, UInt64.self), immediate(i, UInt64.self)))
        case .andRM64: write(i, UInt64.self, and(target(i, UInt64.self), try loadOperand(i, UInt64.self)))
        case .andMR64: try modify(i, source(i, UInt64.self), and)
        case .andMI64: try modify(i, immediate(i, UInt64.self), and)
        case .subRR64: write(i, UInt64.self, sub(target(i, UInt64.self), source(i, UInt64.self)))
        case .subRI64: write(i, UInt64.self, sub(target(i, UInt64.self), immediate(i, UInt64.self)))
        case .subRM64: write(i, UInt64.self, sub(target(i, UInt64.self), try loadOperand(i, UInt64.self)))
        case .subMR64: try modify(i, source(i, UInt64.self), sub)
        case .subMI64: try modify(i, immediate(i, UInt64.self), sub)
        case .xorRR64: write(i, UInt64.self, xor(target(i, UInt64.self), source(i, UInt64.self)))
        case .xorRI64: write(i, UInt64.self, xor(target(i, UInt64.self), immediate(i, UInt64.self)))
        case .xorRM64: write(i, UInt64.self, xor(target(i, UInt64.self), try loadOperand(i, UInt64.self)))
        case .xorMR64: try modify(i, source(i, UInt64.self), xor)
        case .xorMI64: try modify(i, immediate(i, UInt64.self), xor)
        case .cmpRR64: cmp(target(i, UInt64.self), source(i, UInt64.self))
        case .cmpRI64: cmp(target(i, UInt64.self), immediate(i, UInt64.self))
        case .cmpRM64: cmp(target(i, UInt64.self), try loadOperand(i, UInt64.self))
        case .cmpMR64: cmp(try loadOperand(i, UInt64.self), source(i, UInt64.self))
        case .cmpMI64: cmp(try loadOperand(i, UInt64.self), immediate(i, UInt64.self))
        case .testRR64: test(target(i, UInt64.self), source(i, UInt64.self))
        case .testRI64: test(target(i, UInt64.self), immediate(i, UInt64.self))
        case .testMR64: test(try loadOperand(i, UInt64.self), source(i, UInt64.self))
        case .testMI64: test(try loadOperand(i, UInt64.self), immediate(i, UInt64.self))
        case .incR64: write(i, UInt64.self, increment(target(i, UInt64.self)))
        case .decR64: write(i, UInt64.self, decrement(target(i, UInt64.self)))
        case .negR64: write(i, UInt64.self, negate(target(i, UInt64.self)))
        case .notR64: write(i, UInt64.self, ~target(i, UInt64.self))
        case .shlRI64: write(i, UInt64.self, shiftLeft(target(i, UInt64.self), i.pointee.immediate))
        case .shrRI64: write(i, UInt64.self, shiftRight(target(i, UInt64.self), i.pointee.immediate))
        case .sarRI64: write(i, UInt64.self, shiftArithmetic(target(i, UInt64.self), i.pointee.immediate))
        case .cmovRR64:
            write(i, UInt64.self, condition(i.pointee.opcode) ? source(i, UInt64.self) : target(i, UInt64.self))
        case .movsxM8to64:
            write(i, UInt64.self, UInt64(truncatingIfNeeded: Int8(bitPattern: try loadOperand(i, UInt8.self))))
        case .movsxR8to64:
            write(i, UInt64.self, UInt64(truncatingIfNeeded: Int8(truncatingIfNeeded: source(i, UInt64.self))))
        case .imulRR64: write(i, UInt64.self, multiply(target(i, UInt64.self), source(i, UInt64.self)))
        case .movsxdR:
            write(i, UInt64.self, UInt64(truncatingIfNeeded: Int32(truncatingIfNeeded: source(i, UInt64.self))))
        case .movsxdM:
            write(i, UInt64.self, UInt64(truncatingIfNeeded: Int32(bitPattern: try loadOperand(i, UInt32.self))))
        case .movzxR8: write(i, UInt64.self, source(i, UInt64.self) & 0xFF)
        case .movzxR16: write(i, UInt64.self, source(i, UInt64.self) & 0xFFFF)
        case .movzxM8: write(i, UInt64.self, UInt64(try loadOperand(i, UInt8.self)))
        case .movzxM16: write(i, UInt64.self, UInt64(try loadOperand(i, UInt16.self)))
        case .movRR8: writeLow(i, source(i, UInt8.self))
        case .movRI8: writeLow(i, immediate(i, UInt8.self))
        case .load8: writeLow(i, try loadOperand(i, UInt8.self))
        case .storeR8: try storeOperand(i, source(i, UInt8.self))
        case .storeI8: try storeOperand(i, immediate(i, UInt8.self))
        case .load16: writeLow(i, try loadOperand(i, UInt16.self))
        case .storeR16: try storeOperand(i, source(i, UInt16.self))
        case .storeI16: try storeOperand(i, immediate(i, UInt16.self))
        case .cmpRR8: cmp(target(i, UInt8.self), source(i, UInt8.self))
        case .cmpRI8: cmp(target(i, UInt8.self), immediate(i, UInt8.self))
        case .cmpMR8: cmp(try loadOperand(i, UInt8.self), source(i, UInt8.self))
        case .cmpMI8: cmp(try loadOperand(i, UInt8.self), immediate(i, UInt8.self))
        case .testRR8: test(target(i, UInt8.self), source(i, UInt8.self))
        case .testRI8: test(target(i, UInt8.self), immediate(i, UInt8.self))
        case .testMR8: test(try loadOperand(i, UInt8.self), source(i, UInt8.self))
        case .testMI8: test(try loadOperand(i, UInt8.self), immediate(i, UInt8.self))
        case .cmpRM8: cmp(target(i, UInt8.self), try loadOperand(i, UInt8.self))
        case .andRR8: writeLow(i, and(target(i, UInt8.self), source(i, UInt8.self)))
        case .andRI8: writeLow(i, and(target(i, UInt8.self), immediate(i, UInt8.self)))
        case .orRR8: writeLow(i, or(target(i, UInt8.self), source(i, UInt8.self)))
        case .orRI8: writeLow(i, or(target(i, UInt8.self), immediate(i, UInt8.self)))
        case .xorRR8: writeLow(i, xor(target(i, UInt8.self), source(i, UInt8.self)))
        case .xorRI8: writeLow(i, xor(target(i, UInt8.self), immediate(i, UInt8.self)))
        case .addRR8: writeLow(i, add(target(i, UInt8.self), source(i, UInt8.self)))
        case .addRI8: writeLow(i, add(target(i, UInt8.self), immediate(i, UInt8.self)))
        case .subRR8: writeLow(i, sub(target(i, UInt8.self), source(i, UInt8.self)))
        case .subRI8: writeLow(i, sub(target(i, UInt8.self), immediate(i, UInt8.self)))
        case .cmpMI16: cmp(try loadOperand(i, UInt16.self), immediate(i, UInt16.self))
        case .setccR: writeLow(i, condition(i.pointee.opcode) ? 1 : 0 as UInt8)
        case .jumpO: if condition(0) { try jump(i) }
        case .jumpNO: if condition(1) { try jump(i) }
        case .jumpB: if condition(2) { try jump(i) }
        case .jumpAE: if condition(3) { try jump(i) }
        case .jumpE: if condition(4) { try jump(i) }
        case .jumpNE: if condition(5) { try jump(i) }
        case .jumpBE: if condition(6) { try jump(i) }
        case .jumpA: if condition(7) { try jump(i) }
        case .jumpS: if condition(8) { try jump(i) }
        case .jumpNS: if condition(9) { try jump(i) }
        case .jumpP: if condition(10) { try jump(i) }
        case .jumpNP: if condition(11) { try jump(i) }
        case .jumpL: if condition(12) { try jump(i) }
        case .jumpGE: if condition(13) { try jump(i) }
        case .jumpLE: if condition(14) { try jump(i) }
        case .jumpG: if condition(15) { try jump(i) }
        case .jump: try jump(i)
        case .call: try call(i)
        case .ret: try ret()
        case .jumpR: try branch(to: target(i, UInt64.self))
        case .jumpM: try branch(to: try loadOperand(i, UInt64.self))
        case .callR: try callIndirect(target(i, UInt64.self))
        case .callM: try callIndirect(try loadOperand(i, UInt64.self))
        case .pushR: try push(target(i, UInt64.self))
        case .pushI: try push(immediate(i, UInt64.self))
        case .pushM: try push(try loadOperand(i, UInt64.self))
        case .popR: write(i, UInt64.self, try pop(UInt64.self))
        case .leave: try leave()
        case .nop: break
        case .signExtendEAX: s.rax = UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: s.rax)))
        case .integer: try generic(i) { (core, i) throws(Fault) in try core.executeInteger(i) }
        case .system: try generic(i) { (core, i) throws(Fault) in try core.executeSystem(i) }
        case .vector: try generic(i) { (core, i) throws(Fault) in try core.executeVector(i) }
        }
    }
}
