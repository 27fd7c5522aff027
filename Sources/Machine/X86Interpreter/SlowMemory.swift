import Engine
import GuestMemory
import X86

extension Core {
    /// Reads 1...8 bytes at `linear`, little-endian, by the rules of TLB table `rules`.
    ///
    /// `forWriting`: The access is the first half of a read-modify-write: it needs the right to write.
    ///
    /// Throws the fault of the access, or ``Fault/exit`` where a device has to be read first.
    @inline(never)
    func loadSlow(_ linear: UInt64, _ byteCount: Int, rules: Int, forWriting: Bool) throws(Fault) -> UInt64 {
        try checkAlignment(linear, byteCount, rules)
        let access: MemoryAccess = forWriting ? .write : .read
        let first = 4096 &- Int(linear & 0xFFF)
        let value: UInt64
        if byteCount <= first {
            value = try loadWithinPage(linear, byteCount, access, rules)
        } else {
            // Both pages are proved before a device could be asked.
            let next = wrapLinear(linear &+ UInt64(first))
            _ = try translate(linear, access, rules)
            _ = try translate(next, access, rules)
            let low = try loadWithinPage(linear, first, access, rules)
            let high = try loadWithinPage(next, byteCount &- first, access, rules)
            value = low | high << UInt64(first &* 8)
        }
        if state.debugRegister(7) & 0xFF != 0 {
            dataBreakpoint(linear: linear, byteCount: byteCount, write: forWriting)
        }
        return value
    }

    /// Writes the low 1...8 bytes of `value` at `linear` by the rules of TLB table `rules`; a fault leaves memory unchanged.
    @inline(never)
    func storeSlow(_ linear: UInt64, _ value: UInt64, _ byteCount: Int, rules: Int) throws(Fault) {
        try checkAlignment(linear, byteCount, rules)
        let first = 4096 &- Int(linear & 0xFFF)
        if byteCount <= first {
            storeWithinPage(try translate(linear, .write, rules), value, byteCount)
        } else {
            let low = try translate(linear, .write, rules)
            let high = try translate(wrapLinear(linear &+ UInt64(first)), .write, rules)
            storeWithinPage(low, value, first)
            storeWithinPage(high, value >> UInt64(first &* 8), byteCount &- first)
        }
        if state.debugRegister(7) & 0xFF != 0 { dataBreakpoint(linear: linear, byteCount: byteCount, write: true) }
    }

    /// Proves that storing `byteCount` bytes (at most 4096) at `linear` will not fault.
    func checkWritable(_ linear: UInt64, _ byteCount: Int, rules: Int) throws(Fault) {
        _ = try translate(linear, .write, rules)
        let last = wrapLinear(linear &+ UInt64(byteCount &- 1))
        if last >> 12 != linear >> 12 { _ = try translate(last & ~0xFFF, .write, rules) }
    }

    /// Outside long mode linear addresses have 32 bits.
    @inline(__always)
    func wrapLinear(_ linear: UInt64) -> UInt64 { state.isLong64 ? linear : linear & 0xFFFF_FFFF }

    /// Walks, and enters the page into the TLB.
    func translate(_ linear: UInt64, _ access: MemoryAccess, _ rules: Int) throws(Fault) -> PageWalk {
        let walk = try walk(linear, access, rules: rules)
        fillTLB(rules, linear: linear, walk: walk, access: access)
        return walk
    }

    /// The fetch side: where the code at `linear` lies.
    ///
    /// Fills the TLB.
    func translateFetch(_ linear: UInt64) throws(Fault) -> PageWalk { try translate(linear, .fetch, ruleTable) }

    private func loadWithinPage(
        _ linear: UInt64,
        _ byteCount: Int,
        _ access: MemoryAccess,
        _ rules: Int
    ) throws(Fault) -> UInt64 {
        let walk = try translate(linear, access, rules)
        guard let host = walk.host else { return try services.deviceRead(walk.physical, byteCount) }
        let source = host + Int(walk.physical & 0xFFF)
        switch byteCount {
        case 1: return UInt64(source.load(as: UInt8.self))
        case 2: return UInt64(source.loadUnaligned(as: UInt16.self))
        case 4: return UInt64(source.loadUnaligned(as: UInt32.self))
        case 8: return source.loadUnaligned(as: UInt64.self)
        default:
            var value: UInt64 = 0
            for index in 0..<byteCount {
                value |= UInt64(source.load(fromByteOffset: index, as: UInt8.self)) << UInt64(index &* 8)
            }
            return value
        }
    }

