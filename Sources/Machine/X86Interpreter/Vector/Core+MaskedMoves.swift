import X86
import X86Decoder

// Moves that touch only the elements that a mask selects: others neither fault nor are written.
extension Core {
    /// VMASKMOVPS, VMASKMOVPD, VPMASKMOVD and VPMASKMOVQ from memory.
    func maskedLoad(_ i: Instruction, _ plan: UnsafePointer<VectorPlan>) throws(Fault) {
        let encoding = plan.pointee.encoding
        let size = elementByteCount(encoding)
        let byteCount = encoding.isWide ? 32 : 16
        state[field: VectorScratch.result] = 0
        (raw + VectorScratch.result).initializeMemory(as: UInt8.self, repeating: 0, count: 32)
        for at in stride(from: 0, to: byteCount, by: size) where isSelected(Int(encoding.vvvv), at, size) {
            let linear = try elementAddress(i, at, size, write: false)
            if size == 4 {
                state[dword: VectorScratch.result + at] = try load(UInt32.self, linear)
            } else {
                state[field: VectorScratch.result + at] = try load(UInt64.self, linear)
            }
        }
        setLow(Int(encoding.reg), raw.load(fromByteOffset: VectorScratch.result, as: VectorHalf.self))
        setHigh(Int(encoding.reg), raw.load(fromByteOffset: VectorScratch.result + 16, as: VectorHalf.self))
    }

    /// The same to memory.
    func maskedStore(_ i: Instruction, _ plan: UnsafePointer<VectorPlan>) throws(Fault) {
        let encoding = plan.pointee.encoding
        let size = elementByteCount(encoding)
        let byteCount = encoding.isWide ? 32 : 16
        for at in stride(from: 0, to: byteCount, by: size) where isSelected(Int(encoding.vvvv), at, size) {
            try checkWritable(try elementAddress(i, at, size, write: true), size, rules: ruleTable)
        }
        for at in stride(from: 0, to: byteCount, by: size) where isSelected(Int(encoding.vvvv), at, size) {
            let linear = try elementAddress(i, at, size, write: true)
            let place = registerByte(Int(encoding.reg), at)
            if size == 4 { try store(state[dword: place], linear) } else { try store(state[field: place], linear) }
        }
    }

    private func elementByteCount(_ encoding: VectorEncoding) -> Int {
        encoding.opcode & 0xF0 == 0x80 ? encoding.w ? 8 : 4 : encoding.opcode & 1 == 0 ? 4 : 8
    }

    /// Where byte `at` of YMM `number` lies in the block.
    private func registerByte(_ number: Int, _ at: Int) -> Int {
        at < 16 ? VectorRegister.low(number) + at : VectorRegister.high(number) + at - 16
    }

    private func isSelected(_ mask: Int, _ at: Int, _ size: Int) -> Bool {
        state[byte: registerByte(mask, at + size - 1)] & 0x80 != 0
    }

    private func elementAddress(_ i: Instruction, _ at: Int, _ size: Int, write: Bool) throws(Fault) -> UInt64 {
        let offset = wrapOffset(effectiveOffset(i) &+ UInt64(at), i)
        return try segmentLinear(Int(i.pointee.segment), offset, size, write: write)
    }

    private func wrapOffset(_ offset: UInt64, _ i: Instruction) -> UInt64 {
        switch i.pointee.addressByteCount {
        case 8: offset
        case 4: offset & 0xFFFF_FFFF
        default: offset & 0xFFFF
        }
    }

