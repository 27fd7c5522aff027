import X86
import X86Decoder

/// The state components that XSAVE knows here (SDM 1 §13.1), a bit each as in XCR0.
enum StateComponent {
    static let x87: UInt64 = 1
    static let sse: UInt64 = 2
    static let avx: UInt64 = 4
    /// XCOMP_BV: the area is in compacted form.
    static let compacted: UInt64 = 1 << 63
    static let headerOffset = 512
    static let avxOffset = 576
    static let byteCount = 832
}

extension Core {
    /// FXSAVE, FXRSTOR, LDMXCSR, STMXCSR and the XSAVE family.
    func extendedState(_ i: Instruction, _ plan: UnsafePointer<VectorPlan>) throws(Fault) {
        let encoding = plan.pointee.encoding
        let isWide = encoding.w
        switch (encoding.opcode, encoding.group) {
        case (0xAE, 2):
            let value = try load(UInt32.self, try linearAddress(i, 4, write: false))
            guard value & 0xFFFF_0000 == 0 else { throw .generalProtection() }
            state.mxcsr = value
        case (0xAE, 3): try store(state.mxcsr, try linearAddress(i, 4, write: true))
        case (0xAE, 0): try fxsave(i, isWide: isWide)
        case (0xAE, 1): try fxrstor(i, isWide: isWide)
        case (0xAE, 4): try xsave(i, isWide: isWide, skipsInitial: false, compacts: false)
        case (0xAE, 6): try xsave(i, isWide: isWide, skipsInitial: true, compacts: false)
        case (0xC7, 4): try xsave(i, isWide: isWide, skipsInitial: true, compacts: true)
        case (0xC7, 5):
            try checkXSAVE()
            guard state.cpl == 0 else { throw .generalProtection() }
            try xsave(i, isWide: isWide, skipsInitial: true, compacts: true)
        case (0xAE, 5): try xrstor(i, isWide: isWide, needsCompacted: false)
        case (0xC7, 3):
            try checkXSAVE()
            guard state.cpl == 0 else { throw .generalProtection() }
            try xrstor(i, isWide: isWide, needsCompacted: true)
        default: throw .invalidOpcode
        }
    }

    /// The components that are not in their initial configuration (XINUSE, SDM 1 §13.6; what XGETBV with ECX = 1 masks).
    var componentsInUse: UInt64 {
        var set: UInt64 = 0
        if x87Control != 0x37F || x87Status != 0 || x87Tags != 0 || x87Opcode != 0 || x87InstructionPointer != 0
            || x87DataPointer != 0 || !isZero(CPUState.xsaveOffset + 32, 128)
        {
            set |= StateComponent.x87
        }
        if !isZero(VectorRegister.low(0), 256) { set |= StateComponent.sse }
        if !isZero(VectorRegister.high(0), 256) { set |= StateComponent.avx }
        return set
    }

    private func isZero(_ offset: Int, _ byteCount: Int) -> Bool {
        var bits = VectorHalf()
        for at in stride(from: offset, to: offset + byteCount, by: 16) {
            bits |= raw.load(fromByteOffset: at, as: VectorHalf.self)
        }
        return bits == VectorHalf()
    }

    // MARK: FXSAVE

    private func fxArea(_ i: Instruction, write: Bool) throws(Fault) -> UInt64 {
        guard state.cr0 & (CR0.emulation | CR0.taskSwitched) == 0 else { throw .deviceNotAvailable }
        let linear = try linearAddress(i, 512, write: write)
        guard linear & 15 == 0 else { throw .generalProtection() }
        return linear
    }

    /// Bytes up to the last XMM register that the mode has.
    private var legacyByteCount: Int { 160 + vectorRegisterCount * 16 }

    private func fxsave(_ i: Instruction, isWide: Bool) throws(Fault) {
        let linear = try fxArea(i, write: true)
        // All 512 bytes are accessed, though the last are not written.
        try probe(linear, first: 0, last: 511, write: true)
        packLegacy(isWide: isWide)
        try storeBytes(linear, from: raw + VectorScratch.area, legacyByteCount)
    }

    private func fxrstor(_ i: Instruction, isWide: Bool) throws(Fault) {
        let linear = try fxArea(i, write: false)
        try probe(linear, first: 0, last: 511, write: false)
        try loadBytes(linear, into: raw + VectorScratch.area, 512)
        let mxcsr = state[dword: VectorScratch.area + 24]
        guard mxcsr & 0xFFFF_0000 == 0 else { throw .generalProtection() }
        unpackX87(isWide: isWide)
        state.mxcsr = mxcsr
        (raw + VectorRegister.low(0)).copyMemory(
            from: raw + VectorScratch.area + 160,
            byteCount: vectorRegisterCount * 16
        )
    }

