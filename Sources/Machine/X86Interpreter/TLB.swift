import GuestMemory
import X86

/// The software TLB: direct-mapped tables of virtual pages, one for each meaning that an access can have.
///
/// A table is a structure of arrays of ``entryCount`` integers of 64 bits, so that generated code reaches each with a scaled
/// index; a page's slot is bits 27:12 of its linear address. A tag is the page's linear address *negated*, so that adding an
/// access's last byte gives an offset below 4096 for a hit that does not cross pages. A page that holds decoded code, and a
/// page that is not RAM, never gets a write tag, so that every write to it takes the slow path.
///
/// An absent tag is 0. That would be the tag of page 0, which slot 0 could match, and slot 0xFFFF with an access that runs over
/// the end of the address space into page 0: those two have ``absentAtEnds``, the tag of a page of slot 0x8000.
package enum TLB {
    /// Accesses with CPL 3.
    package static let user = 0
    /// Accesses with CPL 0...2, and implicit ones by the CPU; user pages are left out under CR4.SMAP.
    package static let supervisor = 1
    /// Accesses with CPL 0...2 and RFLAGS.AC.
    package static let supervisorWithAC = 2
    /// Never filled: alignment checks and data breakpoints see every access.
    package static let checked = 3
    package static let tableCount = 4

    package static let entryCount = 0x10000

    // Where the arrays lie in a table, in bytes.
    package static let readTag = 0
    package static let writeTag = 0x80000
    package static let fetchTag = 0x100000
    /// What to add to a linear address to get the host address.
    package static let addend = 0x180000
    /// The host address of the page.
    package static let hostPage = 0x200000
    /// The translator's own; 0 whenever the slot's fetch tag was cleared, or given to another page, since it was set.
    package static let viewID = 0x280000
    package static let tableByteCount = 0x300000

    package static let absentAtEnds: UInt64 = 0 &- 0x8000 << 12

    @inline(__always)
    package static func slot(_ linear: UInt64) -> Int { Int(truncatingIfNeeded: linear >> 12 & 0xFFFF) }

    package static func absent(slot: Int) -> UInt64 { slot == 0 || slot == 0xFFFF ? absentAtEnds : 0 }
}

/// Where a table's bookkeeping lies, from its own start: which slots hold anything, so that forgetting costs what was filled.
///
/// A slot that went from a page that is not global to one that is, or back, is in both lists until a flush.
enum TLBRecord {
    /// Slots that held a page that is not global, 16 bits each.
    static let localSlots = 0
    /// Slots that held a global page, 16 bits each.
    static let globalSlots = 0x20000
    /// A byte a slot, of the bits below.
    static let slotBits = 0x40000
    static let localCount = 0x50000
    static let globalCount = 0x50008
    static let byteCount = 0x51000

    static let listedAsLocal: UInt8 = 1
    static let listedAsGlobal: UInt8 = 2
    static let isGlobal: UInt8 = 4
}

extension Core {
    /// Where the read tag of `linear` lies in the selected table; the slot's other fields lie at the offsets of ``TLB`` from it.
    @inline(__always)
    func tlbEntry(_ linear: UInt64) -> UnsafeMutableRawPointer {
        // SAFETY: the field always holds the address of one of this block's tables.
        UnsafeMutableRawPointer(bitPattern: UInt(state[field: Layout.tlb])).unsafelyUnwrapped + TLB.slot(linear) &* 8
    }

    /// Where the read tag of `linear` lies in table `index`.
    @inline(__always)
    func tlbEntry(_ linear: UInt64, table index: Int) -> UnsafeMutableRawPointer {
        table(index) + TLB.slot(linear) &* 8
    }

    /// Whether `entry` lets the access that `tag` stands for reach the bytes from `linear` to `last`, which is its page if they
    /// do not cross.
    @inline(__always)
    func hits(_ entry: UnsafeMutableRawPointer, _ tag: Int, last: UInt64) -> Bool {
        entry.load(fromByteOffset: tag, as: UInt64.self) &+ (last & ~0xFFF) == 0
    }

