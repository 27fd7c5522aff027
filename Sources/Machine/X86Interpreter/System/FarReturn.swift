import X86
import X86Decoder

extension Core {
    /// Checks the code segment of a far return or IRET, and marks it accessed.
    func returnCode(_ selector: UInt16, _ target: UInt64) throws(Fault) -> Segment {
        let s = state
        guard !selector.isNull else { throw .generalProtection() }
        var code = try descriptor(selector)
        let level = selector.rpl
        guard code.isCode, level >= s.cpl, code.isConforming ? code.dpl <= level : code.dpl == level else {
            throw .generalProtection(selector.code)
        }
        let isLongMode = s.efer & EFER.longModeActive != 0
        if isLongMode, code.isLong, code.isBig { throw .generalProtection(selector.code) }
        guard code.isPresent else { throw .exception(ExceptionVector.segmentNotPresent, code: selector.code) }
        try markAccessed(&code)
        var segment = code.segment(selector)
        if !isLongMode { segment.attributes &= ~0x2000 }
        guard segment.isLong ? isCanonical(target) : target <= UInt64(segment.limit) else { throw .generalProtection() }
        return segment
    }

    /// Checks the stack segment that a return to CS `codeSelector` pops.
    func returnStack(_ selector: UInt16, _ codeSelector: UInt16, toLong: Bool) throws(Fault) -> Segment {
        let level = codeSelector.rpl
        if selector.isNull {
            guard toLong, level != 3, selector.rpl == level else { throw .generalProtection() }
            return .null(selector)
        }
        return try stackSegment(selector, level: level, vector: ExceptionVector.generalProtection)
    }

    /// Loads CS:RIP, and SS:rSP from the stack if the privilege changes; `release` bytes of parameters are dropped from both.
    func finishReturn(
        _ code: Segment,
        _ selector: UInt16,
        _ target: UInt64,
        _ byteCount: Int,
        _ release: Int,
        _ stack: inout StackView
    ) throws(Fault) {
        let s = state
        stack.pointer = stack.advanced(by: release)
        if selector.rpl > s.cpl {
            let pointer = try popNext(byteCount: byteCount, &stack)
            let stackSelector = UInt16(truncatingIfNeeded: try popNext(byteCount: byteCount, &stack))
            let segment = try returnStack(stackSelector, selector, toLong: code.isLong)
            s[.ss] = segment
            let mask: UInt64 = code.isLong ? .max : segment.isBig ? 0xFFFF_FFFF : 0xFFFF
            s.rsp = mergeStackPointer(s.rsp, pointer &+ UInt64(release), mask)
            s[.cs] = code
            s.cpl = selector.rpl
            dropInnerSegments()
        } else {
            s.rsp = stack.pointer
            s[.cs] = code
        }
        s.rip = target
    }

    /// RETF, with or without parameters to drop.
    func farReturn(_ i: Instruction) throws(Fault) {
        let s = state
        let byteCount = Int(i.pointee.operandByteCount)
        let release = i.pointee.operands.0.kind == .immediate ? Int(i.pointee.immediate & 0xFFFF) : 0
        var stack = currentStack()
        let target = try popNext(byteCount: byteCount, &stack)
        let selector = UInt16(truncatingIfNeeded: try popNext(byteCount: byteCount, &stack))
        if s.mode.isRealLike {
            guard target <= UInt64(s[.cs].limit) else { throw .generalProtection() }
            s.rsp = stack.advanced(by: release)
            s[.cs] = s.mode == .real ? realCode(selector) : .paragraph(selector, attributes: 0xFB)
            s.rip = target
        } else {
            let code = try returnCode(selector, target)
            try finishReturn(code, selector, target, byteCount, release, &stack)
        }
        modeChanged()
    }
}
