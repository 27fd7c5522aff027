/// The segment registers, in encoding order, with the two system segments after them.
@frozen
public enum SegmentRegister: UInt8, CaseIterable, Sendable {
    case es
    case cs
    case ss
    case ds
    case fs
    case gs
    case ldtr
    case tr
}

/// The hidden and visible parts of a segment register (SDM 3A §3.4.3).
///
/// `attributes` holds bits 55:40 of the descriptor with the limit's bits 51:48 cleared:
/// type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15. A register that holds no segment has P clear.
@frozen
public struct Segment: Hashable, Sendable, BitwiseCopyable {
    public var base: UInt64
    /// The last valid offset in bytes, granularity already applied.
    public var limit: UInt32
    public var attributes: UInt16
    public var selector: UInt16

    @inlinable
    public init(base: UInt64, limit: UInt32, attributes: UInt16, selector: UInt16) {
        self.base = base
        self.limit = limit
        self.attributes = attributes
        self.selector = selector
    }

    @inlinable public var type: UInt8 { UInt8(attributes & 15) }
    /// Code or data, not a system segment.
    @inlinable public var isCodeOrData: Bool { attributes & 0x10 != 0 }
    @inlinable public var isCode: Bool { attributes & 0x18 == 0x18 }
    /// Data that may be written.
    @inlinable public var isWritable: Bool { attributes & 0x1A == 0x12 }
    /// Data, or code that may be read.
    @inlinable public var isReadable: Bool { attributes & 0x18 == 0x10 || attributes & 0x1A == 0x1A }
    @inlinable public var isConforming: Bool { attributes & 0x1C == 0x1C }
    @inlinable public var isExpandDown: Bool { attributes & 0x1C == 0x14 }
    @inlinable public var dpl: UInt8 { UInt8(attributes >> 5 & 3) }
    @inlinable public var isPresent: Bool { attributes & 0x80 != 0 }
    @inlinable public var isLong: Bool { attributes & 0x2000 != 0 }
    /// D or B: 32-bit by default.
    @inlinable public var isBig: Bool { attributes & 0x4000 != 0 }
    @inlinable public var isPageGranular: Bool { attributes & 0x8000 != 0 }
}

extension CPUState {
    @inlinable
    public subscript(_ register: SegmentRegister) -> Segment {
        get { unsafe raw.load(fromByteOffset: 0x100 + Int(register.rawValue) * 16, as: Segment.self) }
        nonmutating set {
            unsafe raw.storeBytes(of: newValue, toByteOffset: 0x100 + Int(register.rawValue) * 16, as: Segment.self)
        }
    }

    /// Derives ``mode`` and the effective bases from CR0, RFLAGS, EFER and the segment registers.
    ///
    /// To be called after any of these changed; it does not derive ``cpl``.
    public func updateMode() {
        let code = self[.cs]
        if cr0 & CR0.protectionEnable == 0 {
            mode = .real
        } else if efer & EFER.longModeActive != 0 {
            mode = code.isLong ? .long64 : code.isBig ? .compatibility32 : .compatibility16
        } else if systemFlags & RFlags.vm != 0 {
            mode = .virtual8086
        } else {
            mode = code.isBig ? .protected32 : .protected16
        }
        for index in 0..<6 {
            let register = SegmentRegister(rawValue: UInt8(index)) ?? .ds
            self[field: 0xC0 + index * 8] = mode == .long64 && index < 4 ? 0 : self[register].base
        }
    }
}
