import X86
import X86Decoder

// MOVS STOS LODS CMPS SCAS, alone and repeated.
//
// Every iteration leaves rCX, rSI and rDI as the next one needs them. A repeated instruction gives up the CPU now and then
// (`StringRun`), with RIP at itself.
extension Core {
    /// What the iterations of one string instruction share.
    private struct StringRun {
        /// The bits of rCX, rSI and rDI that count.
        var mask: UInt64
        /// What an iteration adds to rSI and rDI: the width, negative with DF.
        var step: UInt64
        var isRepeated: Bool
        /// How much work is left before the CPU is given up, in single iterations.
        var budget: Int
        /// Events that are not worth giving up the CPU for.
        var ignoredEvents: UInt32

        /// Whether a block of elements may be handled at once.
        var allowsBlocks: Bool
    }

    private static let longestBlock = 4096

    private func stringRun(_ i: Instruction, width: Int) -> StringRun {
        let s = state
        let isRepeated = !i.pointee.prefixes.isDisjoint(with: [.repeatEqual, .repeatNotEqual])
        let isBackward = s.systemFlags & RFlags.df != 0
        // Answers of devices belong to the iteration that asked; the trap flag and data breakpoints trap after an iteration.
        let isSingle =
            isRepeated
            && (s.systemFlags & RFlags.tf != 0 || services.hasAnswers || s.debugRegister(7) & 0xFF != 0)
        return StringRun(
            mask: addressMask(i),
            step: isBackward ? 0 &- UInt64(width) : UInt64(width),
            isRepeated: isRepeated,
            budget: isSingle ? 1 : 4096,
            ignoredEvents: s.systemFlags & RFlags.interruptEnable == 0 ? Interpreter.Pending.interrupt : 0,
            allowsBlocks: !isBackward && !isSingle
        )
    }

    /// The iterations left: those of rCX, or one.
    ///
    /// ECX is zero-extended before the first of them, as Intel's CPUs do: also for a count of 0, and where the first
    /// iteration faults.
    @inline(__always)
    private func remaining(_ run: StringRun) -> UInt64 {
        guard run.isRepeated else { return 1 }
        let count = state.rcx & run.mask
        if run.mask != .max { setAddressRegister(1, count, mask: run.mask) }
        return count
    }

    /// Accounts for `count` finished iterations.
    ///
    /// - Returns: Whether the instruction has to stop here: it is over, or gives up the CPU.
    @inline(__always)
    private func finish(_ count: UInt64, _ run: inout StringRun) -> Bool {
        guard run.isRepeated else { return true }
        let s = state
        let left = (s.rcx &- count) & run.mask
        setAddressRegister(1, left, mask: run.mask)
        if left == 0 { return true }
        run.budget &-= 1 &+ Int(count >> 6)
        if run.budget <= 0 || s[field: Layout.blockEnd] == 0
            || s[dword: CPUState.pendingEventsOffset] & ~run.ignoredEvents != 0
        {
            s.rip = instructionRIP
            leaveBlock()
            return true
        }
        return false
    }

    /// How many elements of `width` bytes from `offset`, at `linear`, lie in its page before the offset wraps.
    @inline(__always)
    private func room(_ offset: UInt64, _ linear: UInt64, _ run: StringRun, width: Int) -> UInt64 {
        let inPage = 4096 &- (linear & 0xFFF)
        let beforeWrap = min(run.mask &- offset, UInt64(Core.longestBlock)) &+ 1
        return min(inPage, beforeWrap) / UInt64(width)
    }

    /// Whether the segment allows all of `count` elements from `offset`.
    private func allows(_ segment: Int, _ offset: UInt64, _ byteCount: UInt64, write: Bool) -> Bool {
        if state.mode == .long64 { return true }
        return (try? segmentLinear(segment, offset, Int(byteCount), write: write)) != nil
    }

    @inline(__always)
    private func advance(_ number: Int, _ bytes: UInt64, _ run: StringRun) {
        setAddressRegister(number, state[number] &+ bytes, mask: run.mask)
    }

    // MARK: MOVS

    @inline(never)
    func executeMoveString(_ i: Instruction) throws(Fault) {
        switch i.pointee.operandByteCount {
        case 1: try moveString(i, UInt8.self)
        case 2: try moveString(i, UInt16.self)
        case 4: try moveString(i, UInt32.self)
        default: try moveString(i, UInt64.self)
        }
    }