    /// Writes the legacy area as FXSAVE (`isWide`: FXSAVE64) lays it out to ``VectorScratch/area``.
    private func packLegacy(isWide: Bool) {
        let s = state
        let area = VectorScratch.area
        s[dword: CPUState.xsaveOffset + 28] = 0xFFFF
        (raw + area).copyMemory(from: raw + CPUState.xsaveOffset, byteCount: 512)
        if !isWide {
            s[field: area + 8] = x87InstructionPointer & 0xFFFF_FFFF
            s[field: area + 16] = x87DataPointer & 0xFFFF_FFFF
        }
    }

    /// Takes the x87 state from the image at ``VectorScratch/area``.
    private func unpackX87(isWide: Bool) {
        let s = state
        let area = VectorScratch.area
        x87Control = raw.load(fromByteOffset: area, as: UInt16.self) & 0x1F7F | 0x40
        x87Status = raw.load(fromByteOffset: area + 2, as: UInt16.self)
        x87Tags = UInt16(s[byte: area + 4])
        x87Opcode = raw.load(fromByteOffset: area + 6, as: UInt16.self) & 0x7FF
        let instruction = s[field: area + 8]
        let data = s[field: area + 16]
        // The instruction pointer is made canonical, the data pointer is not.
        x87InstructionPointer =
            isWide ? UInt64(bitPattern: Int64(bitPattern: instruction << 16) >> 16) : instruction & 0xFFFF_FFFF
        x87DataPointer = isWide ? data : data & 0xFFFF_FFFF
        for index in 0..<8 {
            s[field: VectorRegister.x87(index)] = s[field: area + 32 + index * 16]
            s[field: VectorRegister.x87(index) + 8] = s[field: area + 40 + index * 16] & 0xFFFF
        }
        updateX87Summary()
    }

    // MARK: XSAVE

    private func checkXSAVE() throws(Fault) {
        guard state.cr4 & CR4.osxsave != 0 else { throw .invalidOpcode }
        guard state.cr0 & CR0.taskSwitched == 0 else { throw .deviceNotAvailable }
    }

    /// The components asked for: EDX:EAX and XCR0.
    ///
    /// IA32_XSS is always 0.
    private var requested: UInt64 { (state.rdx << 32 | state.rax & 0xFFFF_FFFF) & state.xcr0 }

    /// The linear address of an XSAVE area with room for `components`, aligned as it must be.
    private func xsaveArea(_ i: Instruction, _ components: UInt64, write: Bool) throws(Fault) -> UInt64 {
        let linear = try linearAddress(i, lastByte(components) + 1, write: write)
        guard linear & 63 == 0 else { throw .generalProtection() }
        return linear
    }

    /// The last byte of an area that is accessed for `components`: that of AVX, or of the header.
    private func lastByte(_ components: UInt64) -> Int {
        components & StateComponent.avx != 0 ? StateComponent.byteCount - 1 : StateComponent.avxOffset - 1
    }

    /// The first byte that is accessed for `components`: that of x87, MXCSR, or the header.
    ///
    /// `avxHasMXCSR`: MXCSR belongs to AVX too, as in the standard format.
    private func firstByte(_ components: UInt64, avxHasMXCSR: Bool) -> Int {
        if components & StateComponent.x87 != 0 { return 0 }
        let owners = avxHasMXCSR ? StateComponent.sse | StateComponent.avx : StateComponent.sse
        return components & owners != 0 ? 24 : StateComponent.headerOffset
    }

    /// Proves that an area can be accessed from byte `first` to byte `last`, which lie in at most two pages.
    ///
    /// Intel's CPUs try the last byte before the first.
    private func probe(_ linear: UInt64, first: Int, last: Int, write: Bool) throws(Fault) {
        try checkCanonical(linear, last: last)
        for offset in [last, first] {
            let address = wrapLinear(linear &+ UInt64(offset))
            if write {
                try checkWritable(address, 1, rules: ruleTable)
            } else {
                _ = try load(UInt8.self, address)
            }
        }
    }

    /// XSAVE, XSAVEOPT, XSAVEC and XSAVES (SDM 1 §13.7 to §13.11).
    ///
    /// The modified optimisation is not used.
    private func xsave(_ i: Instruction, isWide: Bool, skipsInitial: Bool, compacts: Bool) throws(Fault) {
        try checkXSAVE()
        let s = state
        let wanted = requested
        let linear = try xsaveArea(i, wanted, write: true)
        let first = firstByte(wanted, avxHasMXCSR: !compacts)
        try probe(linear, first: first, last: lastByte(wanted), write: true)
        var used = componentsInUse
        if compacts, s.mxcsr != 0x1F80 { used |= StateComponent.sse }
        var header: UInt64 = 0
        if !compacts { header = try load(UInt64.self, linear &+ UInt64(StateComponent.headerOffset)) & ~wanted }
        header |= used & wanted
        let saved = skipsInitial ? wanted & used : wanted
        packLegacy(isWide: isWide)
        let area = raw + VectorScratch.area
        if saved & StateComponent.x87 != 0 {
            try storeBytes(linear, from: area, 24)
            try storeBytes(linear &+ 32, from: area + 32, 128)
        }
        let savesMXCSR =
            compacts ? saved & StateComponent.sse != 0 : wanted & (StateComponent.sse | StateComponent.avx) != 0
        if savesMXCSR { try storeBytes(linear &+ 24, from: area + 24, 8) }
        if saved & StateComponent.sse != 0 { try storeBytes(linear &+ 160, from: area + 160, vectorRegisterCount * 16) }
        if saved & StateComponent.avx != 0 {
            try storeBytes(
                linear &+ UInt64(StateComponent.avxOffset),
                from: raw + VectorRegister.high(0),
                vectorRegisterCount * 16
            )
        }
        try store(header, linear &+ UInt64(StateComponent.headerOffset))
        if compacts { try store(wanted | StateComponent.compacted, linear &+ UInt64(StateComponent.headerOffset + 8)) }
    }

