import GuestMemory
import X86

/// What a memory access is for.
enum MemoryAccess: UInt8 {
    case read
    case write
    case fetch
}

/// The outcome of a successful translation of a linear address.
struct PageWalk {
    /// The physical address of the byte asked for.
    var physical: UInt64
    /// The host address of the page's first byte, or nil where the page is not memory.
    var host: UnsafeMutableRawPointer?
    var isReadOnlyRegion: Bool
    var isGlobal: Bool
    /// The page has 2 to this power bytes.
    var sizeBits: UInt64
    var isLarge: Bool { sizeBits != 12 }
}

extension Core {
    /// Physical address bits that exist; higher ones are reserved in page-table entries (CPUID 0x80000008).
    static let physicalAddressBits: UInt64 = 40

    /// Translates `linear` by the current paging mode, checks rights by the rules of TLB table `rules`, and sets the accessed
    /// and dirty bits (SDM 3A §4).
    ///
    /// - Throws: #PF with its error code; for a non-canonical address in long mode #GP(0).
    func walk(_ linear: UInt64, _ access: MemoryAccess, rules: Int) throws(Fault) -> PageWalk {
        let s = state
        guard s.cr0 & CR0.paging != 0 else { return page(linear & 0xFFFF_FFFF, isGlobal: false, sizeBits: 12) }
        services.counters.pageWalks &+= 1
        if s.efer & EFER.longModeActive != 0 {
            guard isCanonical(linear) else {
                // The address tells the run loop that this was the operand's fault, which is #SS on the stack segment.
                throw Fault(kind: .exceptionWithCode, vector: ExceptionVector.generalProtection, address: linear)
            }
            return try walkLong(linear, access, rules)
        }
        return s.cr4 & CR4.pae != 0
            ? try walkPAE(linear & 0xFFFF_FFFF, access, rules) : try walk32(linear & 0xFFFF_FFFF, access, rules)
    }

    /// The page at physical address `physical`, in RAM or not.
    func page(_ physical: UInt64, isGlobal: Bool, sizeBits: UInt64) -> PageWalk {
        // The A20 gate is always open: no guest of ours needs the wrap at 1 MiB.
        var walk = PageWalk(
            physical: physical,
            host: nil,
            isReadOnlyRegion: false,
            isGlobal: isGlobal,
            sizeBits: sizeBits
        )
        if let region = services.memory.region(holding: GuestAddress(physical)) {
            walk.host = services.memory.hostBase + region.fileOffset + Int((physical & ~0xFFF) &- region.base.rawValue)
            walk.isReadOnlyRegion = region.isReadOnly
        }
        return walk
    }

    private func walkLong(_ linear: UInt64, _ access: MemoryAccess, _ rules: Int) throws(Fault) -> PageWalk {
        let upper = try entry64(
            (state.cr3 & 0xF_FFFF_FFFF_F000) &+ (linear >> 39 & 511) &* 8,
            linear,
            access,
            rules,
            level: 4
        )
        var rights = Rights(upper.value)
        let pointers = try entry64(upper.next &+ (linear >> 30 & 511) &* 8, linear, access, rules, level: 3)
        rights.narrow(pointers.value)
        if pointers.value & PageBits.large != 0 {
            return try finish(pointers, rights, linear, offsetBits: 30, access, rules)
        }
        return try walkDirectory(pointers.next, rights, linear, access, rules)
    }

    private func walkPAE(_ linear: UInt64, _ access: MemoryAccess, _ rules: Int) throws(Fault) -> PageWalk {
        let pointer = state[field: Layout.pdptes + Int(linear >> 30) * 8]
        guard pointer & PageBits.present != 0 else { throw pageFault(linear, access, rules, 0) }
        return try walkDirectory(pointer & 0xFF_FFFF_F000, Rights.all, linear, access, rules)
    }

    private func walkDirectory(
        _ base: UInt64,
        _ narrowed: Rights,
        _ linear: UInt64,
        _ access: MemoryAccess,
        _ rules: Int
    ) throws(Fault) -> PageWalk {
        var rights = narrowed
        let directory = try entry64(base &+ (linear >> 21 & 511) &* 8, linear, access, rules, level: 2)
        rights.narrow(directory.value)
        if directory.value & PageBits.large != 0 {
            return try finish(directory, rights, linear, offsetBits: 21, access, rules)
        }
        let table = try entry64(directory.next &+ (linear >> 12 & 511) &* 8, linear, access, rules, level: 1)
        rights.narrow(table.value)
        return try finish(table, rights, linear, offsetBits: 12, access, rules)
    }

    private func walk32(_ linear: UInt64, _ access: MemoryAccess, _ rules: Int) throws(Fault) -> PageWalk {
        let directoryAddress = (state.cr3 & 0xFFFF_F000) &+ (linear >> 22) &* 4
        let directory = UInt64(loadPhysical32(directoryAddress))
        guard directory & PageBits.present != 0 else { throw pageFault(linear, access, rules, 0) }
        var rights = Rights(directory)
        var entry = Entry(address: directoryAddress, value: directory, isWide: false)
        if directory & PageBits.large != 0, state.cr4 & CR4.pse != 0 {
            // PSE-36: bits 20:13 are physical bits 39:32; bit 21 is reserved.
            guard directory & 1 << 21 == 0 else {
                throw pageFault(linear, access, rules, PageBits.faultPresent | PageBits.faultReserved)
            }
            entry.value = directory & 0xFFC0_1FFF | (directory >> 13 & 0xFF) << 32
            return try finish(entry, rights, linear, offsetBits: 22, access, rules)
        }
        setAccessed(&entry)
        let tableAddress = (directory & 0xFFFF_F000) &+ (linear >> 12 & 1023) &* 4
        let value = UInt64(loadPhysical32(tableAddress))
        guard value & PageBits.present != 0 else { throw pageFault(linear, access, rules, 0) }
        rights.narrow(value)
        return try finish(
            Entry(address: tableAddress, value: value, isWide: false),
            rights,
            linear,
            offsetBits: 12,
            access,
            rules
        )
    }

