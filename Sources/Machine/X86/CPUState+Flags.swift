/// The bits of RFLAGS (SDM 1 §3.4.3).
public enum RFlags {
    public static let cf: UInt64 = 1 << 0
    public static let pf: UInt64 = 1 << 2
    public static let af: UInt64 = 1 << 4
    public static let zf: UInt64 = 1 << 6
    public static let sf: UInt64 = 1 << 7
    public static let tf: UInt64 = 1 << 8
    public static let interruptEnable: UInt64 = 1 << 9
    public static let df: UInt64 = 1 << 10
    public static let of: UInt64 = 1 << 11
    public static let iopl: UInt64 = 3 << 12
    public static let nt: UInt64 = 1 << 14
    public static let rf: UInt64 = 1 << 16
    public static let vm: UInt64 = 1 << 17
    public static let ac: UInt64 = 1 << 18
    public static let vif: UInt64 = 1 << 19
    public static let vip: UInt64 = 1 << 20
    public static let id: UInt64 = 1 << 21
    /// CF PF AF ZF SF OF.
    public static let arithmetic: UInt64 = 0x8D5
    /// Every bit that exists, with the one that is always set.
    public static let defined: UInt64 = 0x3F_7FD7
}

// The arithmetic flags are kept lazily, as what they are computed from:
//
//   lazyResult   the result, sign-extended from its width to 64 bits
//   lazyCarries  bit 63 the carry out of the top bit (CF), bit 62 the carry into it, bit 3 the carry out of bit 3 (AF),
//                bit 16 flips SF, bits 15:8 flip bits of the byte that PF counts; every other bit is ignored
//
// so ZF = (lazyResult == 0), OF = bit 63 ^ bit 62. The last two fields of lazyCarries exist because POPF can ask for
// what no result gives, such as ZF with SF.
extension CPUState {
    @inlinable @inline(__always)
    public var lazyResult: UInt64 {
        get { self[field: 0x98] }
        nonmutating set { self[field: 0x98] = newValue }
    }
    @inlinable @inline(__always)
    public var lazyCarries: UInt64 {
        get { self[field: 0xA0] }
        nonmutating set { self[field: 0xA0] = newValue }
    }
    /// RFLAGS without the arithmetic flags: TF IF DF IOPL NT RF VM AC VIF VIP ID and bit 1.
    @inlinable @inline(__always)
    public var systemFlags: UInt64 {
        get { self[field: 0x90] }
        nonmutating set { self[field: 0x90] = newValue }
    }

    @inlinable @inline(__always) public var carryFlag: Bool { Int64(bitPattern: lazyCarries) < 0 }
    @inlinable @inline(__always) public var zeroFlag: Bool { lazyResult == 0 }
    @inlinable @inline(__always) public var signFlag: Bool { (lazyResult >> 63) ^ (lazyCarries >> 16 & 1) != 0 }
    @inlinable @inline(__always) public var overflowFlag: Bool {
        let carries = lazyCarries
        return Int64(bitPattern: carries ^ (carries << 1)) < 0
    }
    @inlinable @inline(__always) public var auxiliaryFlag: Bool { lazyCarries & 8 != 0 }
    @inlinable @inline(__always) public var parityFlag: Bool {
        (UInt8(truncatingIfNeeded: lazyResult) ^ UInt8(truncatingIfNeeded: lazyCarries >> 8)).nonzeroBitCount & 1 == 0
    }

    /// The whole of RFLAGS, computed from or split into its kept parts.
    @inlinable
    public var rflags: UInt64 {
        get {
            systemFlags | (carryFlag ? RFlags.cf : 0) | (parityFlag ? RFlags.pf : 0) | (auxiliaryFlag ? RFlags.af : 0)
                | (zeroFlag ? RFlags.zf : 0) | (signFlag ? RFlags.sf : 0) | (overflowFlag ? RFlags.of : 0)
        }
        nonmutating set {
            systemFlags = newValue & RFlags.defined & ~RFlags.arithmetic | 2
            setArithmeticFlags(newValue)
        }
    }

    /// Sets CF PF AF ZF SF OF from those bits of `flags`; other bits are ignored.
    @inlinable
    public func setArithmeticFlags(_ flags: UInt64) {
        // The result is 0 or 1, so its sign is clear, and its low byte has even or odd parity.
        let isZero = flags & RFlags.zf != 0
        lazyResult = isZero ? 0 : 1
        let wantsEven = flags & RFlags.pf != 0
        var carries: UInt64 = wantsEven == isZero ? 0 : 1 << 8
        if flags & RFlags.sf != 0 { carries |= 1 << 16 }
        if flags & RFlags.af != 0 { carries |= 8 }
        if flags & RFlags.cf != 0 { carries |= 1 << 63 }
        if (flags & RFlags.cf != 0) != (flags & RFlags.of != 0) { carries |= 1 << 62 }
        lazyCarries = carries
    }

    /// Replaces some arithmetic flags: those in `mask` come from `flags`, the rest stay.
    @inlinable
    public func setArithmeticFlags(_ flags: UInt64, mask: UInt64) {
        setArithmeticFlags((rflags & ~mask) | (flags & mask))
    }
}
