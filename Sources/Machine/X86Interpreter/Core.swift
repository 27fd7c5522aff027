import Engine
import GuestMemory
import X86
import X86Decoder

/// A pointer to one decoded instruction in a block.
typealias Instruction = UnsafeMutablePointer<DecodedInstruction>

/// The interpreter's hot state, behind one stable pointer: the guest's ``CPUState`` first, then what the interpreter
/// keeps beside it.
///
/// Every handler is a method of this trivial value, so that a call passes one register.
///
/// While a handler runs, RIP (``CPUState/rip``) is already that of the next instruction. A handler that throws has changed
/// nothing that the guest can see, but for what its instruction documents (string instructions keep finished iterations);
/// the run loop puts RIP back. So read every memory operand and check everything before the first write to state.
struct Core {
    let raw: UnsafeMutableRawPointer

    @inline(__always) var state: CPUState { CPUState(raw: raw) }

    /// What is not hot: memory, the interrupt controller, the CPU model, counters.
    @inline(__always) var services: Services {
        // SAFETY: `Services` is kept alive by the `Interpreter` that owns both.
        raw.load(fromByteOffset: Layout.services, as: Unmanaged<Services>.self)._withUnsafeGuaranteedRef { $0 }
    }

    /// RIP of the running instruction.
    @inline(__always) var instructionRIP: UInt64 { state[field: Layout.instructionRIP] }

    /// Makes the run loop leave the block after the running instruction: for what changes mode, paging, privilege, interrupt
    /// flags or code, and for posted writes to devices.
    @inline(__always)
    func leaveBlock() { state[field: Layout.blockEnd] = 0 }
}

/// Where the interpreter's own fields lie in its block, in bytes.
package enum Layout {
    static let services = 0x800
    /// The address after the last instruction of the running block; 0 makes the run loop leave it after the running instruction.
    static let blockEnd = 0x808
    /// The address of the software TLB of the current privilege, see ``TLB``.
    package static let tlb = 0x810
    static let instructionRIP = 0x818
    /// The four page-directory-pointer entries that PAE paging loads with CR3 (SDM 3A §4.4.1).
    static let pdptes = 0x820
    /// Non-zero while NMIs are held back.
    package static let nonMaskableBlocked = 0x890
    /// Sixteen bytes for an instruction that straddles two pages.
    static let fetchBytes = 0x880
    /// 256 bytes of scratch for vector operands, 64-byte aligned.
    static let scratch = 0x900
    /// 64 bits: how often translations or code were forgotten.
    ///
    /// The translator's own fields follow, up to 0xFFF.
    package static let translationEpoch = 0xA80
    /// 512 KiB of the translator's.
    package static let translator = 0x1000
    package static let translatorByteCount = 0x80000
    /// The tables of ``TLB``, one after another.
    package static let tlbTables = translator + translatorByteCount
    /// The bookkeeping of each table, see ``TLBRecord``.
    static let tlbRecords = tlbTables + TLB.tableCount * TLB.tableByteCount
    /// 4 KiB for an image of FXSAVE or XSAVE.
    static let vectorImage = tlbRecords + TLB.tableCount * TLBRecord.byteCount
    static let byteCount = vectorImage + 0x1000
}
