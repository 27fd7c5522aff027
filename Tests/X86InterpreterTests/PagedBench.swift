import Engine
import GuestMemory
import X86

@testable import X86Interpreter

/// A vCPU in 64-bit mode at CPL 0 with paging: four tables from 0x1000 for the first 2 MiB, three more for the last, and one
/// large page at 2 MiB.
struct PagedBench {
    let memory: GuestMemory
    let codeCache: InterpreterCodeCache
    let cpu: Interpreter
    var core: Core { cpu.core }
    var state: CPUState { cpu.state }

    /// Where the large page lies.
    static let large: UInt64 = 0x20_0000
    static let largePhysical: UInt64 = 0x40_0000
    static let lastPage: UInt64 = 0xFFFF_FFFF_FFFF_F000

    init() throws {
        memory = try GuestMemory(byteCount: 8 << 20)
        codeCache = try InterpreterCodeCache(memory: memory)
        cpu = try Interpreter(
            memory: memory,
            controller: SilentController(),
            clock: StoppedClock(),
            model: CPUModel(
                name: "",
                summary: "",
                vendor: "",
                brand: "",
                signature: 0,
                features: CPUFeatureSet(CPUFeature.allCases)
            ),
            codeCache: codeCache,
            identifier: 0,
            cpuCount: 1
        )
        for (entry, value) in [(0x1000, 0x2003), (0x2000, 0x3003), (0x3000, 0x4003)] as [(UInt64, UInt64)] {
            try memory.store(value, at: GuestAddress(entry))
        }
        for (entry, value) in [(0x1FF8, 0x5003), (0x5FF8, 0x6003), (0x6FF8, 0x7003)] as [(UInt64, UInt64)] {
            try memory.store(value, at: GuestAddress(entry))
        }
        try memory.store(Self.largePhysical | 0x83, at: GuestAddress(0x3008))
        let s = state
        s.cr0 = CR0.protectionEnable | CR0.paging | CR0.writeProtect | CR0.extensionType
        s.cr3 = 0x1000
        s.cr4 = CR4.pae | CR4.pge
        s.efer = EFER.longModeEnable | EFER.longModeActive
        s[.cs] = Segment(base: 0, limit: 0xFFFF_FFFF, attributes: 0xA09B, selector: 8)
        s.activity = .active
        cpu.stateChanged()
    }

    /// Maps the page of `linear`, which lies in the first or the last 2 MiB, to `physical`; 0 unmaps it.
    func map(_ linear: UInt64, _ physical: UInt64, isGlobal: Bool = false) throws {
        let table: UInt64 = linear >> 63 == 0 ? 0x4000 : 0x7000
        let bits = PageBits.present | PageBits.writable | (isGlobal ? PageBits.global : 0)
        try memory.store(physical == 0 ? 0 : physical | bits, at: GuestAddress(table + (linear >> 12 & 511) * 8))
    }

    /// What an instruction reads at `linear`, or nil if it faults.
    func load(_ linear: UInt64) -> UInt64? { try? core.load(UInt64.self, linear) }

    func holds(_ linear: UInt64, _ tag: Int = TLB.readTag, table: Int = TLB.supervisor) -> Bool {
        core.hits(core.tlbEntry(linear, table: table), tag, last: linear)
    }

    func viewID(_ linear: UInt64) -> UInt64 {
        core.tlbEntry(linear, table: TLB.supervisor).load(fromByteOffset: TLB.viewID, as: UInt64.self)
    }

    func setViewID(_ linear: UInt64, _ value: UInt64) {
        core.tlbEntry(linear, table: TLB.supervisor).storeBytes(of: value, toByteOffset: TLB.viewID, as: UInt64.self)
    }

    var translationEpoch: UInt64 { state[field: Layout.translationEpoch] }
    var flushCount: UInt64 { core.services.counters.tlbFlushes }

    /// Puts `bytes` at linear and physical address 0x10000, and RIP there.
    func place(_ bytes: [UInt8]) throws {
        try memory.copyIn(bytes, at: GuestAddress(0x10000))
        try map(0x10000, 0x10000)
        state.rip = 0x10000
    }
}
