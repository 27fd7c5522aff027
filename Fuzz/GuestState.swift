import GuestMemory
import X86

/// Fills guest memory and a vCPU with a random state that a guest could have brought about.
struct GuestState {
    let memory: GuestMemory
    /// What ``scramble(_:_:)`` chooses from.
    var modes = Mode.allCases

    func put(_ bytes: [UInt8], at address: UInt64) { try? memory.copyIn(bytes, at: GuestAddress(address)) }
    func put(_ value: UInt64, at address: UInt64) { try? memory.store(value, at: GuestAddress(address)) }

    func put32(_ value: UInt32, at address: UInt64) { try? memory.store(value, at: GuestAddress(address)) }

    // MARK: Memory

    /// Code, data and tables; `part` of the times only some code.
    func fill(_ random: inout RandomSource, everything: Bool) {
        let codeByteCount = everything ? Layout.codeByteCount : 0x1000
        let offset = everything ? 0 : UInt64(random.below(Layout.codeByteCount / 0x1000)) * 0x1000
        put(InstructionSource.code(&random, byteCount: codeByteCount), at: Layout.code + offset)
        guard everything else { return }
        put(random.bytes(0x1000), at: Layout.stack)
        put(random.bytes(0x1000), at: Layout.taskState)
        fillDescriptors(&random)
        fillGates(&random)
        fillTask(&random)
        fillPages(&random)
    }

    private func descriptor(base: UInt64, limit: UInt64, attributes: UInt64) -> UInt64 {
        limit & 0xFFFF | (base & 0xFF_FFFF) << 16 | (attributes & 0xF0FF) << 40 | (limit >> 16 & 15) << 48
            | (base >> 24 & 0xFF) << 56
    }

    /// The first sixteen descriptors: flat segments of all kinds, and a few of the system's.
    private func usualDescriptor(_ index: Int) -> UInt64 {
        let attributes: [UInt64] = [
            0, 0xA09B, 0xC093, 0xC09B, 0xC093, 0x009B, 0x0093, 0xA0FB, 0xC0F3, 0xC0FB, 0x00FB, 0x00F3, 0x0089, 0,
            0x0081, 0x0082,
        ]
        let isSystem = index >= 12
        return descriptor(
            base: isSystem ? Layout.taskState + UInt64(index - 12) * 0x100 : 0,
            limit: isSystem ? 0x3FF : 0xFFFFF,
            attributes: attributes[index]
        )
    }

    func fillUsualDescriptors() {
        for index in 0..<16 { put(usualDescriptor(index), at: Layout.globalTable + UInt64(index) * 8) }
    }

    /// Sixteen descriptors that make sense and 240 that may not.
    private func fillDescriptors(_ random: inout RandomSource) {
        for index in 0..<256 {
            let place = Layout.globalTable + UInt64(index) * 8
            if index < 16, !random.oneIn(20) {
                put(usualDescriptor(index), at: place)
            } else if random.oneIn(2) {
                put(gate(&random), at: place)
            } else {
                put(
                    descriptor(
                        base: random.number() & 0xFF_FFFF,
                        limit: random.next(),
                        attributes: random.next() & ~0x80 | (random.oneIn(8) ? 0 : 0x80)
                    ),
                    at: place
                )
            }
        }
        if !random.oneIn(4) { put(0, at: Layout.globalTable + 13 * 8) }
    }

    private func gate(_ random: inout RandomSource) -> UInt64 {
        let offset = Layout.code + UInt64(random.below(Layout.codeByteCount))
        let selector = UInt64(random.oneIn(8) ? random.below(0x10000) : random.below(16) * 8 + random.below(4))
        let type =
            random.oneIn(8)
            ? random.next() & 15 : random.pick([0xE, 0xF, 0xE, 0xF, 0x6, 0x7, 0x5, 0xC, 0x4] as [UInt64])
        let attributes = type | (random.oneIn(16) ? 0 : 0x80) | (random.next() & 3) << 5
        return offset & 0xFFFF | selector << 16 | (random.next() & 7) << 32 | attributes << 40 | (offset >> 16) << 48
    }

