import GuestMemory
import X86

/// The software TLB: direct-mapped tables of virtual pages, one for each meaning that an access can have.
///
/// An entry is 32 bytes: the page that may be read, that may be written, that may be fetched from (each the page's linear
/// address, or all ones for none), and what to add to a linear address to get the host address. A page that holds decoded
/// code, and a page that is not RAM, never gets a write tag, so that every write to it takes the slow path.
enum TLB {
    /// Accesses with CPL 3.
    static let user = 0
    /// Accesses with CPL 0...2, and implicit ones by the CPU; user pages are left out under CR4.SMAP.
    static let supervisor = 1
    /// Accesses with CPL 0...2 and RFLAGS.AC.
    static let supervisorWithAC = 2
    /// Never filled: alignment checks and data breakpoints see every access.
    static let checked = 3
    static let tableCount = 4

    static let entryCount = 1024
    static let entryByteCount = 32
    static let tableByteCount = entryCount * entryByteCount

    static let readTag = 0
    static let writeTag = 8
    static let fetchTag = 16
    static let addend = 24
    static let absent = UInt64.max
}

extension Core {
    @inline(__always)
    func tlbEntry(_ linear: UInt64) -> UnsafeMutableRawPointer {
        // SAFETY: the field always holds the address of one of this block's tables.
        UnsafeMutableRawPointer(bitPattern: UInt(state[field: Layout.tlb])).unsafelyUnwrapped
            + Int(linear >> 12 & UInt64(TLB.entryCount - 1)) &* TLB.entryByteCount
    }

    func table(_ index: Int) -> UnsafeMutableRawPointer { raw + Layout.tlbTables + index * TLB.tableByteCount }

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

    /// Forgets every translation, global ones too.
    func flushTLB() {
        (raw + Layout.tlbTables).initializeMemory(
            as: UInt8.self,
            repeating: 0xFF,
            count: TLB.tableCount * TLB.tableByteCount
        )
        services.globalPages.removeAll()
        services.counters.tlbFlushes &+= 1
        leaveBlock()
    }

    /// Forgets what a load of CR3 forgets: every translation that is not global.
    func flushTLBKeepingGlobal() {
        guard state.cr4 & CR4.pge != 0 else { return flushTLB() }
        table(TLB.user).initializeMemory(as: UInt8.self, repeating: 0xFF, count: TLB.tableByteCount)
        let isGlobal = services.globalPages
        for index in [TLB.supervisor, TLB.supervisorWithAC] {
            let base = table(index)
            for slot in 0..<TLB.entryCount where !isGlobal.contains(table: index, slot: slot) {
                (base + slot &* TLB.entryByteCount).initializeMemory(as: UInt8.self, repeating: 0xFF, count: 24)
            }
        }
        services.counters.tlbFlushes &+= 1
        leaveBlock()
    }

    /// Forgets the translations of one linear page; of the whole TLB if large pages may be involved.
    func flushTLB(page linear: UInt64) {
        let page = linear & ~0xFFF
        for index in 0..<TLB.tableCount {
            let entry = table(index) + Int(linear >> 12 & UInt64(TLB.entryCount - 1)) &* TLB.entryByteCount
            for tag in [TLB.readTag, TLB.writeTag, TLB.fetchTag]
            where entry.load(fromByteOffset: tag, as: UInt64.self) == page {
                entry.storeBytes(of: TLB.absent, toByteOffset: tag, as: UInt64.self)
            }
        }
        if services.hasLargeMappings { flushLargePage(linear) }
        leaveBlock()
    }

    /// Forgets the 1 GiB around `linear`, since one large page may have filled many entries.
    private func flushLargePage(_ linear: UInt64) {
        for index in 0..<TLB.tableCount {
            for slot in 0..<TLB.entryCount {
                let entry = table(index) + slot &* TLB.entryByteCount
                for tag in [TLB.readTag, TLB.writeTag, TLB.fetchTag] {
                    let page = entry.load(fromByteOffset: tag, as: UInt64.self)
                    guard page != TLB.absent, page >> 30 == linear >> 30 else { continue }
                    // Only pages that a large mapping filled have to go, and forgetting more is always right.
                    entry.storeBytes(of: TLB.absent, toByteOffset: tag, as: UInt64.self)
                }
            }
        }
    }

    /// Withdraws the right to write to the page at host address `hostPage` from every alias.
    func revokeWrites(hostPage: UInt) {
        for index in 0..<TLB.tableCount {
            for slot in 0..<TLB.entryCount {
                let entry = table(index) + slot &* TLB.entryByteCount
                let page = entry.load(fromByteOffset: TLB.writeTag, as: UInt64.self)
                guard page != TLB.absent else { continue }
                let host = page &+ entry.load(fromByteOffset: TLB.addend, as: UInt64.self)
                if UInt(host) == hostPage {
                    entry.storeBytes(of: TLB.absent, toByteOffset: TLB.writeTag, as: UInt64.self)
                }
            }
        }
    }

    /// Enters a walked page into table `index`.
    func fillTLB(_ index: Int, linear: UInt64, walk: PageWalk, access: MemoryAccess) {
        guard index != TLB.checked, let host = walk.host else { return }
        let page = linear & ~0xFFF
        let slot = Int(linear >> 12 & UInt64(TLB.entryCount - 1))
        let entry = table(index) + slot &* TLB.entryByteCount
        let addend = UInt64(UInt(bitPattern: host)) &- page
        if entry.load(fromByteOffset: TLB.addend, as: UInt64.self) != addend {
            entry.initializeMemory(as: UInt8.self, repeating: 0xFF, count: 24)
            entry.storeBytes(of: addend, toByteOffset: TLB.addend, as: UInt64.self)
        }
        let mayRead = entry.load(fromByteOffset: TLB.readTag, as: UInt64.self)
        let mayFetch = entry.load(fromByteOffset: TLB.fetchTag, as: UInt64.self)
        // The slot may have held another page with the same addend.
        if mayRead != page { entry.storeBytes(of: TLB.absent, toByteOffset: TLB.writeTag, as: UInt64.self) }
        if mayRead != page && mayRead != TLB.absent {
            entry.storeBytes(of: TLB.absent, toByteOffset: TLB.readTag, as: UInt64.self)
        }
        if mayFetch != page && mayFetch != TLB.absent {
            entry.storeBytes(of: TLB.absent, toByteOffset: TLB.fetchTag, as: UInt64.self)
        }
        switch access {
        case .fetch:
            entry.storeBytes(of: page, toByteOffset: TLB.fetchTag, as: UInt64.self)
        case .read, .write:
            entry.storeBytes(of: page, toByteOffset: TLB.readTag, as: UInt64.self)
            if access == .write, !walk.isReadOnlyRegion, services.codeCache.mark(of: host) == 0 {
                entry.storeBytes(of: page, toByteOffset: TLB.writeTag, as: UInt64.self)
            }
        }
        services.globalPages.set(table: index, slot: slot, walk.isGlobal)
        if walk.isLarge { services.hasLargeMappings = true }
    }
}

/// Which TLB slots hold global pages: a bit a slot and table.
struct GlobalPages {
    private var bits = [Bool](repeating: false, count: TLB.tableCount * TLB.entryCount)

    func contains(table: Int, slot: Int) -> Bool { bits[table &* TLB.entryCount &+ slot] }
    mutating func set(table: Int, slot: Int, _ value: Bool) { bits[table &* TLB.entryCount &+ slot] = value }
    mutating func removeAll() { for index in bits.indices { bits[index] = false } }
}
