import X86
import X86Decoder

extension Core {
    /// The offset that the memory operand of `i` names, wrapped to its address size; no segment is added.
    @inline(__always)
    func effectiveOffset(_ i: Instruction) -> UInt64 {
        let s = state
        if i.pointee.addressByteCount == 8 {
            let index = s[Int(i.pointee.index)] &<< UInt64(i.pointee.scale)
            return s[Int(i.pointee.base)] &+ index &+ UInt64(bitPattern: Int64(i.pointee.displacement))
        }
        return narrowOffset(i)
    }

    /// The base of an operand whose whole address is the immediate (moffs).
    static let absoluteBase: UInt8 = 18
    /// What the block builder makes of a moffs operand's address size of 8, so that the quick test for 8 leaves it out.
    static let absoluteAddressByteCount: UInt8 = 9

    @inline(never)
    private func narrowOffset(_ i: Instruction) -> UInt64 {
        let s = state
        let mask: UInt64 =
            i.pointee.addressByteCount > 4 ? .max : i.pointee.addressByteCount == 4 ? 0xFFFF_FFFF : 0xFFFF
        if i.pointee.base == Core.absoluteBase { return i.pointee.immediate & mask }
        let index = s[Int(i.pointee.index)] &<< UInt64(i.pointee.scale)
        return (s[Int(i.pointee.base)] &+ index &+ UInt64(bitPattern: Int64(i.pointee.displacement))) & mask
    }

    /// The linear address of the memory operand of `i`, which `byteCount` bytes are read from or written to.
    ///
    /// - Throws: #GP or #SS where the segment forbids it (outside 64-bit mode).
    @inline(__always)
    func linearAddress(_ i: Instruction, _ byteCount: Int, write: Bool) throws(Fault) -> UInt64 {
        if state.isLong64 { return effectiveOffset(i) &+ state.effectiveBase(Int(i.pointee.segment)) }
        return try checkedLinear(Int(i.pointee.segment), effectiveOffset(i), byteCount, write: write)
    }

    /// The linear address of `byteCount` bytes at `offset` of `segment` (0...5).
    @inline(__always)
    func segmentLinear(_ segment: Int, _ offset: UInt64, _ byteCount: Int, write: Bool) throws(Fault) -> UInt64 {
        if state.isLong64 { return offset &+ state.effectiveBase(segment) }
        return try checkedLinear(segment, offset, byteCount, write: write)
    }

    /// Applies the limit and type checks of a segment (SDM 3A §5.3 to §5.5), outside 64-bit mode.
    @inline(never)
    func checkedLinear(_ segment: Int, _ offset: UInt64, _ byteCount: Int, write: Bool) throws(Fault) -> UInt64 {
        let descriptor = state[SegmentRegister(rawValue: UInt8(truncatingIfNeeded: segment)) ?? .ds]
        let fault: Fault = segment == 2 ? .stack() : .generalProtection()
        let last = offset &+ UInt64(byteCount) &- 1
        if !state.mode.isRealLike {
            guard descriptor.isPresent, write ? descriptor.isWritable : descriptor.isReadable else { throw fault }
        }
        if descriptor.isExpandDown, !state.mode.isRealLike {
            let top: UInt64 = descriptor.isBig ? 0xFFFF_FFFF : 0xFFFF
            guard offset > UInt64(descriptor.limit), last <= top else { throw fault }
        } else {
            guard last <= UInt64(descriptor.limit), offset <= UInt64(descriptor.limit) else { throw fault }
        }
        return (descriptor.base &+ offset) & 0xFFFF_FFFF
    }

    /// Which bits of rSP the stack uses: 64 in 64-bit mode, else 32 or 16 as SS.B says.
    @inline(__always)
    var stackAddressMask: UInt64 {
        if state.isLong64 { return .max }
        return state[.ss].isBig ? 0xFFFF_FFFF : 0xFFFF
    }

    /// Sets the bits of rSP that the stack uses.
    @inline(__always)
    func setStackPointer(_ value: UInt64) {
        let s = state
        if s.isLong64 {
            s.rsp = value
        } else {
            let mask = stackAddressMask
            s.rsp = s.rsp & ~mask & (mask == 0xFFFF ? .max : 0) | value & mask
        }
    }

    /// Pushes an operand of the width of `value`.
    @inline(__always)
    func push<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(_ value: T) throws(Fault) {
        let s = state
        let size = UInt64(MemoryLayout<T>.size)
        if s.isLong64 {
            let pointer = s.rsp &- size
            do throws(Fault) { try store(value, pointer) } catch { throw stackFault(error) }
            s.rsp = pointer
        } else {
            let pointer = (s.rsp &- size) & stackAddressMask
            try store(value, try checkedLinear(2, pointer, Int(size), write: true))
            setStackPointer(pointer)
        }
    }

    /// Pops an operand of the width of `T`.
    @inline(__always)
    func pop<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(_ type: T.Type) throws(Fault) -> T {
        let s = state
        let size = UInt64(MemoryLayout<T>.size)
        if s.isLong64 {
            let value: T
            do throws(Fault) { value = try load(T.self, s.rsp) } catch { throw stackFault(error) }
            s.rsp = s.rsp &+ size
            return value
        }
        let pointer = s.rsp & stackAddressMask
        let value = try load(T.self, try checkedLinear(2, pointer, Int(size), write: false))
        setStackPointer(pointer &+ size)
        return value
    }

    /// A non-canonical address is #SS(0), not #GP(0), where the access was to the stack segment.
    func stackFault(_ fault: Fault) -> Fault {
        fault.kind == .exceptionWithCode && fault.vector == ExceptionVector.generalProtection ? .stack() : fault
    }

    /// Continues at `target` of the current code segment.
    ///
    /// - Throws: #GP(0) where that lies outside its limit, or is not canonical; RIP is then unchanged.
    @inline(__always)
    func branch(to target: UInt64) throws(Fault) {
        let s = state
        if s.isLong64 {
            guard isCanonical(target) else { throw .generalProtection() }
        } else {
            guard target <= UInt64(s[.cs].limit) else { throw .generalProtection() }
        }
        s.rip = target
    }
}