    private func storeWithinPage(_ walk: PageWalk, _ value: UInt64, _ byteCount: Int) {
        guard let host = walk.host else {
            services.deviceWrite(walk.physical, value, byteCount)
            leaveBlock()
            return
        }
        guard !walk.isReadOnlyRegion else { return }
        let target = host + Int(walk.physical & 0xFFF)
        switch byteCount {
        case 1: target.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
        case 2: target.storeBytes(of: UInt16(truncatingIfNeeded: value), as: UInt16.self)
        case 4: target.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
        case 8: target.storeBytes(of: value, as: UInt64.self)
        default:
            for index in 0..<byteCount {
                target.storeBytes(
                    of: UInt8(truncatingIfNeeded: value >> UInt64(index &* 8)),
                    toByteOffset: index,
                    as: UInt8.self
                )
            }
        }
        if services.codeCache.mark(of: host) != 0 { noteCodeWrite(host, Int(walk.physical & 0xFFF), byteCount) }
    }

    /// Throws away what was decoded from `byteCount` bytes at `offset` of the page at `host`.
    func noteCodeWrite(_ host: UnsafeMutableRawPointer, _ offset: Int, _ byteCount: Int) {
        if services.codeCache.invalidate(host, offset: offset, byteCount: byteCount) { leaveBlock() }
    }

    private func checkAlignment(_ linear: UInt64, _ byteCount: Int, _ rules: Int) throws(Fault) {
        guard linear & UInt64(byteCount &- 1) != 0, rules == TLB.user else { return }
        let s = state
        guard s.systemFlags & RFlags.ac != 0, s.cr0 & CR0.alignmentMask != 0, byteCount.nonzeroBitCount == 1 else {
            return
        }
        throw .exception(ExceptionVector.alignmentCheck, code: 0)
    }
}

// Physical memory, as page walks and devices of the CPU itself see it. Absent memory reads as all ones and ignores writes.
extension Core {
    private func physicalPointer(_ address: UInt64, _ byteCount: Int) -> UnsafeMutableRawPointer? {
        services.memory.hostPointer(at: GuestAddress(address), byteCount: byteCount)
    }

    func loadPhysical8(_ address: UInt64) -> UInt8 { physicalPointer(address, 1)?.load(as: UInt8.self) ?? .max }
    func loadPhysical32(_ address: UInt64) -> UInt32 {
        physicalPointer(address, 4)?.loadUnaligned(as: UInt32.self) ?? .max
    }
    func loadPhysical64(_ address: UInt64) -> UInt64 {
        physicalPointer(address, 8)?.loadUnaligned(as: UInt64.self) ?? .max
    }

    func storePhysical8(_ address: UInt64, _ value: UInt8) { storePhysical(address, UInt64(value), 1) }
    func storePhysical32(_ address: UInt64, _ value: UInt32) { storePhysical(address, UInt64(value), 4) }
    func storePhysical64(_ address: UInt64, _ value: UInt64) { storePhysical(address, value, 8) }

    private func storePhysical(_ address: UInt64, _ value: UInt64, _ byteCount: Int) {
        guard services.memory.region(holding: GuestAddress(address))?.isReadOnly == false,
            let pointer = physicalPointer(address, byteCount)
        else { return }
        withUnsafeBytes(of: value) { pointer.copyMemory(from: $0.baseAddress.unsafelyUnwrapped, byteCount: byteCount) }
        let offset = Int(address & 0xFFF)
        let page = pointer - offset
        if services.codeCache.mark(of: page) != 0 { noteCodeWrite(page, offset, min(byteCount, 4096 &- offset)) }
    }
}
