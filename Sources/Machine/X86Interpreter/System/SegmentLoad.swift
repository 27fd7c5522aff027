import X86
import X86Decoder

extension Core {
    /// Loads ES, SS, DS, FS or GS as MOV, POP and the far-pointer loads do.
    ///
    /// - Throws: #GP, #NP or #SS with the selector (SDM 2B "MOV").
    func loadSegment(_ register: SegmentRegister, _ selector: UInt16) throws(Fault) {
        let s = state
        guard !s.mode.isRealLike else {
            s[register] = realSegment(register, selector)
            setEffectiveBase(register)
            return
        }
        s[register] = try checkedSegment(register, selector)
        setEffectiveBase(register)
    }

    /// What `register` holds after a load of `selector` in real or virtual-8086 mode: in real mode limit and rights stay.
    func realSegment(_ register: SegmentRegister, _ selector: UInt16) -> Segment {
        let s = state
        if s.mode == .virtual8086 { return .paragraph(selector, attributes: 0xF3) }
        let old = s[register]
        return old.isPresent ? .paragraph(selector, limit: old.limit, attributes: old.attributes) : .paragraph(selector)
    }

    /// Makes ``CPUState/effectiveBase(_:)`` that of the segment just loaded.
    @inline(__always)
    func setEffectiveBase(_ register: SegmentRegister) {
        let s = state
        let index = Int(register.rawValue)
        s[field: 0xC0 + index &* 8] = s.mode == .long64 && index < 4 ? 0 : s[register].base
    }

    /// Checks a load of `selector` into a data or stack segment register in protected mode, and marks the descriptor accessed.
    func checkedSegment(_ register: SegmentRegister, _ selector: UInt16) throws(Fault) -> Segment {
        let s = state
        let cpl = s.cpl
        if register == .ss {
            if selector.isNull {
                guard s.mode == .long64, cpl < 3, selector.rpl == cpl else { throw .generalProtection() }
                return .null(selector)
            }
            return try stackSegment(selector, level: cpl, vector: ExceptionVector.generalProtection)
        }
        if selector.isNull { return .null(selector) }
        var descriptor = try descriptor(selector)
        guard descriptor.isCodeOrData, descriptor.isReadable else { throw .generalProtection(selector.code) }
        if !descriptor.isConforming {
            guard selector.rpl <= descriptor.dpl, cpl <= descriptor.dpl else { throw .generalProtection(selector.code) }
        }
        guard descriptor.isPresent else { throw .exception(ExceptionVector.segmentNotPresent, code: selector.code) }
        try markAccessed(&descriptor)
        return descriptor.segment(selector)
    }

    /// Checks a stack segment for privilege `level`: RPL and DPL are that level, writable data, present.
    ///
    /// - Throws: `#vector(selector + ext)`, or #SS(selector + ext) where it is not present.
    func stackSegment(_ selector: UInt16, level: UInt8, vector: UInt8, ext: UInt32 = 0) throws(Fault) -> Segment {
        guard !selector.isNull else { throw .exception(vector, code: ext) }
        var descriptor = try descriptor(selector, vector: vector, ext: ext)
        guard selector.rpl == level, descriptor.isWritableData, descriptor.dpl == level else {
            throw .exception(vector, code: selector.code | ext)
        }
        guard descriptor.isPresent else { throw .stack(selector.code | ext) }
        try markAccessed(&descriptor)
        return descriptor.segment(selector)
    }

    /// Drops the segments that a return to an outer privilege level must not leave behind (SDM 3A §5.8.6).
    func dropInnerSegments() {
        let s = state
        let cpl = s.cpl
        for register in [SegmentRegister.es, .ds, .fs, .gs] {
            let segment = s[register]
            guard segment.isPresent, segment.dpl < cpl, !segment.isConforming else { continue }
            s[register] = .null()
            setEffectiveBase(register)
        }
    }

    /// LDS, LES, LSS, LFS, LGS: a far pointer from memory.
    func loadFarPointer(_ i: Instruction, _ register: SegmentRegister) throws(Fault) {
        let byteCount = Int(i.pointee.operandByteCount)
        let (offset, selector) = try farPointer(i)
        try loadSegment(register, selector)
        writeGeneral(i.pointee.operands.0.number, offset, byteCount)
        if register == .ss { leaveBlock() }
    }

    /// The far pointer that the memory operand of `i` holds.
    func farPointer(_ i: Instruction) throws(Fault) -> (offset: UInt64, selector: UInt16) {
        let byteCount = Int(i.pointee.memoryByteCount) &- 2
        let linear = try linearAddress(i, byteCount &+ 2, write: false)
        let offset = try load(byteCount: byteCount, linear)
        return (offset, try load(UInt16.self, wrapLinear(linear &+ UInt64(byteCount))))
    }

    /// After a load of SS interrupts and debug traps wait for one instruction.
    func stackSegmentLoaded() {
        state.interruptShadow = 2
        leaveBlock()
    }

    /// MOV and POP to a segment register.
    func moveToSegment(_ number: Int, _ selector: UInt16) throws(Fault) {
        guard let register = SegmentRegister(rawValue: UInt8(truncatingIfNeeded: number)), number < 6, register != .cs
        else {
            throw .invalidOpcode
        }
        try loadSegment(register, selector)
        if register == .ss { stackSegmentLoaded() }
    }

    /// POP to a segment register: only 16 bits are read from the slot.
    func popSegment(_ i: Instruction) throws(Fault) {
        let s = state
        let size = UInt64(i.pointee.operandByteCount)
        let selector: UInt16
        if s.mode == .long64 {
            do throws(Fault) { selector = try load(UInt16.self, s.rsp) } catch { throw stackFault(error) }
        } else {
            selector = try load(UInt16.self, try segmentLinear(2, s.rsp & stackAddressMask, 2, write: false))
        }
        // The width of the stack pointer is that of the old SS.
        let mask = stackAddressMask
        try moveToSegment(i.pointee.operands.0.number, selector)
        s.rsp = mergeStackPointer(s.rsp, s.rsp &+ size, mask)
    }

    /// PUSH of a segment register: the slot is as wide as the operand, the upper bits are zero.
    func pushSegment(_ i: Instruction) throws(Fault) {
        let selector = state[SegmentRegister(rawValue: UInt8(i.pointee.operands.0.number)) ?? .ds].selector
        switch i.pointee.operandByteCount {
        case 2: try push(selector)
        case 4: try push(UInt32(selector))
        default: try push(UInt64(selector))
        }
    }
}
