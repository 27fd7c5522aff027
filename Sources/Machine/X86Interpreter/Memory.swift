import Engine
import GuestMemory
import X86

// Linear memory as instructions see it. A hit in the software TLB is served inline; everything else - misses, page
// crossings, devices, pages with code, alignment checks, data breakpoints - goes through `Core+SlowMemory`.
extension Core {
    /// The integer at `linear`, with the rights of the current privilege.
    @inline(__always)
    func load<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ type: T.Type,
        _ linear: UInt64
    ) throws(Fault) -> T {
        let entry = tlbEntry(linear)
        // Where the access crosses pages the last byte's page differs from any that this slot can hold.
        if hits(entry, TLB.readTag, last: linear &+ UInt64(MemoryLayout<T>.size &- 1)) {
            let host = linear &+ entry.load(fromByteOffset: TLB.addend, as: UInt64.self)
            // SAFETY: a tag that matches means that the addend leads to guest RAM of ours.
            return UnsafeRawPointer(bitPattern: UInt(host)).unsafelyUnwrapped.loadUnaligned(as: T.self)
        }
        return T(truncatingIfNeeded: try loadSlow(linear, MemoryLayout<T>.size, rules: ruleTable, forWriting: false))
    }

    /// The integer at `linear`, which is going to be written: the fault, if any, is that of a write.
    @inline(__always)
    func loadForModify<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ type: T.Type,
        _ linear: UInt64
    ) throws(Fault) -> T {
        let entry = tlbEntry(linear)
        if hits(entry, TLB.writeTag, last: linear &+ UInt64(MemoryLayout<T>.size &- 1)) {
            let host = linear &+ entry.load(fromByteOffset: TLB.addend, as: UInt64.self)
            // SAFETY: as in `load`.
            return UnsafeRawPointer(bitPattern: UInt(host)).unsafelyUnwrapped.loadUnaligned(as: T.self)
        }
        return T(truncatingIfNeeded: try loadSlow(linear, MemoryLayout<T>.size, rules: ruleTable, forWriting: true))
    }

    /// Writes `value` at `linear`, with the rights of the current privilege.
    @inline(__always)
    func store<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(_ value: T, _ linear: UInt64) throws(Fault) {
        let entry = tlbEntry(linear)
        if hits(entry, TLB.writeTag, last: linear &+ UInt64(MemoryLayout<T>.size &- 1)) {
            let host = linear &+ entry.load(fromByteOffset: TLB.addend, as: UInt64.self)
            // SAFETY: as in `load`; the page is RAM that may be written.
            UnsafeMutableRawPointer(bitPattern: UInt(host)).unsafelyUnwrapped.storeBytes(of: value, as: T.self)
            return
        }
        try storeSlow(linear, UInt64(truncatingIfNeeded: value), MemoryLayout<T>.size, rules: ruleTable)
    }

    /// Where the bytes from `linear` to the end of its page can be read, if the TLB holds the page and it is plain RAM.
    @inline(__always)
    func hostReadPointer(_ linear: UInt64) -> UnsafeRawPointer? {
        let entry = tlbEntry(linear)
        guard hits(entry, TLB.readTag, last: linear) else { return nil }
        return UnsafeRawPointer(bitPattern: UInt(linear &+ entry.load(fromByteOffset: TLB.addend, as: UInt64.self)))
    }

    /// Where the bytes from `linear` to the end of its page can be written, if the TLB holds the page and it is RAM without code.
    @inline(__always)
    func hostWritePointer(_ linear: UInt64) -> UnsafeMutableRawPointer? {
        let entry = tlbEntry(linear)
        guard hits(entry, TLB.writeTag, last: linear) else { return nil }
        return UnsafeMutableRawPointer(
            bitPattern: UInt(linear &+ entry.load(fromByteOffset: TLB.addend, as: UInt64.self))
        )
    }

    /// Copies `count` bytes (at most 4096) at `linear` to `target`.
    func loadBytes(_ linear: UInt64, into target: UnsafeMutableRawPointer, _ count: Int) throws(Fault) {
        if Int(linear & 0xFFF) &+ count <= 4096, let source = hostReadPointer(linear) {
            return target.copyMemory(from: source, byteCount: count)
        }
        var done = 0
        while done < count {
            let step = min(count &- done, 8)
            let value = try loadSlow(linear &+ UInt64(done), step, rules: ruleTable, forWriting: false)
            withUnsafeBytes(of: value) {
                (target + done).copyMemory(from: $0.baseAddress.unsafelyUnwrapped, byteCount: step)
            }
            done &+= step
        }
    }

    /// Writes `count` bytes (at most 4096) from `source` at `linear`; a fault leaves memory unchanged.
    func storeBytes(_ linear: UInt64, from source: UnsafeRawPointer, _ count: Int) throws(Fault) {
        if Int(linear & 0xFFF) &+ count <= 4096, let target = hostWritePointer(linear) {
            return target.copyMemory(from: source, byteCount: count)
        }
        try checkWritable(linear, count, rules: ruleTable)
        var done = 0
        while done < count {
            let step = min(count &- done, 8)
            var value: UInt64 = 0
            withUnsafeMutableBytes(of: &value) {
                $0.copyMemory(from: UnsafeRawBufferPointer(start: source + done, count: step))
            }
            try storeSlow(linear &+ UInt64(done), value, step, rules: ruleTable)
            done &+= step
        }
    }

    /// The integer at `linear`, as the CPU itself reads descriptor tables and task-state segments.
    func loadSystem<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ type: T.Type,
        _ linear: UInt64
    ) throws(Fault) -> T {
        T(truncatingIfNeeded: try loadSlow(linear, MemoryLayout<T>.size, rules: implicitTable, forWriting: false))
    }

    func storeSystem<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ value: T,
        _ linear: UInt64
    ) throws(Fault) {
        try storeSlow(linear, UInt64(truncatingIfNeeded: value), MemoryLayout<T>.size, rules: implicitTable)
    }

    /// The integer at `linear` by the rules of a given TLB table, whatever the current privilege is.
    func loadAs<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ type: T.Type,
        _ linear: UInt64,
        rules: Int
    ) throws(Fault) -> T {
        T(truncatingIfNeeded: try loadSlow(linear, MemoryLayout<T>.size, rules: rules, forWriting: false))
    }

    func storeAs<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ value: T,
        _ linear: UInt64,
        rules: Int
    ) throws(Fault) {
        try storeSlow(linear, UInt64(truncatingIfNeeded: value), MemoryLayout<T>.size, rules: rules)
    }
}
