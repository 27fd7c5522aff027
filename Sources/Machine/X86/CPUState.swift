/// The whole state of one x86 vCPU: a raw block with a fixed layout behind one stable pointer.
///
/// The interpreter runs on it, the translator addresses it from generated code, KVM loads and stores it, and a
/// snapshot holds it. The value is only the pointer; copies name the same vCPU. Only the thread that runs the vCPU
/// touches it, but for ``pendingEvents``.
///
/// ```
/// 0x000  16 general registers, 8 bytes each, in encoding order
/// 0x080  a zero (index 16: "no register" in addresses)     0x088  RIP (index 17)
/// 0x090  RFLAGS without CF PF AF ZF SF OF                   0x098  lazy result    0x0a0  lazy carries
/// 0x0a8  instructions executed                              0x0b0  pending events (atomic)
/// 0x0b4  mode, CPL, interrupt shadow, activity (a byte each)
/// 0x0c0  effective bases of ES CS SS DS FS GS
/// 0x100  ES CS SS DS FS GS LDTR TR: base (8), limit (4), attributes (2), selector (2)
/// 0x180  GDTR base, IDTR base, GDTR limit, IDTR limit       0x1a0  CR0 CR2 CR3 CR4 XCR0
/// 0x1c8  DR0...DR7                                          0x208  MSRs
/// 0x400  XSAVE area, standard format: legacy 512, header 64, AVX 256
/// 0x800  the engine's own
/// ```
@frozen @safe
public struct CPUState: @unchecked Sendable {
    // SAFETY: the block is owned by the vCPU that made it and outlives every copy of the pointer; see above for threads.
    public let raw: UnsafeMutableRawPointer

    public static let byteCount = 0x1000
    public static let generalOffset = 0x000
    public static let xsaveOffset = 0x400
    public static let engineOffset = 0x800
    /// The index that reads as zero, and RIP's, in ``subscript(_:)``.
    public static let noRegister = 16
    public static let ripIndex = 17

    /// Uses the `byteCount` bytes at `raw`, which must be 64-byte aligned and zeroed.
    @inlinable
    public init(raw: UnsafeMutableRawPointer) { unsafe self.raw = raw }

    /// A 64-bit field of the block.
    @inlinable @inline(__always)
    public subscript(field offset: Int) -> UInt64 {
        get { unsafe raw.load(fromByteOffset: offset, as: UInt64.self) }
        nonmutating set { unsafe raw.storeBytes(of: newValue, toByteOffset: offset, as: UInt64.self) }
    }

    /// An 8-bit field of the block.
    @inlinable @inline(__always)
    public subscript(byte offset: Int) -> UInt8 {
        get { unsafe raw.load(fromByteOffset: offset, as: UInt8.self) }
        nonmutating set { unsafe raw.storeBytes(of: newValue, toByteOffset: offset, as: UInt8.self) }
    }

    /// A 32-bit field of the block.
    @inlinable @inline(__always)
    public subscript(dword offset: Int) -> UInt32 {
        get { unsafe raw.load(fromByteOffset: offset, as: UInt32.self) }
        nonmutating set { unsafe raw.storeBytes(of: newValue, toByteOffset: offset, as: UInt32.self) }
    }

    /// General register `index` in encoding order (RAX RCX RDX RBX RSP RBP RSI RDI R8...R15), whole.
    @inlinable @inline(__always)
    public subscript(_ index: Int) -> UInt64 {
        get { self[field: index &* 8] }
        nonmutating set { self[field: index &* 8] = newValue }
    }
}

extension CPUState {
    @inlinable @inline(__always) public var rax: UInt64 {
        get { self[0] }
        nonmutating set { self[0] = newValue }
    }
    @inlinable @inline(__always) public var rcx: UInt64 {
        get { self[1] }
        nonmutating set { self[1] = newValue }
    }
    @inlinable @inline(__always) public var rdx: UInt64 {
        get { self[2] }
        nonmutating set { self[2] = newValue }
    }
    @inlinable @inline(__always) public var rbx: UInt64 {
        get { self[3] }
        nonmutating set { self[3] = newValue }
    }
    @inlinable @inline(__always) public var rsp: UInt64 {
        get { self[4] }
        nonmutating set { self[4] = newValue }
    }
    @inlinable @inline(__always) public var rbp: UInt64 {
        get { self[5] }
        nonmutating set { self[5] = newValue }
    }
    @inlinable @inline(__always) public var rsi: UInt64 {
        get { self[6] }
        nonmutating set { self[6] = newValue }
    }
    @inlinable @inline(__always) public var rdi: UInt64 {
        get { self[7] }
        nonmutating set { self[7] = newValue }
    }
    @inlinable @inline(__always) public var rip: UInt64 {
        get { self[17] }
        nonmutating set { self[17] = newValue }
    }

