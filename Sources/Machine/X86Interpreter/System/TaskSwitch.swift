import X86

/// What switches tasks; decides busy bits, NT and the link (SDM 3A table 7-2).
enum TaskSwitchCause {
    case jump
    case call
    case interruptReturn
    /// An interrupt or exception through a task gate.
    case interrupt

    var nests: Bool { self == .call || self == .interrupt }
}

/// What a task-state segment holds (SDM 3A §7.2.1, §7.6).
private struct TaskImage {
    var cr3: UInt64 = 0
    var rip: UInt64
    var flags: UInt64
    /// In encoding order.
    var general: [UInt64]
    /// ES CS SS DS FS GS.
    var selectors: [UInt16]
    var ldt: UInt16
    var raisesDebug = false
}

extension Core {
    /// The descriptor of an available task that a task gate names.
    func taskDescriptor(_ selector: UInt16, ext: UInt32) throws(Fault) -> Descriptor {
        guard selector & 4 == 0, !selector.isNull else { throw .generalProtection(selector.code | ext) }
        let task = try descriptor(selector, ext: ext)
        guard !task.isCodeOrData, task.type == DescriptorType.availableTSS || task.type == DescriptorType.availableTSS16
        else {
            throw .generalProtection(selector.code | ext)
        }
        guard task.isPresent else { throw .exception(ExceptionVector.segmentNotPresent, code: selector.code | ext) }
        return task
    }

    /// Switches to the task of `target` (SDM 3A §7.3).
    ///
    /// Faults after the point of no return are raised in the new task from here. `flags` is set in the saved RFLAGS.
    ///
    /// - Throws: #TS and page faults, with the old task untouched.
    func switchTask(
        _ selector: UInt16,
        _ target: Descriptor,
        _ cause: TaskSwitchCause,
        errorCode: UInt32?,
        ext: UInt32,
        flags: UInt64
    ) throws(Fault) {
        let s = state
        var descriptor = target
        let new = descriptor.segment(selector)
        let is32 = descriptor.type & 8 != 0
        guard new.limit >= (is32 ? 103 : 43) else {
            throw .exception(ExceptionVector.invalidTSS, code: selector.code | ext)
        }
        let old = s[.tr]
        let oldIs32 = old.type & 8 != 0
        // Everything that can fault in the old task comes first.
        let image = is32 ? try readTask32(new.base) : try readTask16(new.base)
        let saved = (offset: oldIs32 ? 0x20 : 0x0E, byteCount: oldIs32 ? 0x40 : 0x1C)
        try checkWritable(wrapSystem(old.base &+ UInt64(saved.offset)), saved.byteCount, rules: implicitTable)
        if cause.nests { try checkWritable(wrapSystem(new.base), 2, rules: implicitTable) }

        var oldFlags = s.rflags | flags
        if cause == .interruptReturn { oldFlags &= ~RFlags.nt }
        if cause == .jump || cause == .interruptReturn, old.selector & 4 == 0 {
            var oldDescriptor = try self.descriptor(old.selector, vector: ExceptionVector.invalidTSS, ext: ext)
            try markBusy(&oldDescriptor, false)
        }
        if oldIs32 { try saveTask32(old.base, oldFlags) } else { try saveTask16(old.base, oldFlags) }
        if cause.nests { try storeSystem(old.selector, wrapSystem(new.base)) }
        if cause != .interruptReturn { try markBusy(&descriptor, true) }

        // The point of no return.
        var task = descriptor.segment(selector)
        task.attributes |= 2
        s[.tr] = task
        s.cr0 |= CR0.taskSwitched
        s.setDebugRegister(7, s.debugRegister(7) & ~0x155)
        do throws(Fault) {
            try enter(image, is32: is32, nests: cause.nests, ext: ext)
            if let errorCode {
                var stack = currentStack(code: ext)
                try pushAll([UInt64(errorCode)], byteCount: is32 ? 4 : 2, &stack)
                s.rsp = stack.pointer
            }
            guard s.rip <= UInt64(s[.cs].limit) else { throw .generalProtection(ext) }
        } catch {
            modeChanged()
            deliver(error)
            return
        }
        if image.raisesDebug {
            s.setDebugRegister(6, s.debugRegister(6) | 1 << 15)
            deliver(.exception(ExceptionVector.debug))
        }
    }

    private func readTask32(_ base: UInt64) throws(Fault) -> TaskImage {
        func dword(_ offset: UInt64) throws(Fault) -> UInt64 {
            UInt64(try loadImplicit(UInt32.self, wrapSystem(base &+ offset)))
        }
        var general: [UInt64] = []
        for index in 0..<8 { general.append(try dword(0x28 + UInt64(index) * 4)) }
        var selectors: [UInt16] = []
        for index in 0..<6 { selectors.append(UInt16(truncatingIfNeeded: try dword(0x48 + UInt64(index) * 4))) }
        return TaskImage(
            cr3: try dword(0x1C),
            rip: try dword(0x20),
            flags: try dword(0x24),
            general: general,
            selectors: selectors,
            ldt: UInt16(truncatingIfNeeded: try dword(0x60)),
            raisesDebug: try dword(0x64) & 1 != 0
        )
    }

