import X86
import X86Interpreter

/// Where the translator's own fields lie in the vCPU's block, in bytes; generated code reaches them through GS.
enum TranslatorLayout {
    static let hostFlags = 0xA90
    static let hostRSP = 0xA98
    /// The stack of host return addresses in use; user and supervisor code have one each, so that neither returns into the other.
    static let returnStack = 0xAA0
    static let resume = 0xAA8
    /// An ``ExitReason``.
    static let exitReason = 0xAB0
    /// R9 at the exit: the address of a miss, or the target of an indirect branch.
    static let exitAddress = 0xAB8
    /// For an instruction that needs a third scratch register.
    static let temporary = 0xAC0
    /// ~0xFFF.
    static let pageMask = 0xAC8
    /// The bits of a folded RIP that choose a slot of the hash, see ``hashSlot(_:)``.
    static let hashMask = 0xAD0
    /// The MXCSR of Swift code.
    static let hostMXCSR = 0xAD8
    static let faultPC = 0xAE0
    /// The number of the ``Site`` of the indirect branch that ran last.
    static let branchSite = 0xAE8
    /// Events that cannot be delivered while interrupts are off, taken out of the pending word so that they stop no loop.
    static let deferred = 0xAF0
    /// Masks that leave out IF, DF and AC, and the arithmetic flags alone.
    static let maskWithoutIF = 0xAF8
    static let maskWithoutDF = 0xB00
    static let maskWithoutAC = 0xB08
    static let arithmeticMask = 0xB10
    /// The addresses of the three TLB tables, for the interpreter's ``Layout/tlb``.
    static let tablePointers = 0xB18
    /// The stacks of return addresses that are not in use: user's, supervisor's.
    static let savedStacks = 0xB30
    /// Which of the two is in use.
    static let stackInUse = 0xB40
    /// The bits of an address that a canonical one has alike, and what is left of their sum with 1.
    static let canonicalMask = 0xB48
    static let canonicalSumMask = 0xB50
    /// What position-independent code adds to the addresses that it was translated for.
    static let displacement = 0xB58
    /// IRETQ's: the host address of the descriptors that it may load, and where it returns to.
    static let descriptors = 0xB60
    static let returnAddress = 0xB68
    /// An ``Engine/HostCounter``, for RDTSC.
    static let counterMultiplier = 0xB70
    static let counterOffset = 0xB78
    static let systemFlags = 0x90
    static let gdtBase = 0x180
    static let gdtLimit = 0x190
    static func segment(_ number: Int) -> Int { 0x100 + number * 16 }
    static let currentPrivilege = 0xB5
    static let kernelGSBase = 0x230
    static let timestampAuxiliary = 0x258
    static let timestampOffset = 0x268

    static let pending = CPUState.pendingEventsOffset
    static let instructionCount = 0xA8
    static let rip = 0x88
    static func general(_ number: UInt8) -> Int { Int(number) * 8 }
    static func effectiveBase(_ segment: UInt8) -> Int { 0xC0 + Int(segment) * 8 }

    /// The hash of indirect branch targets, one for each TLB table: negated RIPs, then host addresses.
    static let hashCount = 8192
    static let hashIndexMask: UInt64 = UInt64(hashCount - 1) << 1
    static func hashTags(_ table: Int) -> Int { Layout.translator + table * 0x20000 }
    static func hashCode(_ table: Int) -> Int { hashTags(table) + 0x10000 }

    /// The slot for `rip`, as ``Emitter/hashSlot()`` finds it: the page's number is added to the offset, since compilers align code.
    static func hashSlot(_ rip: UInt64) -> Int {
        let low = UInt32(truncatingIfNeeded: rip)
        return Int((rip &+ UInt64(low >> 12 | low << 20)) & hashIndexMask) >> 1
    }

    static func tlb(_ table: Int, _ array: Int) -> Int { Layout.tlbTables + table * TLB.tableByteCount + array }
}

/// Why translated code was left.
enum ExitReason: UInt32 {
    case none
    case readMiss
    case writeMiss
    /// An instruction that the interpreter runs.
    case fallback
    /// A jump whose target is not linked, or whose page is not proved.
    case link
    /// An event is pending.
    case pending
    /// An indirect branch that the hash does not know.
    case dispatch
    /// A host signal.
    case hostFault
}