    private func fillGates(_ random: inout RandomSource) {
        let isWide = random.oneIn(2)
        for index in 0..<256 as Range<UInt64> {
            if isWide {
                var low = gate(&random) & ~(0xFFF8 << 16)
                low |= UInt64(random.pick([1, 1, 1, 7, 3])) << 19
                put(low, at: Layout.interruptTable + index * 16)
                put(random.oneIn(32) ? random.next() : 0, at: Layout.interruptTable + index * 16 + 8)
            } else {
                put(gate(&random), at: Layout.interruptTable + index * 8)
            }
        }
        // The interrupt table of real mode.
        for index in 0..<256 as Range<UInt64> {
            let target = UInt32((Layout.code >> 4) << 16) | UInt32(random.below(0x10000))
            try? memory.store(target, at: GuestAddress(index * 4))
        }
    }

    /// Stacks and pages of a task-state segment of any width.
    private func fillTask(_ random: inout RandomSource) {
        for place in stride(from: Layout.taskState, to: Layout.taskState + 0x400, by: 4) where !random.oneIn(16) {
            let value: UInt64 =
                switch random.below(4) {
                case 0: Layout.stack + UInt64(random.below(0x1000))
                case 1: Layout.code + UInt64(random.below(Layout.codeByteCount))
                case 2: UInt64(random.below(16) * 8 + random.below(4))
                default: 0
                }
            try? memory.store(UInt32(truncatingIfNeeded: value), at: GuestAddress(place))
        }
    }

    /// Tables of the three kinds of paging, which map most of the first MiBs to themselves and the rest to anything.
    private func fillPages(_ random: inout RandomSource) {
        let base = Layout.pageTables
        func flags() -> UInt64 {
            if random.oneIn(24) { return random.next() & 0x8000_0000_0000_0FFF }
            return 0x67 | (random.oneIn(8) ? 0x100 : 0) | (random.oneIn(16) ? 1 << 63 : 0)
        }
        func target(_ index: Int) -> UInt64 {
            if random.oneIn(16) { return random.number() & 0xFF_FFFF_F000 }
            return UInt64(index) << 12
        }
        for index in 0..<512 {
            let offset = UInt64(index * 8)
            put(
                index == 511
                    ? base | flags() : random.oneIn(4) ? base + 0x1000 | flags() : random.oneIn(8) ? random.next() : 0,
                at: base + offset
            )
            put(index < 4 || random.oneIn(4) ? base + 0x2000 | flags() : random.next() & ~1, at: base + 0x1000 + offset)
            let large = UInt64(index) << 21 | flags() & ~0x100 | 0x80
            put(index < 2 || random.oneIn(2) ? base + 0x3000 | flags() : large, at: base + 0x2000 + offset)
            put(target(index) | flags(), at: base + 0x3000 + offset)
            put(target(index) | flags(), at: base + 0x5000 + offset)
        }
        put(base + 0x1000 | 0x67, at: base)
        for index in 0..<1024 {
            let page = UInt32(truncatingIfNeeded: flags()) & 0xFFF
            let entry =
                index == 1023
                ? UInt32(base + 0x4000) : random.oneIn(4) ? UInt32(index) << 22 | 0x80 : UInt32(base + 0x6000)
            try? memory.store(entry | page, at: GuestAddress(base + 0x4000 + UInt64(index) * 4))
            try? memory.store(
                UInt32(truncatingIfNeeded: target(index)) | page,
                at: GuestAddress(base + 0x6000 + UInt64(index) * 4)
            )
        }
        for index in 0..<4 as Range<UInt64> {
            put(base + 0x2000 | (random.oneIn(16) ? 0 : 1), at: base + 0x7000 + index * 8)
        }
    }

    /// A page-table entry becomes another.
    func changePage(_ random: inout RandomSource) {
        let table = Layout.pageTables + UInt64(random.pick([0x3000, 0x3000, 0x5000]))
        let index = UInt64(random.below(512))
        let rights: UInt64 = random.oneIn(4) ? random.next() & 0x8000_0000_0000_0067 : 0x67
        let target = random.oneIn(3) ? UInt64(random.below(Layout.ramByteCount >> 12)) : index
        put(target << 12 | rights, at: table + index * 8)
    }