    /// Addresses are looked at before any page.
    private func checkCanonical(_ linear: UInt64, last: Int) throws(Fault) {
        if state.isLong64, !isCanonical(linear) || !isCanonical(linear &+ UInt64(last)) {
            throw Fault(kind: .exceptionWithCode, vector: ExceptionVector.generalProtection, address: linear)
        }
    }

    /// XRSTOR and XRSTORS (SDM 1 §13.8, §13.12).
    private func xrstor(_ i: Instruction, isWide: Bool, needsCompacted: Bool) throws(Fault) {
        try checkXSAVE()
        let s = state
        let wanted = requested
        let linear = try xsaveArea(i, wanted, write: false)
        let header = VectorScratch.area + StateComponent.headerOffset
        try checkCanonical(linear, last: StateComponent.headerOffset + 63)
        // XCOMP_BV is read first: it says where the components are.
        _ = try load(UInt64.self, linear &+ UInt64(StateComponent.headerOffset + 8))
        try loadBytes(linear &+ UInt64(StateComponent.headerOffset), into: raw + header, 64)
        let present = s[field: header]
        let layout = s[field: header + 8]
        let isCompacted = layout & StateComponent.compacted != 0
        // Intel's CPUs find a missing page before they look at the rest of the header.
        guard !isCompacted || layout & ~StateComponent.compacted & ~s.xcr0 == 0 else { throw .generalProtection() }
        let placed = isCompacted ? wanted & layout : wanted
        let first = firstByte(placed, avxHasMXCSR: !isCompacted)
        let end = lastByte(placed) + 1
        try probe(linear, first: first, last: end - 1, write: false)
        guard s[field: header + 16] == 0, isCompacted || !needsCompacted else { throw .generalProtection() }
        if isCompacted {
            for word in 3..<8 where s[field: header + word * 8] != 0 { throw .generalProtection() }
            guard present & ~layout == 0, present & StateComponent.compacted == 0 else { throw .generalProtection() }
        } else {
            guard layout == 0, present & ~s.xcr0 == 0 else { throw .generalProtection() }
        }
        try loadBytes(linear &+ UInt64(first), into: raw + VectorScratch.area + first, end - first)
        let loaded = wanted & present
        let loadsMXCSR =
            isCompacted ? loaded & StateComponent.sse != 0 : wanted & (StateComponent.sse | StateComponent.avx) != 0
        let mxcsr = s[dword: VectorScratch.area + 24]
        // Intel's CPUs have restored the x87 state before they look at MXCSR.
        restoreX87(wanted: wanted, loaded: loaded, isWide: isWide)
        guard !loadsMXCSR || mxcsr & 0xFFFF_0000 == 0 else { throw .generalProtection() }
        let registers = vectorRegisterCount * 16
        if loadsMXCSR {
            s.mxcsr = mxcsr
        } else if isCompacted, wanted & StateComponent.sse != 0 {
            s.mxcsr = 0x1F80
        }
        restore(
            VectorRegister.low(0),
            160,
            registers,
            wanted & StateComponent.sse != 0,
            loaded & StateComponent.sse != 0
        )
        restore(
            VectorRegister.high(0),
            StateComponent.avxOffset,
            registers,
            wanted & StateComponent.avx != 0,
            loaded & StateComponent.avx != 0
        )
    }

    private func restoreX87(wanted: UInt64, loaded: UInt64, isWide: Bool) {
        guard wanted & StateComponent.x87 != 0 else { return }
        if loaded & StateComponent.x87 != 0 { return unpackX87(isWide: isWide) }
        initializeX87()
        (raw + VectorRegister.x87(0)).initializeMemory(as: UInt8.self, repeating: 0, count: 128)
    }

    /// Loads a component's registers from the image, or zeroes them where the image says that they are initial.
    private func restore(_ target: Int, _ source: Int, _ byteCount: Int, _ wanted: Bool, _ loaded: Bool) {
        guard wanted else { return }
        if loaded {
            (raw + target).copyMemory(from: raw + VectorScratch.area + source, byteCount: byteCount)
        } else {
            (raw + target).initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        }
    }
}
