import X86
import X86Decoder

extension Core {
    /// The far pointer operand of JMP or CALL: immediate or in memory.
    private func farTarget(_ i: Instruction) throws(Fault) -> (offset: UInt64, selector: UInt16) {
        guard i.pointee.operands.0.kind == .immediate else { return try farPointer(i) }
        let offset = i.pointee.immediate & 0xFFFF_FFFF
        return (offset, UInt16(truncatingIfNeeded: i.pointee.immediate >> 32))
    }

    /// JMP far: to code, through a call gate, or to another task (SDM 2A "JMP").
    func farJump(_ i: Instruction) throws(Fault) {
        let s = state
        let (offset, selector) = try farTarget(i)
        if s.mode.isRealLike {
            guard offset <= UInt64(s[.cs].limit) else { throw .generalProtection() }
            loadParagraphCode(selector, offset)
            return
        }
        guard !selector.isNull else { throw .generalProtection() }
        let target = try descriptor(selector)
        if target.isCodeOrData {
            let code = try directCode(target, selector, offset)
            s[.cs] = code
            s.rip = offset
            modeChanged()
            return
        }
        switch try systemTarget(target, selector) {
        case .gate(let gate):
            let codeSelector = gate.gateSelector
            let code = try gateCode(codeSelector, isCall: false)
            let entry = gateOffset(gate)
            var descriptor = code
            try markAccessed(&descriptor)
            let segment = descriptor.segment(codeSelector.withRPL(s.cpl))
            try checkEntry(segment, entry)
            s[.cs] = segment
            s.rip = entry
            modeChanged()
        case .task(let task, let taskSelector):
            try switchTask(taskSelector, task, .jump, errorCode: nil, ext: 0, flags: 0)
        }
    }

    /// CALL far (SDM 2A "CALL").
    func farCall(_ i: Instruction) throws(Fault) {
        let s = state
        let byteCount =
            i.pointee.operands.0.kind == .immediate
            ? Int(i.pointee.operandByteCount) : Int(i.pointee.memoryByteCount) &- 2
        let (offset, selector) = try farTarget(i)
        if s.mode.isRealLike {
            guard offset <= UInt64(s[.cs].limit) else { throw .generalProtection() }
            var stack = currentStack()
            try pushAll([UInt64(s[.cs].selector), s.rip], byteCount: byteCount, &stack)
            s.rsp = stack.pointer
            loadParagraphCode(selector, offset)
            return
        }
        guard !selector.isNull else { throw .generalProtection() }
        let target = try descriptor(selector)
        if target.isCodeOrData {
            let code = try directCode(target, selector, offset)
            var stack = currentStack()
            try pushAll([UInt64(s[.cs].selector), s.rip], byteCount: byteCount, &stack)
            s.rsp = stack.pointer
            s[.cs] = code
            s.rip = offset
            modeChanged()
            return
        }
        switch try systemTarget(target, selector) {
        case .gate(let gate): try callThroughGate(gate)
        case .task(let task, let taskSelector):
            try switchTask(taskSelector, task, .call, errorCode: nil, ext: 0, flags: 0)
        }
    }

    /// CS:IP for real and virtual-8086 mode.
    private func loadParagraphCode(_ selector: UInt16, _ offset: UInt64) {
        let s = state
        s[.cs] = s.mode == .real ? realCode(selector) : .paragraph(selector, attributes: 0xFB)
        s.rip = offset
        modeChanged()
    }

    /// Checks a direct far transfer to a code segment at the current privilege.
    private func directCode(_ target: Descriptor, _ selector: UInt16, _ offset: UInt64) throws(Fault) -> Segment {
        let s = state
        var code = target
        guard code.isCode else { throw .generalProtection(selector.code) }
        if code.isConforming {
            guard code.dpl <= s.cpl else { throw .generalProtection(selector.code) }
        } else {
            guard selector.rpl <= s.cpl, code.dpl == s.cpl else { throw .generalProtection(selector.code) }
        }
        let isLongMode = s.efer & EFER.longModeActive != 0
        if isLongMode, code.isLong, code.isBig { throw .generalProtection(selector.code) }
        guard code.isPresent else { throw .exception(ExceptionVector.segmentNotPresent, code: selector.code) }
        var segment = code.segment(selector.withRPL(s.cpl))
        if !isLongMode { segment.attributes &= ~0x2000 }
        try checkEntry(segment, offset)
        try markAccessed(&code)
        segment.attributes |= 1
        return segment
    }