    private func moveString<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        let width = MemoryLayout<T>.size
        var run = stringRun(i, width: width)
        let segment = Int(i.pointee.segment)
        while true {
            let count = remaining(run)
            if count == 0 {
                // With 32-bit addresses Intel's CPUs zero-extend ESI and EDI even then, but only here.
                if run.isRepeated {
                    advance(6, 0, run)
                    advance(7, 0, run)
                }
                return
            }
            let (from, to) = (state.rsi & run.mask, state.rdi & run.mask)
            let source = try segmentLinear(segment, from, width, write: false)
            let target = try segmentLinear(0, to, width, write: true)
            if count > 1, run.allowsBlocks {
                let moved = moveBlock(i, count, from, to, source, target, run, width)
                if moved > 0 {
                    advance(6, moved &* UInt64(width), run)
                    advance(7, moved &* UInt64(width), run)
                    if finish(moved, &run) { return }
                    continue
                }
            }
            try store(try load(T.self, source), target)
            advance(6, run.step, run)
            advance(7, run.step, run)
            if finish(1, &run) { return }
        }
    }

    /// Moves as many elements at once as the pages of both sides allow; 0 where it has to go one by one.
    private func moveBlock(
        _ i: Instruction,
        _ count: UInt64,
        _ from: UInt64,
        _ to: UInt64,
        _ source: UInt64,
        _ target: UInt64,
        _ run: StringRun,
        _ width: Int
    ) -> UInt64 {
        guard let bytes = hostReadPointer(source), let place = hostWritePointer(target) else { return 0 }
        var moved = min(count, room(from, source, run, width: width), room(to, target, run, width: width))
        // A target just after the source sees what was written before: then only the distance goes at once.
        let distance = UInt64(UInt(bitPattern: place) &- UInt(bitPattern: bytes))
        if distance != 0, distance < moved &* UInt64(width) { moved = distance / UInt64(width) }
        guard moved > 1 else { return 0 }
        let byteCount = moved &* UInt64(width)
        guard allows(Int(i.pointee.segment), from, byteCount, write: false), allows(0, to, byteCount, write: true)
        else {
            return 0
        }
        place.copyMemory(from: bytes, byteCount: Int(byteCount))
        return moved
    }

    // MARK: STOS

    @inline(never)
    func executeStoreString(_ i: Instruction) throws(Fault) {
        switch i.pointee.operandByteCount {
        case 1: try storeString(i, UInt8.self)
        case 2: try storeString(i, UInt16.self)
        case 4: try storeString(i, UInt32.self)
        default: try storeString(i, UInt64.self)
        }
    }

    private func storeString<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        let width = MemoryLayout<T>.size
        var run = stringRun(i, width: width)
        let value = register(0, T.self)
        while true {
            let count = remaining(run)
            if count == 0 {
                advance(7, 0, run)
                return
            }
            let to = state.rdi & run.mask
            let target = try segmentLinear(0, to, width, write: true)
            if count > 1, run.allowsBlocks, let place = hostWritePointer(target) {
                let stored = min(count, room(to, target, run, width: width))
                if stored > 1, allows(0, to, stored &* UInt64(width), write: true) {
                    fill(place, value, Int(stored))
                    advance(7, stored &* UInt64(width), run)
                    if finish(stored, &run) { return }
                    continue
                }
            }
            try store(value, target)
            advance(7, run.step, run)
            if finish(1, &run) { return }
        }
    }

    @inline(__always)
    private func fill<T: OperandInteger>(_ place: UnsafeMutableRawPointer, _ value: T, _ count: Int) {
        let byte = UInt8(truncatingIfNeeded: value)
        if value == 0 || T.bitWidth == 8 {
            place.initializeMemory(as: UInt8.self, repeating: byte, count: count &* MemoryLayout<T>.size)
            return
        }
        for index in 0..<count {
            place.storeBytes(of: value, toByteOffset: index &* MemoryLayout<T>.size, as: T.self)
        }
    }

    // MARK: LODS

    @inline(never)
    func executeLoadString(_ i: Instruction) throws(Fault) {
        switch i.pointee.operandByteCount {
        case 1: try loadString(i, UInt8.self)
        case 2: try loadString(i, UInt16.self)
        case 4: try loadString(i, UInt32.self)
        default: try loadString(i, UInt64.self)
        }
    }

    private func loadString<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        let width = MemoryLayout<T>.size
        var run = stringRun(i, width: width)
        while remaining(run) != 0 {
            let source = try segmentLinear(Int(i.pointee.segment), state.rsi & run.mask, width, write: false)
            setRegister(0, try load(T.self, source))
            advance(6, run.step, run)
            if finish(1, &run) { return }
        }
    }

    // MARK: CMPS and SCAS

    /// CMPS and SCAS.
    ///
    /// A fault puts back the flags from before the instruction (SDM 2B "REP").
    @inline(never)
    func executeCompareString(_ i: Instruction) throws(Fault) {
        let s = state
        let (result, carries) = (s.lazyResult, s.lazyCarries)
        do throws(Fault) {
            switch i.pointee.operandByteCount {
            case 1: try compareString(i, UInt8.self)
            case 2: try compareString(i, UInt16.self)
            case 4: try compareString(i, UInt32.self)
            default: try compareString(i, UInt64.self)
            }
        } catch {
            s.lazyResult = result
            s.lazyCarries = carries
            throw error
        }
    }

    private func compareString<T: OperandInteger>(_ i: Instruction, _ type: T.Type) throws(Fault) {
        let width = MemoryLayout<T>.size
        var run = stringRun(i, width: width)
        let segment = Int(i.pointee.segment)
        let isScan = i.pointee.operation == .scas
        let whileEqual = i.pointee.prefixes.contains(.repeatEqual)
        while true {
            let count = remaining(run)
            if count == 0 { return }
            let (from, to) = (state.rsi & run.mask, state.rdi & run.mask)
            // Intel's CPUs access the destination first: it faults alone, even where the source is not canonical.
            let target = try segmentLinear(0, to, width, write: false)
            let right = isScan || hostReadPointer(target) != nil ? nil : try load(T.self, target)
            let source = isScan ? 0 : try segmentLinear(segment, from, width, write: false)
            let a: T
            let b: T
            var compared: UInt64 = 1
            if count > 1, run.allowsBlocks,
                let block = compareBlock(i, T.self, count, from, to, source, target, run, whileEqual)
            {
                (a, b, compared) = block
            } else {
                if let right { b = right } else { b = try load(T.self, target) }
                a = isScan ? register(0, T.self) : try load(T.self, source)
            }
            let bytes = compared == 1 ? run.step : compared &* UInt64(width)
            if !isScan { advance(6, bytes, run) }
            advance(7, bytes, run)
            cmp(a, b)
            guard run.isRepeated, (a == b) == whileEqual else {
                if run.isRepeated { setAddressRegister(1, state.rcx &- compared, mask: run.mask) }
                return
            }
            if finish(compared, &run) { return }
        }
    }

    /// Compares elements within the pages of both sides, up to the one that ends the instruction.
    ///
    /// - Returns: the last pair, and how many were compared; nil where it has to go one by one.
    private func compareBlock<T: OperandInteger>(
        _ i: Instruction,
        _ type: T.Type,
        _ count: UInt64,
        _ from: UInt64,
        _ to: UInt64,
        _ source: UInt64,
        _ target: UInt64,
        _ run: StringRun,
        _ whileEqual: Bool
    ) -> (T, T, UInt64)? {
        let width = MemoryLayout<T>.size
        let isScan = i.pointee.operation == .scas
        guard let right = hostReadPointer(target) else { return nil }
        var limit = min(count, room(to, target, run, width: width))
        var left = right
        if !isScan {
            guard let pointer = hostReadPointer(source) else { return nil }
            left = pointer
            limit = min(limit, room(from, source, run, width: width))
        }
        guard limit > 1, allows(0, to, limit &* UInt64(width), write: false) else { return nil }
        guard isScan || allows(Int(i.pointee.segment), from, limit &* UInt64(width), write: false) else { return nil }
        var a = register(0, T.self)
        var b = a
        var index = 0
        repeat {
            if !isScan { a = left.loadUnaligned(fromByteOffset: index &* width, as: T.self) }
            b = right.loadUnaligned(fromByteOffset: index &* width, as: T.self)
            index &+= 1
        } while index < Int(limit) && (a == b) == whileEqual
        return (a, b, UInt64(index))
    }
}
