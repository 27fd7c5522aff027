import X86

/// An entry of a descriptor table as read from memory, and where (SDM 3A §3.4.5, §3.5, §6.11).
struct Descriptor {
    var raw: UInt64
    /// The linear address of its first byte.
    var address: UInt64
    /// Bits 63:32 of the base, or of a gate's offset, in the second half of a 16-byte descriptor.
    var upper: UInt64 = 0

    var type: UInt8 { UInt8(raw >> 40 & 15) }
    var isCodeOrData: Bool { raw >> 44 & 1 != 0 }
    var isCode: Bool { raw >> 43 & 3 == 3 }
    var isConforming: Bool { raw >> 42 & 7 == 7 }
    var isWritableData: Bool { raw >> 41 & 0b1101 == 0b1001 }
    var isReadable: Bool { raw >> 43 & 3 == 2 || raw >> 41 & 0b1101 == 0b1101 }
    var dpl: UInt8 { UInt8(raw >> 45 & 3) }
    var isPresent: Bool { raw >> 47 & 1 != 0 }
    var isLong: Bool { raw >> 53 & 1 != 0 }
    var isBig: Bool { raw >> 54 & 1 != 0 }

    /// What a segment register holds once it is loaded with this.
    func segment(_ selector: UInt16) -> Segment {
        var limit = UInt32(truncatingIfNeeded: raw & 0xFFFF | raw >> 32 & 0xF_0000)
        if raw >> 55 & 1 != 0 { limit = limit << 12 | 0xFFF }
        return Segment(
            base: raw >> 16 & 0xFF_FFFF | raw >> 32 & 0xFF00_0000 | upper << 32,
            limit: limit,
            attributes: UInt16(truncatingIfNeeded: raw >> 40) & 0xF0FF,
            selector: selector
        )
    }

    // Gates.
    var gateSelector: UInt16 { UInt16(truncatingIfNeeded: raw >> 16) }
    var gateOffset16: UInt64 { raw & 0xFFFF }
    var gateOffset32: UInt64 { raw & 0xFFFF | raw >> 32 & 0xFFFF_0000 }
    var gateOffset64: UInt64 { gateOffset32 | upper << 32 }
    /// How many parameters a call gate copies.
    var gateParameterCount: Int { Int(raw >> 32 & 31) }
    /// 1...7 of a long-mode interrupt gate's stack table, 0 for none.
    var interruptStack: Int { Int(raw >> 32 & 7) }
}

/// System descriptor types (SDM 3A table 3-2).
enum DescriptorType {
    static let availableTSS16: UInt8 = 1
    static let ldt: UInt8 = 2
    static let busyTSS16: UInt8 = 3
    static let callGate16: UInt8 = 4
    static let taskGate: UInt8 = 5
    static let interruptGate16: UInt8 = 6
    static let trapGate16: UInt8 = 7
    static let availableTSS: UInt8 = 9
    static let busyTSS: UInt8 = 11
    static let callGate: UInt8 = 12
    static let interruptGate: UInt8 = 14
    static let trapGate: UInt8 = 15
}

extension Segment {
    /// The register holds no segment: what loading a null selector leaves.
    static func null(_ selector: UInt16 = 0) -> Segment {
        Segment(base: 0, limit: 0, attributes: 0, selector: selector)
    }

    /// A segment as real and virtual-8086 mode make it of a paragraph number.
    static func paragraph(_ selector: UInt16, limit: UInt32 = 0xFFFF, attributes: UInt16 = 0x93) -> Segment {
        Segment(base: UInt64(selector) << 4, limit: limit, attributes: attributes, selector: selector)
    }
}

extension UInt16 {
    /// The requested privilege level of a selector.
    @inline(__always) var rpl: UInt8 { UInt8(self & 3) }
    /// A null selector, whatever its RPL.
    @inline(__always) var isNull: Bool { self & 0xFFFC == 0 }
    /// An error code that names this selector.
    @inline(__always) var code: UInt32 { UInt32(self & 0xFFFC) }
    @inline(__always) func withRPL(_ level: UInt8) -> UInt16 { self & 0xFFFC | UInt16(level) }
}