    private func checkEntry(_ segment: Segment, _ offset: UInt64) throws(Fault) {
        guard segment.isLong ? isCanonical(offset) : offset <= UInt64(segment.limit) else { throw .generalProtection() }
    }

    private enum SystemTarget {
        case gate(Descriptor)
        case task(Descriptor, UInt16)
    }

    /// Tells gates from tasks, with the privilege checks on what the far pointer names.
    private func systemTarget(_ target: Descriptor, _ selector: UInt16) throws(Fault) -> SystemTarget {
        let s = state
        let isLongMode = s.efer & EFER.longModeActive != 0
        let isAllowed =
            isLongMode
            ? target.type == DescriptorType.callGate
            : [
                DescriptorType.availableTSS16, DescriptorType.availableTSS, DescriptorType.callGate16,
                DescriptorType.callGate,
                DescriptorType.taskGate,
            ].contains(target.type)
        guard isAllowed, target.dpl >= s.cpl, target.dpl >= selector.rpl else {
            throw .generalProtection(selector.code)
        }
        switch target.type {
        case DescriptorType.callGate, DescriptorType.callGate16:
            let gate = isLongMode ? try extended(target, selector) : target
            guard gate.isPresent else { throw .exception(ExceptionVector.segmentNotPresent, code: selector.code) }
            return .gate(gate)
        case DescriptorType.taskGate:
            guard target.isPresent else { throw .exception(ExceptionVector.segmentNotPresent, code: selector.code) }
            return .task(try taskDescriptor(target.gateSelector, ext: 0), target.gateSelector)
        default:
            guard selector & 4 == 0 else { throw .generalProtection(selector.code) }
            guard target.isPresent else { throw .exception(ExceptionVector.segmentNotPresent, code: selector.code) }
            return .task(target, selector)
        }
    }

    private func gateOffset(_ gate: Descriptor) -> UInt64 {
        if state.efer & EFER.longModeActive != 0 { return gate.gateOffset64 }
        return gate.type == DescriptorType.callGate ? gate.gateOffset32 : gate.gateOffset16
    }

    /// Checks the code segment that a call gate names.
    private func gateCode(_ selector: UInt16, isCall: Bool) throws(Fault) -> Descriptor {
        let s = state
        guard !selector.isNull else { throw .generalProtection() }
        let code = try descriptor(selector)
        guard code.isCode, code.dpl <= s.cpl, isCall || code.isConforming || code.dpl == s.cpl else {
            throw .generalProtection(selector.code)
        }
        if s.efer & EFER.longModeActive != 0, !code.isLong || code.isBig { throw .generalProtection(selector.code) }
        guard code.isPresent else { throw .exception(ExceptionVector.segmentNotPresent, code: selector.code) }
        return code
    }

    private func callThroughGate(_ gate: Descriptor) throws(Fault) {
        let s = state
        let selector = gate.gateSelector
        var code = try gateCode(selector, isCall: true)
        let level = code.isConforming ? s.cpl : code.dpl
        let isLongMode = s.efer & EFER.longModeActive != 0
        let byteCount = isLongMode ? 8 : gate.type == DescriptorType.callGate ? 4 : 2
        let entry = gateOffset(gate)
        var stack: StackView
        var values: [UInt64] = []
        if level < s.cpl {
            if isLongMode {
                stack = StackView(
                    segment: .null(UInt16(level)),
                    pointer: try longStackPointer(Int(level), ext: 0),
                    mask: .max,
                    isFlat: true,
                    rules: TLB.supervisor,
                    code: 0
                )
            } else {
                stack = try innerStack(level: level, ext: 0)
            }
            values = [UInt64(s[.ss].selector), s.rsp]
            if !isLongMode {
                var parameters: [UInt64] = []
                var outer = currentStack()
                for _ in 0..<gate.gateParameterCount { parameters.append(try popNext(byteCount: byteCount, &outer)) }
                values += parameters.reversed()
            }
        } else {
            stack = currentStack()
            if isLongMode {
                stack.isFlat = true
                stack.mask = .max
            }
        }
        values += [UInt64(s[.cs].selector), s.rip]
        let target = code.segment(selector.withRPL(level))
        try checkEntry(target, entry)
        try markAccessed(&code)
        try pushAll(values, byteCount: byteCount, &stack)
        if level < s.cpl { s[.ss] = stack.segment }
        s.rsp = stack.pointer
        s[.cs] = code.segment(selector.withRPL(level))
        s.cpl = level
        s.rip = entry
        modeChanged()
    }
}
