import X86
import X86Decoder

extension Core {
    /// #GP(0) for SGDT, SIDT, SLDT, SMSW and STR outside CPL 0 under CR4.UMIP.
    func checkUserModePrevention() throws(Fault) {
        guard state.cr4 & CR4.umip == 0 || state.cpl == 0 else { throw .generalProtection() }
    }

    /// SGDT and SIDT.
    func storeTable(_ i: Instruction, limit: UInt32, base: UInt64) throws(Fault) {
        try checkUserModePrevention()
        let isLong = state.mode == .long64
        let byteCount = isLong ? 10 : 6
        let linear = try linearAddress(i, byteCount, write: true)
        try checkWritable(linear, byteCount, rules: ruleTable)
        try store(UInt16(truncatingIfNeeded: limit), linear)
        let second = wrapLinear(linear &+ 2)
        if isLong { try store(base, second) } else { try store(UInt32(truncatingIfNeeded: base), second) }
    }

    /// LGDT and LIDT: limit and base from memory; a 16-bit operand size takes 24 bits of base.
    func loadTable(_ i: Instruction) throws(Fault) -> (limit: UInt32, base: UInt64) {
        guard state.mode != .virtual8086 else { throw .generalProtection() }
        try requirePrivilege()
        let isLong = state.mode == .long64
        let linear = try linearAddress(i, isLong ? 10 : 6, write: false)
        let limit = UInt32(try load(UInt16.self, linear))
        let second = wrapLinear(linear &+ 2)
        if isLong {
            let base = try load(UInt64.self, second)
            guard isCanonical(base) else { throw .generalProtection() }
            return (limit, base)
        }
        let base = UInt64(try load(UInt32.self, second))
        let is16 = (state.mode.codeByteCount == 2) != i.pointee.prefixes.contains(.operandSize)
        return (limit, is16 ? base & 0xFF_FFFF : base)
    }

    /// LLDT.
    func loadLocalTable(_ i: Instruction) throws(Fault) {
        try requireProtected()
        try requirePrivilege()
        let selector = try word(i, i.pointee.operands.0)
        guard !selector.isNull else {
            state[.ldtr] = .null(selector)
            return
        }
        guard selector & 4 == 0 else { throw .generalProtection(selector.code) }
        var table = try descriptor(selector)
        guard !table.isCodeOrData, table.type == DescriptorType.ldt else { throw .generalProtection(selector.code) }
        if state.efer & EFER.longModeActive != 0 { table = try extended(table, selector) }
        guard table.isPresent else { throw .exception(ExceptionVector.segmentNotPresent, code: selector.code) }
        state[.ldtr] = table.segment(selector)
    }

    /// LTR.
    func loadTask(_ i: Instruction) throws(Fault) {
        try requireProtected()
        try requirePrivilege()
        let selector = try word(i, i.pointee.operands.0)
        guard !selector.isNull else { throw .generalProtection() }
        guard selector & 4 == 0 else { throw .generalProtection(selector.code) }
        var task = try descriptor(selector)
        let isLongMode = state.efer & EFER.longModeActive != 0
        guard !task.isCodeOrData,
            task.type == DescriptorType.availableTSS || !isLongMode && task.type == DescriptorType.availableTSS16
        else { throw .generalProtection(selector.code) }
        if isLongMode { task = try extended(task, selector) }
        guard task.isPresent else { throw .exception(ExceptionVector.segmentNotPresent, code: selector.code) }
        try markBusy(&task, true)
        state[.tr] = task.segment(selector)
    }

    /// The descriptor that LAR, LSL, VERR and VERW look at, or nil where they clear ZF.
    private func visibleDescriptor(_ selector: UInt16, systemTypes: UInt16) throws(Fault) -> Descriptor? {
        guard !selector.isNull else { return nil }
        let found: Descriptor
        do throws(Fault) {
            found = try descriptor(selector)
        } catch {
            // Outside the table is an answer; a page fault is not.
            guard error.vector == ExceptionVector.generalProtection else { throw error }
            return nil
        }
        if !found.isCodeOrData, systemTypes >> UInt16(found.type) & 1 == 0 { return nil }
        if !found.isConforming || !found.isCodeOrData {
            guard found.dpl >= state.cpl, found.dpl >= selector.rpl else { return nil }
        }
        return found
    }

    /// LAR: bits 23:8 of the descriptor's second half.
    func loadAccessRights(_ i: Instruction) throws(Fault) {
        try requireProtected()
        let selector = try word(i, i.pointee.operands.1)
        // TSS, LDT, gates but for interrupt and trap ones; in long mode only the 64-bit types.
        let types: UInt16 = state.efer & EFER.longModeActive != 0 ? 0x1A04 : 0x1A3E
        let found = try visibleDescriptor(selector, systemTypes: types)
        if let found {
            writeGeneral(i.pointee.operands.0.number, found.raw >> 32 & 0xFF_FF00, Int(i.pointee.operandByteCount))
        }
        setZeroFlag(found != nil)
    }

    /// LSL: the limit in bytes.
    func loadSegmentLimit(_ i: Instruction) throws(Fault) {
        try requireProtected()
        let selector = try word(i, i.pointee.operands.1)
        let types: UInt16 = state.efer & EFER.longModeActive != 0 ? 0x0A04 : 0x0A0E
        let found = try visibleDescriptor(selector, systemTypes: types)
        if let found {
            let limit = UInt64(found.segment(selector).limit)
            writeGeneral(i.pointee.operands.0.number, limit, Int(i.pointee.operandByteCount))
        }
        setZeroFlag(found != nil)
    }

    /// VERR and VERW.
    func verifySegment(_ i: Instruction, write: Bool) throws(Fault) {
        try requireProtected()
        let selector = try word(i, i.pointee.operands.0)
        guard let found = try visibleDescriptor(selector, systemTypes: 0) else { return setZeroFlag(false) }
        setZeroFlag(write ? found.isWritableData : found.isReadable)
    }

    /// ARPL.
    func adjustPrivilege(_ i: Instruction) throws(Fault) {
        try requireProtected()
        let target = i.pointee.operands.0
        let source = UInt16(truncatingIfNeeded: state[i.pointee.operands.1.number])
        if target.isMemory {
            let linear = try linearAddress(i, 2, write: true)
            let value = try loadForModify(UInt16.self, linear)
            let isLower = value.rpl < source.rpl
            if isLower { try store(value.withRPL(source.rpl), linear) }
            setZeroFlag(isLower)
        } else {
            let value = UInt16(truncatingIfNeeded: state[target.number])
            let isLower = value.rpl < source.rpl
            if isLower { writeGeneral(target.number, UInt64(value.withRPL(source.rpl)), 2) }
            setZeroFlag(isLower)
        }
    }
}