    @inlinable @inline(__always) public var instructionCount: UInt64 {
        get { self[field: 0xA8] }
        nonmutating set { self[field: 0xA8] = newValue }
    }
    /// Where ``pendingEvents`` lies; accessed atomically by other threads.
    public static let pendingEventsOffset = 0xB0

    /// How code is decoded and addresses are formed; derived by ``updateMode()``.
    @inlinable @inline(__always) public var mode: ExecutionMode {
        get { ExecutionMode(rawValue: self[byte: 0xB4]) ?? .real }
        nonmutating set { self[byte: 0xB4] = newValue.rawValue }
    }
    /// ``mode`` is ``ExecutionMode/long64``, asked in the quickest way.
    @inlinable @inline(__always) public var isLong64: Bool { self[byte: 0xB4] == ExecutionMode.long64.rawValue }
    /// The current privilege level, 0...3.
    @inlinable @inline(__always) public var cpl: UInt8 {
        get { self[byte: 0xB5] }
        nonmutating set { self[byte: 0xB5] = newValue }
    }
    /// Non-zero for one instruction after STI, MOV SS and POP SS, while interrupts (1), or interrupts and debug traps (2), wait.
    @inlinable @inline(__always) public var interruptShadow: UInt8 {
        get { self[byte: 0xB6] }
        nonmutating set { self[byte: 0xB6] = newValue }
    }
    @inlinable @inline(__always) public var activity: Activity {
        get { Activity(rawValue: self[byte: 0xB7]) ?? .active }
        nonmutating set { self[byte: 0xB7] = newValue.rawValue }
    }

    /// What address formation adds for a segment: its base, or 0 for ES CS SS DS in 64-bit mode; derived by ``updateMode()``.
    @inlinable @inline(__always)
    public func effectiveBase(_ segment: Int) -> UInt64 { self[field: 0xC0 &+ segment &* 8] }

    @inlinable @inline(__always) public var gdtBase: UInt64 {
        get { self[field: 0x180] }
        nonmutating set { self[field: 0x180] = newValue }
    }
    @inlinable @inline(__always) public var idtBase: UInt64 {
        get { self[field: 0x188] }
        nonmutating set { self[field: 0x188] = newValue }
    }
    @inlinable @inline(__always) public var gdtLimit: UInt32 {
        get { self[dword: 0x190] }
        nonmutating set { self[dword: 0x190] = newValue }
    }
    @inlinable @inline(__always) public var idtLimit: UInt32 {
        get { self[dword: 0x194] }
        nonmutating set { self[dword: 0x194] = newValue }
    }
    @inlinable @inline(__always) public var cr0: UInt64 {
        get { self[field: 0x1A0] }
        nonmutating set { self[field: 0x1A0] = newValue }
    }
    @inlinable @inline(__always) public var cr2: UInt64 {
        get { self[field: 0x1A8] }
        nonmutating set { self[field: 0x1A8] = newValue }
    }
    @inlinable @inline(__always) public var cr3: UInt64 {
        get { self[field: 0x1B0] }
        nonmutating set { self[field: 0x1B0] = newValue }
    }
    @inlinable @inline(__always) public var cr4: UInt64 {
        get { self[field: 0x1B8] }
        nonmutating set { self[field: 0x1B8] = newValue }
    }
    @inlinable @inline(__always) public var xcr0: UInt64 {
        get { self[field: 0x1C0] }
        nonmutating set { self[field: 0x1C0] = newValue }
    }

    /// Debug register 0...7 (4 and 5 are unused: they are aliases of 6 and 7).
    @inlinable public func debugRegister(_ index: Int) -> UInt64 { self[field: 0x1C8 + index * 8] }
    @inlinable public func setDebugRegister(_ index: Int, _ value: UInt64) { self[field: 0x1C8 + index * 8] = value }