    /// MASKMOVQ, MASKMOVDQU and VMASKMOVDQU: the bytes of ModRM.reg whose mask byte in ModRM.rm is negative, to DS:rDI.
    func maskedBytes(_ i: Instruction, _ plan: UnsafePointer<VectorPlan>) throws(Fault) {
        let encoding = plan.pointee.encoding
        let isMMX = plan.pointee.gate == .mmx
        if isMMX { enterMMX() }
        let count = isMMX ? 8 : 16
        let data = isMMX ? VectorRegister.x87(Int(encoding.reg & 7)) : VectorRegister.low(Int(encoding.reg))
        let mask = isMMX ? VectorRegister.x87(Int(encoding.rm & 7)) : VectorRegister.low(Int(encoding.rm))
        func address(_ at: Int) throws(Fault) -> UInt64 {
            try segmentLinear(Int(i.pointee.segment), wrapOffset(state.rdi &+ UInt64(at), i), 1, write: true)
        }
        for at in 0..<count where state[byte: mask + at] & 0x80 != 0 {
            try checkWritable(try address(at), 1, rules: ruleTable)
        }
        for at in 0..<count where state[byte: mask + at] & 0x80 != 0 {
            try store(state[byte: data + at], try address(at))
        }
    }

    /// VGATHER and VPGATHER: elements from low to high; each clears its mask element, so that a fault leaves what is done done
    /// and the instruction goes on from there.
    func gather(_ i: Instruction, _ plan: UnsafePointer<VectorPlan>) throws(Fault) {
        let encoding = plan.pointee.encoding
        let target = Int(encoding.reg)
        let mask = Int(encoding.vvvv)
        let index = Int(i.pointee.index)
        guard index < 16, target != mask, target != index, mask != index else { throw .invalidOpcode }
        let size = encoding.w ? 8 : 4
        let indexSize = encoding.opcode & 1 == 0 ? 4 : 8
        let count = (encoding.isWide ? 32 : 16) / max(size, indexSize)
        let s = state
        // First of all each mask element becomes all ones or zero (SDM 2C "VPGATHERDD"): a fault leaves them so.
        let width = encoding.isWide ? 32 : 16
        for at in stride(from: 0, to: width, by: size) {
            let ones: UInt64 = isSelected(mask, at, size) ? .max : 0
            let place = registerByte(mask, at)
            if size == 8 { s[field: place] = ones } else { s[dword: place] = UInt32(truncatingIfNeeded: ones) }
        }
        if !encoding.isWide { setHigh(mask, VectorHalf()) }
        var answersPending = false
        for element in 0..<count where isSelected(mask, element * size, size) {
            let place = registerByte(index, element * indexSize)
            let value = indexSize == 8 ? s[field: place] : UInt64(bitPattern: Int64(Int32(bitPattern: s[dword: place])))
            let base = i.pointee.base < 18 ? s[Int(i.pointee.base)] : 0
            let scaled = value << UInt64(i.pointee.scale)
            let offset = wrapOffset(base &+ scaled &+ UInt64(bitPattern: Int64(i.pointee.displacement)), i)
            let linear = try segmentLinear(Int(i.pointee.segment), offset, size, write: false)
            if size == 8 {
                s[field: VectorScratch.result + element * 8] = try load(UInt64.self, linear)
            } else {
                s[dword: VectorScratch.result + element * 4] = try load(UInt32.self, linear)
            }
            // While a device is asked the instruction will be run again from its start with the same answers.
            answersPending = services.hasAnswers
            guard !answersPending else { continue }
            finishElement(target, mask, element, size)
            if !encoding.isWide { setHigh(target, VectorHalf()) }
        }
        if answersPending || services.hasAnswers {
            for element in 0..<count where isSelected(mask, element * size, size) {
                finishElement(target, mask, element, size)
            }
        }
        if count * size <= 8 { s[field: VectorRegister.low(target) + 8] = 0 }
        if count * size <= 16 { setHigh(target, VectorHalf()) }
        setLow(mask, VectorHalf())
        setHigh(mask, VectorHalf())
    }

    private func finishElement(_ target: Int, _ mask: Int, _ element: Int, _ size: Int) {
        let at = element * size
        let s = state
        if size == 8 {
            s[field: registerByte(target, at)] = s[field: VectorScratch.result + at]
            s[field: registerByte(mask, at)] = 0
        } else {
            s[dword: registerByte(target, at)] = s[dword: VectorScratch.result + at]
            s[dword: registerByte(mask, at)] = 0
        }
    }
}