    /// An entry as read, where it was read from, and its size.
    private struct Entry {
        var address: UInt64
        var value: UInt64
        var isWide: Bool
        var next: UInt64 { value & 0xFF_FFFF_F000 }
    }

    /// What every level allows.
    private struct Rights {
        var bits: UInt64
        var noExecute: Bool
        static let all = Rights(PageBits.writable | PageBits.user)
        init(_ entry: UInt64) {
            bits = entry & (PageBits.writable | PageBits.user)
            noExecute = entry & PageBits.noExecute != 0
        }
        mutating func narrow(_ entry: UInt64) {
            bits &= entry
            noExecute = noExecute || entry & PageBits.noExecute != 0
        }
    }

    /// Reads and checks the entry at `address` of a table of `level`: 4 for PML4 down to 1 for a page table.
    private func entry64(
        _ address: UInt64,
        _ linear: UInt64,
        _ access: MemoryAccess,
        _ rules: Int,
        level: Int
    ) throws(Fault) -> Entry {
        var entry = Entry(address: address, value: loadPhysical64(address), isWide: true)
        guard entry.value & PageBits.present != 0 else { throw pageFault(linear, access, rules, 0) }
        var reserved: UInt64 = 0xF_FFFF_FFFF_F000 & ~((1 << Core.physicalAddressBits) &- 1)
        if state.efer & EFER.noExecuteEnable == 0 { reserved |= PageBits.noExecute }
        // Without long mode bits 62:52 are reserved as well (SDM 3A tables 4-9 to 4-11); with it they are software's.
        if state.efer & EFER.longModeActive == 0 { reserved |= 0x7FF0_0000_0000_0000 }
        let isLarge = entry.value & PageBits.large != 0 && level > 1
        switch level {
        case 4: reserved |= PageBits.large
        // The leaf of a large page: its low address bits but for PAT (bit 12) are reserved.
        case 3 where isLarge: reserved |= 0x3FFF_E000
        case 2 where isLarge: reserved |= 0x1F_E000
        default: break
        }
        guard entry.value & reserved == 0 else {
            throw pageFault(linear, access, rules, PageBits.faultPresent | PageBits.faultReserved)
        }
        // A leaf's accessed bit is set with its dirty bit, once the rights are known to suffice.
        if !isLarge, level > 1 { setAccessed(&entry) }
        return entry
    }

    private func setAccessed(_ entry: inout Entry) {
        guard entry.value & PageBits.accessed == 0 else { return }
        entry.value |= PageBits.accessed
        setBits(entry, PageBits.accessed)
    }

    private func setBits(_ entry: Entry, _ bits: UInt64) {
        if let journal = services.journal,
            let pointer = services.memory.hostPointer(at: GuestAddress(entry.address), byteCount: 8)
        {
            journal.noteWalk(pointer)
        }
        storePhysical8(entry.address, UInt8(truncatingIfNeeded: UInt64(loadPhysical8(entry.address)) | bits))
    }

    private func finish(
        _ entry: Entry,
        _ rights: Rights,
        _ linear: UInt64,
        offsetBits: UInt64,
        _ access: MemoryAccess,
        _ rules: Int
    ) throws(Fault) -> PageWalk {
        let s = state
        let isUserPage = rights.bits & PageBits.user != 0
        var allowed: Bool
        if rules == TLB.user {
            allowed = isUserPage && (access != .write || rights.bits & PageBits.writable != 0)
        } else {
            allowed = access != .write || rights.bits & PageBits.writable != 0 || s.cr0 & CR0.writeProtect == 0
            if isUserPage {
                if access == .fetch {
                    allowed = allowed && s.cr4 & CR4.smep == 0
                } else {
                    allowed = allowed && (s.cr4 & CR4.smap == 0 || rules == TLB.supervisorWithAC)
                }
            }
        }
        if access == .fetch, rights.noExecute { allowed = false }
        guard allowed else { throw pageFault(linear, access, rules, PageBits.faultPresent) }
        var bits = PageBits.accessed
        if access == .write { bits |= PageBits.dirty }
        if entry.value & bits != bits { setBits(entry, bits) }
        let mask = (1 << offsetBits) &- 1 as UInt64
        let physical = entry.value & 0xFF_FFFF_F000 & ~mask | linear & mask
        let isGlobal = entry.value & PageBits.global != 0 && s.cr4 & CR4.pge != 0
        return page(physical, isGlobal: isGlobal, sizeBits: offsetBits)
    }

    private func pageFault(_ linear: UInt64, _ access: MemoryAccess, _ rules: Int, _ bits: UInt32) -> Fault {
        var code = bits
        if access == .write { code |= PageBits.faultWrite }
        if rules == TLB.user { code |= PageBits.faultUser }
        if access == .fetch, state.efer & EFER.noExecuteEnable != 0 || state.cr4 & CR4.smep != 0 {
            code |= PageBits.faultFetch
        }
        return .pageFault(linear, code: code)
    }
}