    private func readTask16(_ base: UInt64) throws(Fault) -> TaskImage {
        func word(_ offset: UInt64) throws(Fault) -> UInt64 {
            UInt64(try loadImplicit(UInt16.self, wrapSystem(base &+ offset)))
        }
        var general: [UInt64] = []
        for index in 0..<8 { general.append(try word(0x12 + UInt64(index) * 2) | 0xFFFF_0000) }
        var selectors: [UInt16] = []
        for index in 0..<4 { selectors.append(UInt16(truncatingIfNeeded: try word(0x22 + UInt64(index) * 2))) }
        return TaskImage(
            rip: try word(0x0E),
            flags: try word(0x10),
            general: general,
            selectors: selectors + [0, 0],
            ldt: UInt16(truncatingIfNeeded: try word(0x2A))
        )
    }

    private func saveTask32(_ base: UInt64, _ flags: UInt64) throws(Fault) {
        let s = state
        var values = [s.rip, flags]
        for index in 0..<8 { values.append(s[index]) }
        for (index, value) in values.enumerated() {
            try storeSystem(UInt32(truncatingIfNeeded: value), wrapSystem(base &+ 0x20 &+ UInt64(index) * 4))
        }
        for (index, register) in [SegmentRegister.es, .cs, .ss, .ds, .fs, .gs].enumerated() {
            try storeSystem(s[register].selector, wrapSystem(base &+ 0x48 &+ UInt64(index) * 4))
        }
    }

    private func saveTask16(_ base: UInt64, _ flags: UInt64) throws(Fault) {
        let s = state
        var values = [s.rip, flags]
        for index in 0..<8 { values.append(s[index]) }
        for register in [SegmentRegister.es, .cs, .ss, .ds] { values.append(UInt64(s[register].selector)) }
        for (index, value) in values.enumerated() {
            try storeSystem(UInt16(truncatingIfNeeded: value), wrapSystem(base &+ 0x0E &+ UInt64(index) * 2))
        }
    }

    /// Loads the new task's registers, then its segments; faults are the new task's, with `ext` in their error codes.
    private func enter(_ image: TaskImage, is32: Bool, nests: Bool, ext: UInt32) throws(Fault) {
        let s = state
        var isBadTable = false
        if is32, s.cr0 & CR0.paging != 0 {
            s.cr3 = image.cr3
            if s.cr4 & CR4.pae != 0 { isBadTable = !loadPageDirectoryPointers(image.cr3) }
            flushTLBKeepingGlobal()
        }
        s.rip = image.rip
        var flags = image.flags
        if nests { flags |= RFlags.nt }
        s.rflags = is32 ? flags : flags & 0xFFFF
        for index in 0..<8 { s[index] = image.general[index] & 0xFFFF_FFFF }
        let registers = [SegmentRegister.es, .cs, .ss, .ds, .fs, .gs]
        for (register, selector) in zip(registers, image.selectors) { s[register] = .null(selector) }
        s[.ldtr] = .null(image.ldt)
        // A fault before CS is valid is raised at the privilege of its selector.
        s.cpl = s.systemFlags & RFlags.vm != 0 ? 3 : image.selectors[1].rpl
        modeChanged()
        if isBadTable { throw .generalProtection(ext) }

        if !image.ldt.isNull {
            guard image.ldt & 4 == 0 else { throw .exception(ExceptionVector.invalidTSS, code: image.ldt.code | ext) }
            let local = try descriptor(image.ldt, vector: ExceptionVector.invalidTSS, ext: ext)
            guard !local.isCodeOrData, local.type == DescriptorType.ldt, local.isPresent else {
                throw .exception(ExceptionVector.invalidTSS, code: image.ldt.code | ext)
            }
            s[.ldtr] = local.segment(image.ldt)
        }
        if s.systemFlags & RFlags.vm != 0 {
            for (register, selector) in zip(registers, image.selectors) {
                s[register] = .paragraph(selector, attributes: register == .cs ? 0xFB : 0xF3)
            }
            modeChanged()
            return
        }
        try enterSegments(image, ext: ext)
        modeChanged()
    }

    private func enterSegments(_ image: TaskImage, ext: UInt32) throws(Fault) {
        let s = state
        let invalid = ExceptionVector.invalidTSS
        let codeSelector = image.selectors[1]
        guard !codeSelector.isNull else { throw .exception(invalid, code: ext) }
        var code = try descriptor(codeSelector, vector: invalid, ext: ext)
        let level = codeSelector.rpl
        guard code.isCode, code.isConforming ? code.dpl <= level : code.dpl == level else {
            throw .exception(invalid, code: codeSelector.code | ext)
        }
        guard code.isPresent else { throw .exception(ExceptionVector.segmentNotPresent, code: codeSelector.code | ext) }
        try markAccessed(&code)
        s[.ss] = try stackSegment(image.selectors[2], level: level, vector: invalid, ext: ext)
        s[.cs] = code.segment(codeSelector)
        for (register, index) in [(SegmentRegister.es, 0), (.ds, 3), (.fs, 4), (.gs, 5)] {
            let selector = image.selectors[index]
            guard !selector.isNull else { continue }
            var data = try descriptor(selector, vector: invalid, ext: ext)
            guard data.isCodeOrData, data.isReadable,
                data.isConforming || (selector.rpl <= data.dpl && level <= data.dpl)
            else {
                throw .exception(invalid, code: selector.code | ext)
            }
            guard data.isPresent else { throw .exception(ExceptionVector.segmentNotPresent, code: selector.code | ext) }
            try markAccessed(&data)
            s[register] = data.segment(selector)
        }
    }
}
