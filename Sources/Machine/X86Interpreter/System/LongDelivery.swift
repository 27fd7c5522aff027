import X86

extension Core {
    /// Delivery in IA-32e mode (SDM 3A §6.14).
    func deliverLong(_ vector: UInt8, _ kind: InterruptKind, _ errorCode: UInt32?, _ flags: UInt64) throws(Fault) {
        let s = state
        let ext = kind.externalBit
        let entryCode = UInt32(vector) << 3 | 2
        guard UInt32(vector) << 4 | 15 <= s.idtLimit else { throw .generalProtection(entryCode | ext) }
        let address = s.idtBase &+ UInt64(vector) << 4
        var gate = Descriptor(raw: try loadImplicit(UInt64.self, address), address: address)
        gate.upper = UInt64(try loadImplicit(UInt32.self, address &+ 8))
        guard !gate.isCodeOrData, gate.type == DescriptorType.interruptGate || gate.type == DescriptorType.trapGate
        else {
            throw .generalProtection(entryCode | ext)
        }
        if kind.checksGatePrivilege, gate.dpl < s.cpl { throw .generalProtection(entryCode | ext) }
        guard gate.isPresent else { throw .exception(ExceptionVector.segmentNotPresent, code: entryCode | ext) }
        let selector = gate.gateSelector
        guard !selector.isNull else { throw .generalProtection(ext) }
        var code = try descriptor(selector, ext: ext)
        guard code.isCode, code.dpl <= s.cpl, code.isLong, !code.isBig else {
            throw .generalProtection(selector.code | ext)
        }
        guard code.isPresent else { throw .exception(ExceptionVector.segmentNotPresent, code: selector.code | ext) }
        let level = code.isConforming ? s.cpl : code.dpl
        let target = gate.gateOffset64
        guard isCanonical(target) else { throw .generalProtection(ext) }

        var pointer: UInt64
        if gate.interruptStack != 0 {
            pointer = try longStackPointer(3 + gate.interruptStack, ext: ext)
        } else if level < s.cpl {
            pointer = try longStackPointer(Int(level), ext: ext)
        } else {
            pointer = s.rsp
        }
        pointer &= ~15
        try markAccessed(&code)
        let byteCount = errorCode == nil ? 40 : 48
        let bottom = pointer &- UInt64(byteCount)
        guard isCanonical(bottom), isCanonical(pointer &- 1) else { throw .stack(ext) }

        // The frame is written with the new privilege.
        let old = s.cpl
        s.cpl = level
        selectTLB()
        let image = s.rflags | flags
        let stackSelector = UInt64(s[.ss].selector)
        let codeSelector = UInt64(s[.cs].selector)
        if Int(bottom & 0xFFF) &+ byteCount <= 4096, let host = hostWritePointer(bottom) {
            var frame = host
            if let errorCode {
                frame.storeBytes(of: UInt64(errorCode), as: UInt64.self)
                frame += 8
            }
            frame.storeBytes(of: s.rip, as: UInt64.self)
            frame.storeBytes(of: codeSelector, toByteOffset: 8, as: UInt64.self)
            frame.storeBytes(of: image, toByteOffset: 16, as: UInt64.self)
            frame.storeBytes(of: s.rsp, toByteOffset: 24, as: UInt64.self)
            frame.storeBytes(of: stackSelector, toByteOffset: 32, as: UInt64.self)
        } else {
            do throws(Fault) {
                let rules = ruleTable
                try checkWritable(bottom, byteCount, rules: rules)
                var next = bottom
                if let errorCode {
                    try storeAs(UInt64(errorCode), next, rules: rules)
                    next &+= 8
                }
                try storeAs(s.rip, next, rules: rules)
                try storeAs(codeSelector, next &+ 8, rules: rules)
                try storeAs(image, next &+ 16, rules: rules)
                try storeAs(s.rsp, next &+ 24, rules: rules)
                try storeAs(stackSelector, next &+ 32, rules: rules)
            } catch {
                s.cpl = old
                selectTLB()
                throw error
            }
        }

        if level != old { s[.ss] = .null(UInt16(level)) }
        s.rsp = bottom
        s[.cs] = code.segment(selector.withRPL(level))
        s.rip = target
        var cleared = RFlags.tf | RFlags.nt | RFlags.rf | RFlags.vm
        if gate.type == DescriptorType.interruptGate { cleared |= RFlags.interruptEnable }
        s.systemFlags &= ~cleared
        if s.mode != .long64 { s.updateMode() }
    }
}