@inline(__always)
package func isCanonical(_ address: UInt64) -> Bool {
    Int64(bitPattern: address << 16) >> 16 == Int64(bitPattern: address)
}

extension Core {
    /// `loadSystem`, with a look into the supervisor's TLB first.
    @inline(__always)
    func loadImplicit<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ type: T.Type,
        _ linear: UInt64
    ) throws(Fault) -> T {
        let entry = tlbEntry(linear, table: TLB.supervisor)
        if hits(entry, TLB.readTag, last: linear &+ UInt64(MemoryLayout<T>.size &- 1)) {
            let host = linear &+ entry.load(fromByteOffset: TLB.addend, as: UInt64.self)
            // SAFETY: a tag that matches means that the addend leads to guest RAM of ours.
            return UnsafeRawPointer(bitPattern: UInt(host)).unsafelyUnwrapped.loadUnaligned(as: T.self)
        }
        return try loadSystem(T.self, linear)
    }

    /// The descriptor that `selector` names, which must not be null.
    ///
    /// - Throws: `#vector(selector + ext)` where it lies outside its table.
    func descriptor(
        _ selector: UInt16,
        vector: UInt8 = ExceptionVector.generalProtection,
        ext: UInt32 = 0
    ) throws(Fault) -> Descriptor {
        let s = state
        let base: UInt64
        let limit: UInt32
        if selector & 4 == 0 {
            base = s.gdtBase
            limit = s.gdtLimit
        } else {
            let local = s[.ldtr]
            guard local.isPresent else { throw .exception(vector, code: selector.code | ext) }
            base = local.base
            limit = local.limit
        }
        let offset = UInt32(selector & 0xFFF8)
        guard offset &+ 7 <= limit else { throw .exception(vector, code: selector.code | ext) }
        let address = wrapSystem(base &+ UInt64(offset))
        return Descriptor(raw: try loadImplicit(UInt64.self, address), address: address)
    }

    /// The 16-byte system descriptor or call gate that `selector` names in long mode; the first half is `descriptor`.
    func extended(
        _ descriptor: Descriptor,
        _ selector: UInt16,
        vector: UInt8 = ExceptionVector.generalProtection,
        ext: UInt32 = 0
    ) throws(Fault) -> Descriptor {
        let s = state
        let limit = selector & 4 == 0 ? s.gdtLimit : s[.ldtr].limit
        guard UInt32(selector & 0xFFF8) &+ 15 <= limit else { throw .exception(vector, code: selector.code | ext) }
        let second = try loadImplicit(UInt64.self, wrapSystem(descriptor.address &+ 8))
        // The type field of the second half must be that of nothing.
        guard second >> 40 & 0x1F == 0 else { throw .exception(vector, code: selector.code | ext) }
        var result = descriptor
        result.upper = second & 0xFFFF_FFFF
        return result
    }

    /// Outside long mode the addresses of tables have 32 bits.
    @inline(__always)
    func wrapSystem(_ linear: UInt64) -> UInt64 {
        state.efer & EFER.longModeActive != 0 ? linear : linear & 0xFFFF_FFFF
    }

    /// Sets the accessed bit of a code or data descriptor in memory.
    @inline(__always)
    func markAccessed(_ descriptor: inout Descriptor) throws(Fault) {
        guard descriptor.raw >> 40 & 1 == 0 else { return }
        descriptor.raw |= 1 << 40
        try storeSystem(UInt8(truncatingIfNeeded: descriptor.raw >> 40), wrapSystem(descriptor.address &+ 5))
    }

    /// Sets or clears the busy bit of a TSS descriptor in memory.
    func markBusy(_ descriptor: inout Descriptor, _ isBusy: Bool) throws(Fault) {
        if isBusy { descriptor.raw |= 1 << 41 } else { descriptor.raw &= ~(1 << 41) }
        try storeSystem(UInt8(truncatingIfNeeded: descriptor.raw >> 40), wrapSystem(descriptor.address &+ 5))
    }
}
