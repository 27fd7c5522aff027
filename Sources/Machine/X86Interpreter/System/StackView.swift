import X86

/// A stack that values are pushed to or popped from before its segment register holds it.
struct StackView {
    var segment: Segment
    /// The whole of rSP.
    var pointer: UInt64
    /// The bits of it that the stack uses.
    var mask: UInt64
    /// 64-bit mode: no segment.
    var isFlat: Bool
    /// The TLB table whose rules the accesses follow.
    var rules: Int
    /// The error code of #SS where an access leaves the segment.
    var code: UInt32

    func advanced(by byteCount: Int) -> UInt64 {
        let moved = pointer &+ UInt64(bitPattern: Int64(byteCount))
        return mask == 0xFFFF ? pointer & ~0xFFFF | moved & 0xFFFF : moved & mask
    }
}

extension Core {
    /// The current stack, as the current privilege sees it.
    func currentStack(code: UInt32 = 0) -> StackView {
        StackView(
            segment: state[.ss],
            pointer: state.rsp,
            mask: stackAddressMask,
            isFlat: state.mode == .long64,
            rules: ruleTable,
            code: code
        )
    }

    /// The linear address of `byteCount` bytes at `offset` of a stack.
    func stackLinear(_ stack: StackView, _ offset: UInt64, _ byteCount: Int) throws(Fault) -> UInt64 {
        if stack.isFlat {
            guard isCanonical(offset), isCanonical(offset &+ UInt64(byteCount &- 1)) else { throw .stack(stack.code) }
            return offset
        }
        let segment = stack.segment
        let last = offset &+ UInt64(byteCount) &- 1
        if segment.isExpandDown, !state.mode.isRealLike {
            guard offset > UInt64(segment.limit), last <= (segment.isBig ? 0xFFFF_FFFF : 0xFFFF) else {
                throw .stack(stack.code)
            }
        } else {
            guard last <= UInt64(segment.limit) else { throw .stack(stack.code) }
        }
        return (segment.base &+ offset) & 0xFFFF_FFFF
    }

    /// Pushes `values` in order, all or none, and moves the pointer of `stack`.
    func pushAll(_ values: [UInt64], byteCount: Int, _ stack: inout StackView) throws(Fault) {
        var addresses: [UInt64] = []
        addresses.reserveCapacity(values.count)
        var moved = stack
        for _ in values {
            moved.pointer = moved.advanced(by: -byteCount)
            let linear = try stackLinear(moved, moved.pointer & moved.mask, byteCount)
            try checkWritable(linear, byteCount, rules: stack.rules)
            addresses.append(linear)
        }
        for (value, linear) in zip(values, addresses) {
            switch byteCount {
            case 2: try storeAs(UInt16(truncatingIfNeeded: value), linear, rules: stack.rules)
            case 4: try storeAs(UInt32(truncatingIfNeeded: value), linear, rules: stack.rules)
            default: try storeAs(value, linear, rules: stack.rules)
            }
        }
        stack = moved
    }

    /// Reads the next value of a stack and moves its pointer.
    func popNext(byteCount: Int, _ stack: inout StackView) throws(Fault) -> UInt64 {
        let linear = try stackLinear(stack, stack.pointer & stack.mask, byteCount)
        let value = try load(byteCount: byteCount, linear)
        stack.pointer = stack.advanced(by: byteCount)
        return value
    }

    /// The stack for privilege `level` from the task-state segment (SDM 3A §7.2.1, §7.7).
    ///
    /// - Throws: #TS with the task's or the stack's selector, #SS where the segment is not present.
    func innerStack(level: UInt8, ext: UInt32) throws(Fault) -> StackView {
        let task = state[.tr]
        let is32 = task.type & 8 != 0
        let offset = UInt32(is32 ? 4 + 8 * Int(level) : 2 + 4 * Int(level))
        guard task.isPresent, offset &+ (is32 ? 5 : 3) <= task.limit else {
            throw .exception(ExceptionVector.invalidTSS, code: task.selector.code | ext)
        }
        let base = task.base &+ UInt64(offset)
        let pointer: UInt64
        let selector: UInt16
        if is32 {
            pointer = UInt64(try loadImplicit(UInt32.self, wrapSystem(base)))
            selector = try loadImplicit(UInt16.self, wrapSystem(base &+ 4))
        } else {
            pointer = UInt64(try loadImplicit(UInt16.self, wrapSystem(base)))
            selector = try loadImplicit(UInt16.self, wrapSystem(base &+ 2))
        }
        let segment = try stackSegment(selector, level: level, vector: ExceptionVector.invalidTSS, ext: ext)
        return StackView(
            segment: segment,
            pointer: pointer,
            mask: segment.isBig ? 0xFFFF_FFFF : 0xFFFF,
            isFlat: false,
            rules: level == 3 ? TLB.user : TLB.supervisor,
            code: selector.code | ext
        )
    }

    /// A stack pointer from the 64-bit task-state segment: RSP0...2 (`index` 0...2) or IST1...7 (`index` 4...10).
    func longStackPointer(_ index: Int, ext: UInt32) throws(Fault) -> UInt64 {
        let task = state[.tr]
        let offset = UInt32(4 + 8 * index)
        guard task.isPresent, offset &+ 7 <= task.limit else {
            throw .exception(ExceptionVector.invalidTSS, code: task.selector.code | ext)
        }
        let pointer = try loadImplicit(UInt64.self, task.base &+ UInt64(offset))
        guard isCanonical(pointer) else { throw .stack(ext) }
        return pointer
    }
}