    @inline(__always)
    func table(_ index: Int) -> UnsafeMutableRawPointer { raw + (Layout.tlbTables + index &* TLB.tableByteCount) }

    private func record(_ index: Int) -> UnsafeMutableRawPointer {
        raw + (Layout.tlbRecords + index &* TLBRecord.byteCount)
    }

    /// Makes the zeroed tables empty ones.
    func initializeTLB() {
        for index in 0..<TLB.tableCount {
            clear(table(index), slot: 0)
            clear(table(index), slot: 0xFFFF)
        }
    }

    /// The table for accesses that the CPU itself makes, such as to descriptor tables.
    var implicitTable: Int { TLB.supervisor }

    /// Selects the table for the current CPL, AC, alignment checking and data breakpoints.
    ///
    /// To be called after any changed.
    func selectTLB() {
        let s = state
        let index: Int
        if s.debugRegister(7) & 0xFF != 0
            || s.cpl == 3 && s.systemFlags & RFlags.ac != 0 && s.cr0 & CR0.alignmentMask != 0
        {
            index = TLB.checked
        } else if s.cpl == 3 {
            index = TLB.user
        } else {
            index = s.systemFlags & RFlags.ac != 0 ? TLB.supervisorWithAC : TLB.supervisor
        }
        s[field: Layout.tlb] = UInt64(UInt(bitPattern: table(index)))
    }

    /// The table whose rules the current CPL and AC follow, even while ``TLB/checked`` is selected.
    var ruleTable: Int {
        let s = state
        return s.cpl == 3 ? TLB.user : s.systemFlags & RFlags.ac != 0 ? TLB.supervisorWithAC : TLB.supervisor
    }

    /// Tells the translator that something it may rely on was forgotten: a translation, or code.
    func advanceTranslationEpoch() { state[field: Layout.translationEpoch] &+= 1 }

    private func noteFlush() {
        advanceTranslationEpoch()
        services.counters.tlbFlushes &+= 1
        leaveBlock()
    }
}

// Forgetting.
extension Core {
    /// Forgets every translation, global ones too.
    func flushTLB() {
        for index in 0..<TLB.checked {
            let (base, record) = (table(index), record(index))
            for list in [(TLBRecord.localSlots, TLBRecord.localCount), (TLBRecord.globalSlots, TLBRecord.globalCount)] {
                for position in 0..<record.load(fromByteOffset: list.1, as: Int.self) {
                    let slot = Int(record.load(fromByteOffset: list.0 &+ position &* 2, as: UInt16.self))
                    clear(base, slot: slot)
                    record.storeBytes(of: 0, toByteOffset: TLBRecord.slotBits &+ slot, as: UInt8.self)
                }
                record.storeBytes(of: 0, toByteOffset: list.1, as: Int.self)
            }
        }
        services.largePages.removeAll()
        noteFlush()
    }

    /// Forgets what a load of CR3 forgets: every translation that is not global.
    func flushTLBKeepingGlobal() {
        for index in 0..<TLB.checked {
            let (base, record) = (table(index), record(index))
            for position in 0..<record.load(fromByteOffset: TLBRecord.localCount, as: Int.self) {
                let slot = Int(record.load(fromByteOffset: TLBRecord.localSlots &+ position &* 2, as: UInt16.self))
                let bits = record.load(fromByteOffset: TLBRecord.slotBits &+ slot, as: UInt8.self)
                if bits & TLBRecord.isGlobal == 0 { clear(base, slot: slot) }
                record.storeBytes(
                    of: bits & ~TLBRecord.listedAsLocal,
                    toByteOffset: TLBRecord.slotBits &+ slot,
                    as: UInt8.self
                )
            }
            record.storeBytes(of: 0, toByteOffset: TLBRecord.localCount, as: Int.self)
        }
        noteFlush()
    }