    /// Some bytes of the code become others.
    func changeCode(_ random: inout RandomSource) {
        let offset = UInt64(random.below(Layout.codeByteCount - 32))
        put(InstructionSource.code(&random, byteCount: 1 + random.below(24)), at: Layout.code + offset)
    }

    // MARK: Registers

    enum Mode: CaseIterable {
        case real, virtual8086, protected16, protected32, pagedProtected, pae, compatibility, long, longUser
    }

    /// Registers of a mode taken at random, which is returned.
    func scramble(_ s: CPUState, _ random: inout RandomSource) -> Mode {
        let mode = random.pick(modes)
        for index in 0..<16 { s[index] = random.number() }
        s[4] = Layout.stack + UInt64(random.below(0x2000)) & ~(random.oneIn(4) ? 0 : 7)
        if random.oneIn(2) { s.rcx = UInt64(random.below(0x40)) }
        if random.oneIn(4) {
            s.rcx = random.pick([
                0x10, 0x1B, 0x174, 0x277, 0x6E0, 0x800 + UInt64(random.below(0x40)),
                0xC000_0080 + UInt64(random.below(5)), 0x4B56_4D00,
            ])
        }
        if random.oneIn(2) { s.rdx = UInt64(random.pick(Layout.ports)) }
        s.rip = Layout.code + UInt64(random.below(Layout.codeByteCount))
        var flags = random.next() & (RFlags.arithmetic | RFlags.df | RFlags.iopl | RFlags.id | RFlags.interruptEnable)
        if random.oneIn(16) {
            flags |= random.next() & (RFlags.tf | RFlags.nt | RFlags.ac | RFlags.rf | RFlags.vif | RFlags.vip)
        }
        let isLong = mode == .long || mode == .longUser || mode == .compatibility
        let isPaged = isLong || mode == .pagedProtected || mode == .pae || mode == .virtual8086 && random.oneIn(2)
        let usesPAE = isLong || mode == .pae
        s.cr0 = CR0.extensionType | (mode == .real ? 0 : CR0.protectionEnable) | (isPaged ? CR0.paging : 0)
        if random.oneIn(2) { s.cr0 |= CR0.writeProtect }
        if random.oneIn(2) { s.cr0 |= CR0.numericError | CR0.alignmentMask }
        if random.oneIn(16) { s.cr0 |= random.next() & (CR0.taskSwitched | CR0.emulation | CR0.monitorCoprocessor) }
        s.cr4 = CR4.osfxsr | CR4.osxmmexcpt | CR4.osxsave | CR4.pse
        s.cr4 ^=
            random.oneIn(4)
            ? random.next()
                & (CR4.vme | CR4.pvi | CR4.tsd | CR4.de | CR4.pge | CR4.umip | CR4.fsgsbase | CR4.osxsave | CR4.osfxsr)
            : 0
        if random.oneIn(8) { s.cr4 |= random.next() & (CR4.smep | CR4.smap) }
        if usesPAE { s.cr4 |= CR4.pae }
        if isLong, random.oneIn(4) { s.cr4 |= CR4.pcide }
        s.efer =
            (isLong ? EFER.longModeEnable | EFER.longModeActive : 0) | EFER.systemCallExtensions
            | (random.oneIn(2) ? EFER.noExecuteEnable : 0)
        s.cr3 = isLong ? Layout.pageTables : usesPAE ? Layout.pageTables + 0x7000 : Layout.pageTables + 0x4000
        s.cr2 = random.number()
        s.xcr0 = random.oneIn(4) ? 1 : 7
        s.gdtBase = Layout.globalTable
        s.gdtLimit = random.oneIn(8) ? UInt32(random.below(0x10000)) : 0x7FF
        s.idtBase = mode == .real ? 0 : Layout.interruptTable
        s.idtLimit = mode == .real ? 0x3FF : random.oneIn(8) ? UInt32(random.below(0x10000)) : 0xFFF
        s.lstar = Layout.code + UInt64(random.below(Layout.codeByteCount))
        s.cstar = s.lstar
        s.star = random.oneIn(2) ? 0x0013_0008 << 32 : random.next()
        s.sysenterCS = random.oneIn(2) ? 8 : random.next() & 0xFFFF
        s.sysenterEIP = s.lstar
        s.sysenterESP = Layout.stack
        s.setDebugRegister(7, random.oneIn(16) ? random.next() & 0xFFFF_23FF | 0x400 : 0x400)
        for index in 0..<4 {
            s.setDebugRegister(index, random.oneIn(2) ? s.rip &+ UInt64(random.below(64)) : random.number())
        }
        let user = mode == .longUser || mode == .virtual8086 || mode != .real && random.oneIn(4)
        s.cpl = user ? 3 : 0
        if mode == .virtual8086 { flags |= RFlags.vm }
        s.rflags = flags | 2
        setSegments(s, mode, isUser: user, &random)
        s.interruptShadow = random.oneIn(16) ? UInt8(random.below(3)) : 0
        s.activity = .active
        return mode
    }

