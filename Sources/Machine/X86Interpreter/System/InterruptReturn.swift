import X86
import X86Decoder

extension Core {
    /// IRET, IRETD and IRETQ in every mode.
    func interruptReturn(_ i: Instruction) throws(Fault) {
        let byteCount = Int(i.pointee.operandByteCount)
        // Also where it faults (SDM 3C §28.2.3 "NMI unblocking due to IRET").
        nonMaskableBlocked = false
        switch state.mode {
        case .real: try returnReal(byteCount)
        case .virtual8086: try returnVirtual(byteCount)
        case .long64, .compatibility32, .compatibility16:
            guard state.systemFlags & RFlags.nt == 0 else { throw .generalProtection() }
            try returnLong(byteCount)
        default:
            if state.systemFlags & RFlags.nt != 0 { return try returnToTask() }
            try returnProtected(byteCount)
        }
        leaveBlock()
    }

    private func returnReal(_ byteCount: Int) throws(Fault) {
        let s = state
        var stack = currentStack()
        let target = try popNext(byteCount: byteCount, &stack)
        let selector = try popNext(byteCount: byteCount, &stack)
        let image = try popNext(byteCount: byteCount, &stack)
        guard target <= UInt64(s[.cs].limit) else { throw .generalProtection() }
        s.rsp = stack.pointer
        s[.cs] = realCode(UInt16(truncatingIfNeeded: selector))
        s.rip = target
        let kept = byteCount == 2 ? ~UInt64(0xFFFF) : RFlags.vm | RFlags.vif | RFlags.vip
        s.rflags = s.rflags & kept | image & ~kept
        modeChanged()
    }

    private func returnVirtual(_ byteCount: Int) throws(Fault) {
        let s = state
        let isTrusted = s.systemFlags & RFlags.iopl == RFlags.iopl
        guard isTrusted || s.cr4 & CR4.vme != 0 && byteCount == 2 else { throw .generalProtection() }
        var stack = currentStack()
        let target = try popNext(byteCount: byteCount, &stack)
        let selector = try popNext(byteCount: byteCount, &stack)
        let image = try popNext(byteCount: byteCount, &stack)
        guard target <= 0xFFFF else { throw .generalProtection() }
        var kept = RFlags.iopl | RFlags.vm | RFlags.vif | RFlags.vip
        if byteCount == 2 { kept |= ~0xFFFF }
        var flags = s.rflags & kept | image & ~kept
        if !isTrusted {
            let wantsInterrupts = image & RFlags.interruptEnable != 0
            if wantsInterrupts && s.systemFlags & RFlags.vip != 0 || image & RFlags.tf != 0 {
                throw .generalProtection()
            }
            flags = flags & ~(RFlags.interruptEnable | RFlags.vif) | s.systemFlags & RFlags.interruptEnable
            if wantsInterrupts { flags |= RFlags.vif }
        }
        s.rsp = stack.pointer
        s[.cs] = .paragraph(UInt16(truncatingIfNeeded: selector), attributes: 0xFB)
        s.rip = target
        s.rflags = flags
        modeChanged()
    }

    /// The flags that IRET may change at the current privilege, in protected mode.
    private func returnFlags(_ byteCount: Int) -> UInt64 {
        let s = state
        var mask = RFlags.arithmetic | RFlags.tf | RFlags.df | RFlags.nt
        if byteCount != 2 { mask |= RFlags.rf | RFlags.ac | RFlags.id }
        if UInt64(s.cpl) <= s.systemFlags >> 12 & 3 { mask |= RFlags.interruptEnable }
        if s.cpl == 0 {
            mask |= RFlags.iopl
            if byteCount != 2 { mask |= RFlags.vif | RFlags.vip }
        }
        return mask
    }

    private func returnToTask() throws(Fault) {
        let s = state
        let task = s[.tr]
        let selector = try loadImplicit(UInt16.self, wrapSystem(task.base))
        guard selector & 4 == 0, !selector.isNull else {
            throw .exception(ExceptionVector.invalidTSS, code: selector.code)
        }
        let target = try descriptor(selector, vector: ExceptionVector.invalidTSS)
        guard !target.isCodeOrData, target.type == DescriptorType.busyTSS || target.type == DescriptorType.busyTSS16
        else {
            throw .exception(ExceptionVector.invalidTSS, code: selector.code)
        }
        guard target.isPresent else { throw .exception(ExceptionVector.segmentNotPresent, code: selector.code) }
        try switchTask(selector, target, .interruptReturn, errorCode: nil, ext: 0, flags: 0)
    }

    private func returnProtected(_ byteCount: Int) throws(Fault) {
        let s = state
        var stack = currentStack()
        let target = try popNext(byteCount: byteCount, &stack)
        let selector = UInt16(truncatingIfNeeded: try popNext(byteCount: byteCount, &stack))
        let image = try popNext(byteCount: byteCount, &stack)
        if byteCount == 4, image & RFlags.vm != 0, s.cpl == 0 {
            return try enterVirtual(target, selector, image, &stack)
        }
        let code = try returnCode(selector, target)
        let mask = returnFlags(byteCount)
        try finishReturn(code, selector, target, byteCount, 0, &stack)
        s.rflags = s.rflags & ~mask | image & mask
        modeChanged()
    }

    private func enterVirtual(
        _ target: UInt64,
        _ selector: UInt16,
        _ image: UInt64,
        _ stack: inout StackView
    ) throws(Fault) {
        let s = state
        var values: [UInt64] = []
        for _ in 0..<6 { values.append(try popNext(byteCount: 4, &stack)) }
        guard target <= 0xFFFF else { throw .generalProtection() }
        s.rflags = image
        s[.cs] = .paragraph(selector, attributes: 0xFB)
        s.rip = target
        s.rsp = values[0]
        for (register, value) in zip([SegmentRegister.ss, .es, .ds, .fs, .gs], values.dropFirst()) {
            s[register] = .paragraph(UInt16(truncatingIfNeeded: value), attributes: 0xF3)
        }
        s.cpl = 3
        modeChanged()
    }

    private func returnLong(_ byteCount: Int) throws(Fault) {
        let s = state
        var stack = currentStack()
        let target = try popNext(byteCount: byteCount, &stack)
        let selector = UInt16(truncatingIfNeeded: try popNext(byteCount: byteCount, &stack))
        let image = try popNext(byteCount: byteCount, &stack)
        let code = try returnCode(selector, target)
        let mask = returnFlags(byteCount)
        let was64 = s.mode == .long64
        if was64 || selector.rpl > s.cpl {
            // In 64-bit mode the stack is always popped.
            let pointer = try popNext(byteCount: byteCount, &stack)
            let stackSelector = UInt16(truncatingIfNeeded: try popNext(byteCount: byteCount, &stack))
            let segment = try returnStack(stackSelector, selector, toLong: code.isLong)
            let isOuter = selector.rpl > s.cpl
            s[.ss] = segment
            let pointerMask: UInt64 = code.isLong ? .max : segment.isBig ? 0xFFFF_FFFF : 0xFFFF
            s.rsp = code.isLong ? pointer : mergeStackPointer(s.rsp, pointer, pointerMask)
            s[.cs] = code
            s.cpl = selector.rpl
            if isOuter { dropInnerSegments() }
        } else {
            s[.cs] = code
            s.rsp = stack.pointer
        }
        s.rip = target
        s.rflags = s.rflags & ~mask | image & mask
        if was64, code.isLong { selectTLB() } else { modeChanged() }
    }
}