    /// Forgets the translations of one linear page, and of the whole large page where it lies in one.
    func flushTLB(page linear: UInt64) {
        for index in 0..<TLB.checked {
            let entry = tlbEntry(linear, table: index)
            if hits(entry, TLB.readTag, last: linear) || hits(entry, TLB.fetchTag, last: linear) {
                clear(table(index), slot: TLB.slot(linear))
            }
        }
        while let bits = services.largePages.remove(holding: linear) {
            forEachFilled { base, slot in
                if page(base, slot) >> bits == linear >> bits { clear(base, slot: slot) }
            }
        }
        advanceTranslationEpoch()
        leaveBlock()
    }

    /// Withdraws the right to write to the page at host address `hostPage` from every alias.
    func revokeWrites(hostPage: UInt) {
        forEachFilled { base, slot in
            let entry = base + slot &* 8
            if entry.load(fromByteOffset: TLB.hostPage, as: UInt.self) == hostPage {
                entry.storeBytes(of: TLB.absent(slot: slot), toByteOffset: TLB.writeTag, as: UInt64.self)
            }
        }
    }

    /// Calls `body` with the table and number of each slot that may hold a page.
    @inline(__always)
    private func forEachFilled(_ body: (UnsafeMutableRawPointer, Int) -> Void) {
        for index in 0..<TLB.checked {
            let (base, record) = (table(index), record(index))
            for position in 0..<record.load(fromByteOffset: TLBRecord.localCount, as: Int.self) {
                body(base, Int(record.load(fromByteOffset: TLBRecord.localSlots &+ position &* 2, as: UInt16.self)))
            }
            for position in 0..<record.load(fromByteOffset: TLBRecord.globalCount, as: Int.self) {
                body(base, Int(record.load(fromByteOffset: TLBRecord.globalSlots &+ position &* 2, as: UInt16.self)))
            }
        }
    }

    /// The page that `slot` holds; of an empty slot a page that no access to it can ask for.
    private func page(_ base: UnsafeMutableRawPointer, _ slot: Int) -> UInt64 {
        let entry = base + slot &* 8
        let tag = entry.load(fromByteOffset: TLB.readTag, as: UInt64.self)
        return 0 &- (tag == TLB.absent(slot: slot) ? entry.load(fromByteOffset: TLB.fetchTag, as: UInt64.self) : tag)
    }

    @inline(__always)
    private func clear(_ base: UnsafeMutableRawPointer, slot: Int) {
        let entry = base + slot &* 8
        let absent = TLB.absent(slot: slot)
        entry.storeBytes(of: absent, toByteOffset: TLB.readTag, as: UInt64.self)
        entry.storeBytes(of: absent, toByteOffset: TLB.writeTag, as: UInt64.self)
        entry.storeBytes(of: absent, toByteOffset: TLB.fetchTag, as: UInt64.self)
        entry.storeBytes(of: 0, toByteOffset: TLB.viewID, as: UInt64.self)
    }
}