    @inlinable @inline(__always) public var efer: UInt64 {
        get { self[field: 0x208] }
        nonmutating set { self[field: 0x208] = newValue }
    }
    @inlinable @inline(__always) public var star: UInt64 {
        get { self[field: 0x210] }
        nonmutating set { self[field: 0x210] = newValue }
    }
    @inlinable @inline(__always) public var lstar: UInt64 {
        get { self[field: 0x218] }
        nonmutating set { self[field: 0x218] = newValue }
    }
    @inlinable @inline(__always) public var cstar: UInt64 {
        get { self[field: 0x220] }
        nonmutating set { self[field: 0x220] = newValue }
    }
    @inlinable @inline(__always) public var fmask: UInt64 {
        get { self[field: 0x228] }
        nonmutating set { self[field: 0x228] = newValue }
    }
    @inlinable @inline(__always) public var kernelGSBase: UInt64 {
        get { self[field: 0x230] }
        nonmutating set { self[field: 0x230] = newValue }
    }
    @inlinable @inline(__always) public var sysenterCS: UInt64 {
        get { self[field: 0x238] }
        nonmutating set { self[field: 0x238] = newValue }
    }
    @inlinable @inline(__always) public var sysenterESP: UInt64 {
        get { self[field: 0x240] }
        nonmutating set { self[field: 0x240] = newValue }
    }
    @inlinable @inline(__always) public var sysenterEIP: UInt64 {
        get { self[field: 0x248] }
        nonmutating set { self[field: 0x248] = newValue }
    }
    @inlinable @inline(__always) public var pat: UInt64 {
        get { self[field: 0x250] }
        nonmutating set { self[field: 0x250] = newValue }
    }
    @inlinable @inline(__always) public var tscAux: UInt64 {
        get { self[field: 0x258] }
        nonmutating set { self[field: 0x258] = newValue }
    }
    @inlinable @inline(__always) public var miscEnable: UInt64 {
        get { self[field: 0x260] }
        nonmutating set { self[field: 0x260] = newValue }
    }
    /// What the guest's time-stamp counter adds to the machine's.
    @inlinable @inline(__always) public var tscOffset: UInt64 {
        get { self[field: 0x268] }
        nonmutating set { self[field: 0x268] = newValue }
    }
    @inlinable @inline(__always) public var tscAdjust: UInt64 {
        get { self[field: 0x270] }
        nonmutating set { self[field: 0x270] = newValue }
    }

    /// The XSAVE area: x87 and SSE at 0, MXCSR at 24, XMM n at 160 + 16 n, header at 512, upper half of YMM n at 576 + 16 n.
    @inlinable @inline(__always) public var xsaveArea: UnsafeMutableRawPointer { unsafe raw + Self.xsaveOffset }
    @inlinable @inline(__always) public var mxcsr: UInt32 {
        get { self[dword: Self.xsaveOffset + 24] }
        nonmutating set { self[dword: Self.xsaveOffset + 24] = newValue }
    }
}

/// How the CPU decodes and addresses (SDM 3A §2.2): set by CR0.PE, RFLAGS.VM, EFER.LMA, CS.L and CS.D.
@frozen
public enum ExecutionMode: UInt8, Sendable {
    case real
    case virtual8086
    case protected16
    case protected32
    case compatibility16
    case compatibility32
    case long64

    /// The default operand and address size of code, in bytes: 2, 4 or 8.
    @inlinable @inline(__always) public var codeByteCount: UInt8 {
        switch self {
        case .real, .virtual8086, .protected16, .compatibility16: 2
        case .protected32, .compatibility32: 4
        case .long64: 8
        }
    }
    /// Segment selectors are paragraph numbers: no descriptors.
    @inlinable @inline(__always) public var isRealLike: Bool { self == .real || self == .virtual8086 }
    /// EFER.LMA is set.
    @inlinable @inline(__always) public var isLong: Bool { rawValue >= ExecutionMode.compatibility16.rawValue }
}

/// What a vCPU does between instructions.
@frozen
public enum Activity: UInt8, Sendable {
    case active
    /// After HLT: an interrupt, NMI or INIT wakes it.
    case halted
    /// After a triple fault: only a reset helps.
    case shutdown
    /// After INIT on an application processor.
    case waitForStartUp
}