    private func setSegments(_ s: CPUState, _ mode: Mode, isUser: Bool, _ random: inout RandomSource) {
        let level: UInt16 = isUser ? 3 : 0
        let access: UInt16 = isUser ? 0xFB : 0x9B
        switch mode {
        case .real, .virtual8086:
            let attributes: UInt16 = mode == .real ? 0x93 : 0xF3
            for register in [SegmentRegister.es, .ds, .fs, .gs, .ss] {
                let selector = UInt16(random.below(0x7000))
                s[register] = Segment(
                    base: UInt64(selector) << 4,
                    limit: mode == .real && random.oneIn(8) ? .max : 0xFFFF,
                    attributes: attributes,
                    selector: selector
                )
            }
            s[.cs] = Segment(
                base: Layout.code,
                limit: 0xFFFF,
                attributes: mode == .real ? 0x9B : 0xF3,
                selector: UInt16(Layout.code >> 4)
            )
            s.rip &= 0xFFFF
            s[4] &= 0xFFFF
        default:
            let selector: UInt16 = mode == .long ? 8 : mode == .longUser ? 0x38 : isUser ? 0x48 : 0x18
            let shape: UInt16 = mode == .long || mode == .longUser ? 0xA000 : mode == .protected16 ? 0 : 0xC000
            let isSmall = mode == .protected16
            s[.cs] = Segment(
                base: isSmall ? Layout.code : 0,
                limit: isSmall ? 0xFFFF : .max,
                attributes: shape | access,
                selector: selector | level
            )
            if isSmall { s.rip &= 0xFFFF }
            for register in [SegmentRegister.es, .ds, .fs, .gs, .ss] {
                var segment = Segment(
                    base: 0,
                    limit: .max,
                    attributes: isUser ? 0xC0F3 : 0xC093,
                    selector: (isUser ? 0x40 : 0x10) | level
                )
                if register != .ss, random.oneIn(8) {
                    segment =
                        random.oneIn(2)
                        ? Segment(base: 0, limit: 0, attributes: 0, selector: 0)
                        : Segment(
                            base: random.number() & 0xFF_FFFF,
                            limit: UInt32(random.below(0x10_0000)),
                            attributes: isUser ? 0xC0F7 : 0xC097,
                            selector: 0x20 | level
                        )
                }
                s[register] = segment
            }
        }
        let isLong = mode == .long || mode == .longUser || mode == .compatibility
        s[.tr] = Segment(
            base: Layout.taskState,
            limit: 0x3FF,
            attributes: isLong || !random.oneIn(4) ? 0x8B : 0x83,
            selector: 0x60
        )
        s[.ldtr] = Segment(
            base: Layout.globalTable,
            limit: random.oneIn(4) ? 0 : 0x7F,
            attributes: random.oneIn(4) ? 0 : 0x82,
            selector: 0x78
        )
    }
}