// Filling.
extension Core {
    /// Enters a walked page into table `index`.
    func fillTLB(_ index: Int, linear: UInt64, walk: PageWalk, access: MemoryAccess) {
        guard index != TLB.checked, let host = walk.host else { return }
        if walk.isLarge { services.largePages.insert(linear, bits: walk.sizeBits) }
        let tag = 0 &- (linear & ~0xFFF)
        let slot = TLB.slot(linear)
        let entry = table(index) + slot &* 8
        let absent = TLB.absent(slot: slot)
        let readTag = entry.load(fromByteOffset: TLB.readTag, as: UInt64.self)
        let fetchTag = entry.load(fromByteOffset: TLB.fetchTag, as: UInt64.self)
        let hostPage = UInt64(UInt(bitPattern: host))
        // A slot holds one page, at one place; there is no write tag without a read tag.
        if readTag != tag && readTag != absent || fetchTag != tag && fetchTag != absent
            || entry.load(fromByteOffset: TLB.hostPage, as: UInt64.self) != hostPage
        {
            clear(table(index), slot: slot)
        }
        entry.storeBytes(of: hostPage, toByteOffset: TLB.hostPage, as: UInt64.self)
        entry.storeBytes(of: hostPage &+ tag, toByteOffset: TLB.addend, as: UInt64.self)
        switch access {
        case .fetch:
            entry.storeBytes(of: tag, toByteOffset: TLB.fetchTag, as: UInt64.self)
        case .read, .write:
            entry.storeBytes(of: tag, toByteOffset: TLB.readTag, as: UInt64.self)
            guard access == .write else { break }
            services.journal?.note(host)
            if !walk.isReadOnlyRegion, services.codeCache.mark(of: host) == 0 {
                entry.storeBytes(of: tag, toByteOffset: TLB.writeTag, as: UInt64.self)
                services.journal?.noteGrant(entry + TLB.writeTag, absent: absent)
            }
        }
        list(slot, record(index), isGlobal: walk.isGlobal)
    }

    /// Notes that `slot` holds a page that is global or not.
    @inline(__always)
    private func list(_ slot: Int, _ record: UnsafeMutableRawPointer, isGlobal: Bool) {
        let old = record.load(fromByteOffset: TLBRecord.slotBits &+ slot, as: UInt8.self)
        let listed = isGlobal ? TLBRecord.listedAsGlobal : TLBRecord.listedAsLocal
        var new = old | listed
        if isGlobal { new |= TLBRecord.isGlobal } else { new &= ~TLBRecord.isGlobal }
        guard new != old else { return }
        record.storeBytes(of: new, toByteOffset: TLBRecord.slotBits &+ slot, as: UInt8.self)
        guard old & listed == 0 else { return }
        let count = isGlobal ? TLBRecord.globalCount : TLBRecord.localCount
        let position = record.load(fromByteOffset: count, as: Int.self)
        record.storeBytes(
            of: UInt16(truncatingIfNeeded: slot),
            toByteOffset: (isGlobal ? TLBRecord.globalSlots : TLBRecord.localSlots) &+ position &* 2,
            as: UInt16.self
        )
        record.storeBytes(of: position &+ 1, toByteOffset: count, as: Int.self)
    }
}

/// The large pages that TLB entries may have come from: INVLPG forgets all of such a page.
struct LargePages {
    /// Page numbers, with the size in the low 6 bits.
    private var keys: Set<UInt64> = []
    private var latest: UInt64 = .max
    private static let manyCount = 4096
    /// The sizes of SDM 3A tables 4-2 and 4-12: 2 MiB, 4 MiB and 1 GiB, as address bits.
    private static let largestFirst: (UInt64, UInt64, UInt64) = (30, 22, 21)

    private static func key(_ linear: UInt64, _ bits: UInt64) -> UInt64 { (linear >> bits) << 6 | bits }

    /// Remembers the page of 2 to the power of `bits` bytes that holds `linear`; the 1 GiB around it where there are many.
    mutating func insert(_ linear: UInt64, bits: UInt64) {
        let key = Self.key(linear, bits)
        guard key != latest else { return }
        keys.insert(keys.count < Self.manyCount ? key : Self.key(linear, Self.largestFirst.0))
        latest = key
    }

    /// Forgets a page that holds `linear` and gives its size in address bits, or nil where there is none.
    mutating func remove(holding linear: UInt64) -> UInt64? {
        guard !keys.isEmpty else { return nil }
        let sizes = Self.largestFirst
        for bits in [sizes.0, sizes.1, sizes.2] where keys.remove(Self.key(linear, bits)) != nil {
            latest = .max
            return bits
        }
        return nil
    }

    mutating func removeAll() {
        keys.removeAll(keepingCapacity: true)
        latest = .max
    }
}
