import X86

extension Core {
    /// Delivery in protected mode and from virtual-8086 mode (SDM 3A §6.12, 3B §20.3).
    func deliverProtected(_ vector: UInt8, _ kind: InterruptKind, _ errorCode: UInt32?, _ flags: UInt64) throws(Fault) {
        let s = state
        let ext = kind.externalBit
        let entryCode = UInt32(vector) << 3 | 2
        guard UInt32(vector) << 3 | 7 <= s.idtLimit else { throw .generalProtection(entryCode | ext) }
        let address = wrapSystem(s.idtBase &+ UInt64(vector) << 3)
        let gate = Descriptor(raw: try loadImplicit(UInt64.self, address), address: address)
        let isKnown =
            !gate.isCodeOrData
            && [
                DescriptorType.taskGate, DescriptorType.interruptGate16, DescriptorType.trapGate16,
                DescriptorType.interruptGate,
                DescriptorType.trapGate,
            ].contains(gate.type)
        guard isKnown else { throw .generalProtection(entryCode | ext) }
        if kind.checksGatePrivilege, gate.dpl < s.cpl { throw .generalProtection(entryCode | ext) }
        guard gate.isPresent else { throw .exception(ExceptionVector.segmentNotPresent, code: entryCode | ext) }
        if gate.type == DescriptorType.taskGate {
            let selector = gate.gateSelector
            let task = try taskDescriptor(selector, ext: ext)
            return try switchTask(selector, task, .interrupt, errorCode: errorCode, ext: ext, flags: flags)
        }
        try deliverThroughGate(gate, ext, errorCode, flags)
    }

    private func deliverThroughGate(
        _ gate: Descriptor,
        _ ext: UInt32,
        _ errorCode: UInt32?,
        _ flags: UInt64
    ) throws(Fault) {
        let s = state
        let selector = gate.gateSelector
        guard !selector.isNull else { throw .generalProtection(ext) }
        var code = try descriptor(selector, ext: ext)
        guard code.isCode, code.dpl <= s.cpl else { throw .generalProtection(selector.code | ext) }
        guard code.isPresent else { throw .exception(ExceptionVector.segmentNotPresent, code: selector.code | ext) }
        let level = code.isConforming ? s.cpl : code.dpl
        let isVirtual = s.mode == .virtual8086
        if isVirtual, level != 0 { throw .generalProtection(selector.code | ext) }
        let is32 = gate.type & 8 != 0
        let target = is32 ? gate.gateOffset32 : gate.gateOffset16

        var values: [UInt64] = []
        var stack: StackView
        if level < s.cpl {
            stack = try innerStack(level: level, ext: ext)
            if isVirtual {
                for register in [SegmentRegister.gs, .fs, .ds, .es] { values.append(UInt64(s[register].selector)) }
            }
            values += [UInt64(s[.ss].selector), s.rsp]
        } else {
            stack = currentStack(code: ext)
        }
        values += [s.rflags | flags, UInt64(s[.cs].selector), s.rip]
        if let errorCode { values.append(UInt64(errorCode)) }
        let segment = code.segment(selector.withRPL(level))
        guard target <= UInt64(segment.limit) else { throw .generalProtection(ext) }
        try markAccessed(&code)
        try pushAll(values, byteCount: is32 ? 4 : 2, &stack)

        if level < s.cpl { s[.ss] = stack.segment }
        s.rsp = stack.pointer
        if isVirtual {
            for register in [SegmentRegister.gs, .fs, .ds, .es] { s[register] = .null() }
        }
        s[.cs] = code.segment(selector.withRPL(level))
        s.cpl = level
        s.rip = target
        var cleared = RFlags.tf | RFlags.nt | RFlags.rf | RFlags.vm
        if gate.type == DescriptorType.interruptGate || gate.type == DescriptorType.interruptGate16 {
            cleared |= RFlags.interruptEnable
        }
        s.systemFlags &= ~cleared
        modeChanged()
    }

    /// INT n in virtual-8086 mode: by the redirection bitmap of CR4.VME to the 8086 program's own vectors, else by IOPL
    /// to the IDT (SDM 3B §20.3.3).
    func softwareInterrupt(_ vector: UInt8) throws(Fault) {
        let s = state
        guard s.mode == .virtual8086 else { return try deliverEvent(vector, .software, errorCode: nil) }
        let isTrusted = s.systemFlags & RFlags.iopl == RFlags.iopl
        if s.cr4 & CR4.vme != 0, try !isRedirected(vector) {
            return try deliverVirtual(vector, isTrusted: isTrusted)
        }
        guard isTrusted else { throw .generalProtection() }
        try deliverEvent(vector, .software, errorCode: nil)
    }

    /// The bit of `vector` in the 32 bytes before the I/O permission bitmap: whether the protected-mode handler takes it.
    private func isRedirected(_ vector: UInt8) throws(Fault) -> Bool {
        let task = state[.tr]
        guard task.isPresent, task.type & 8 != 0, task.limit >= 103 else { throw .generalProtection() }
        let map = UInt32(try loadImplicit(UInt16.self, wrapSystem(task.base &+ 102)))
        let offset = Int64(map) - 32 + Int64(vector >> 3)
        guard offset >= 0, offset <= Int64(task.limit) else { throw .generalProtection() }
        let byte = try loadImplicit(UInt8.self, wrapSystem(task.base &+ UInt64(offset)))
        return byte >> (vector & 7) & 1 != 0
    }

    private func deliverVirtual(_ vector: UInt8, isTrusted: Bool) throws(Fault) {
        let s = state
        let pointer = try load(UInt32.self, UInt64(vector) * 4)
        var image = s.rflags
        if !isTrusted {
            image = image & ~RFlags.interruptEnable | RFlags.iopl
            if s.systemFlags & RFlags.vif != 0 { image |= RFlags.interruptEnable }
        }
        var stack = currentStack()
        try pushAll([image, UInt64(s[.cs].selector), s.rip], byteCount: 2, &stack)
        s.rsp = stack.pointer
        if s.systemFlags & RFlags.tf != 0 { s[byte: SystemLayout.dropsTrace] = 1 }
        s.systemFlags &= ~(RFlags.tf | RFlags.nt | RFlags.rf | (isTrusted ? RFlags.interruptEnable : RFlags.vif))
        s[.cs] = .paragraph(UInt16(truncatingIfNeeded: pointer >> 16), attributes: 0xFB)
        s.rip = UInt64(pointer & 0xFFFF)
        modeChanged()
    }
}
