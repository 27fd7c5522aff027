import SystemCalls

/// A place in translated code from which it can be left, found by the host address that its call pushes.
struct Site {
    enum Kind: UInt8 {
        /// A memory access: run again from ``resume`` once the TLB has the page.
        case access
        /// The interpreter runs the instruction; the code goes on behind the call.
        case fallback
        /// The interpreter runs the instruction, and the next one is wherever it leads.
        case leave
        /// The second page of a straddling instruction is not known to be the view in ``amount``.
        case straddle
        /// A jump that is not linked yet.
        case link
        /// An event is pending before a jump.
        case pending
        /// An indirect branch that has not been taken yet, or whose target was thrown away.
        case indirectLink
        /// Not an exit: a host instruction that may raise a signal starts here.
        case hostFault
        /// Not an exit: an indirect branch.
        case branch
    }

    /// What the call pushes: the offset in the code buffer behind it.
    var offset: UInt32
    /// Where an access starts again; of a jump, the number of its ``Link``.
    var resume: UInt32 = 0
    var block: UInt32
    /// Of the instruction, from the block's first byte.
    var guestOffset: UInt16
    /// Raw value of the instruction's ``Operation``; of an access, how far behind ``resume`` its address is proved, or 0 where more bytes
    /// are accessed than ``amount``.
    var operation: UInt16
    /// Bytes of the access; what an indirect branch added to RSP; of a straddling instruction, a view.
    var amount: Int32
    /// Instructions before it that are still to be counted, where instructions are counted; negative where it was counted itself.
    var uncounted: Int8 = 0
    var kind: Kind
}

/// A jump to a known address, or an indirect branch that expects the target that it had at first.
struct Link {
    /// From the block's first byte, or the address itself; of an indirect branch unused.
    var target: Int64
    var isAbsolute = false
    /// The site of the call that leaves while it is not linked.
    var site: UInt32 = 0
    /// Where the displacement of the jump lies.
    var field: UInt32 = 0
    /// Where the number of the view that it expects lies, or 0 where it stays in its page.
    var guardField: UInt32 = 0
    /// Where the jump of an indirect branch lies that is taken for another target than the expected one, or 0; before it
    /// lies the comparison, behind it the guard.
    var otherField: UInt32 = 0
    /// The block that it leads to, or 0.
    var block: UInt32 = 0
    /// The next link to the same block.
    var nextIncoming: UInt32 = 0
}

/// One translated block: a run of guest instructions in one page, seen at one address.
struct BlockRecord {
    var rip: UInt64
    var start: UInt32
    /// Where what lies behind the instructions starts: jumps out of the block, and calls for misses.
    var bodyEnd: UInt32 = 0
    var end: UInt32 = 0
    var view: UInt32
    /// Of guest code.
    var byteCount: UInt16 = 0
    var instructionCount: UInt16 = 0
    /// The first link to it, or 0.
    var incoming: UInt32 = 0
    var isDead = false
    /// Position-independent: ``rip`` lacks the displacement.
    var isRelative = false
}

/// Records of one type in a lazily backed array that never moves; number 0 is never used.
struct RecordArray<Record>: ~Copyable {
    private let mapping: HostMapping
    let records: UnsafeMutablePointer<Record>
    let capacity: Int
    private(set) var count = 1

    init(capacity: Int) throws(SystemCallError) {
        self.capacity = capacity
        mapping = try HostMapping(anonymous: (capacity * MemoryLayout<Record>.stride + 4095) & ~4095)
        // SAFETY: the mapping holds only records of this type.
        records = mapping.base.assumingMemoryBound(to: Record.self)
    }

    @inline(__always)
    mutating func append(_ record: Record) -> UInt32 {
        (records + count).initialize(to: record)
        count += 1
        return UInt32(truncatingIfNeeded: count - 1)
    }

    mutating func removeAll() { count = 1 }

    @inline(__always)
    subscript(_ index: UInt32) -> Record {
        get { records[Int(index)] }
        nonmutating _modify { yield &records[Int(index)] }
    }
}
