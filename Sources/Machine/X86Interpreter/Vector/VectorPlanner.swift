import HostCode
import X86
import X86Decoder

/// Decides how an encoding is executed, and assembles its stub.
struct VectorPlanner {
    let instruction: DecodedInstruction
    let row: OpcodeRow
    var encoding: VectorEncoding
    let isLong: Bool

    init(instruction: DecodedInstruction, encoding: VectorEncoding, isLong: Bool) {
        self.instruction = instruction
        self.encoding = encoding
        self.isLong = isLong
        row = OpcodeTable.row(instruction.row)
        // VEX.W does not widen general registers outside 64-bit mode.
        if !isLong, namesGeneralRegister { self.encoding.w = false }
        // Nor has bit 7 of a register in an immediate a meaning there.
        if !isLong, encoding.isVEX, encoding.map == .map0F3A, 0x4A...0x4C ~= encoding.opcode {
            self.encoding.immediate &= 0x7F
        }
    }

    func plan(_ buffer: CodeBuffer) -> VectorPlan {
        var plan = VectorPlan(encoding: encoding)
        plan.gate = gate
        plan.kind = kind
        plan.byteCount = encoding.isMemory ? min(Int(instruction.memoryByteCount), 128) : 0
        for index in 0..<4 where operand(index).isMemory {
            let access = access(index)
            if access == .read || access == .readWrite { plan.traits.insert(.readsMemory) }
            if access == .write || access == .readWrite { plan.traits.insert(.writesMemory) }
        }
        if encoding.isMemory, row.exceptions.contains(.alignedMemory), plan.byteCount.nonzeroBitCount == 1 {
            plan.alignmentMask = UInt64(plan.byteCount - 1)
        }
        if encoding.isVEX { plan.traits.insert(.zeroesUpper) }
        if row.exceptions.contains(.simd) { plan.traits.insert(.simd) }
        if row.flagsWritten & 0x8D5 != 0 { plan.traits.insert(.writesFlags) }
        if row.flagsRead & 0x8D5 != 0 || encoding.map == .oneByte && row.flagsWritten != 0 {
            plan.traits.insert(.readsFlags)
        }
        plan.destination = encoding.reg
        plan.source = encoding.rm
        switch plan.kind {
        case .copy where isStoreForm:
            plan.destination = encoding.rm
            plan.source = encoding.reg
        case .store: plan.source = encoding.reg
        case .toGeneral:
            plan.destination = encoding.rm
            plan.source = encoding.reg
        case .stub, .mmx, .x87:
            guard HostRequirements.canExecute(row.feature) else {
                plan.kind = .undefined
                break
            }
            do throws(HostCodeError) {
                plan.code = try buffer.append { assemble(plan, into: &$0) }
            } catch {
                plan.kind = .undefined
            }
        default: break
        }
        if plan.kind == .fromGeneral || plan.kind == .toGeneral { plan.byteCount = encoding.w ? 8 : 4 }
        if plan.kind == .copy || plan.kind == .zero { plan.byteCount = encoding.isWide ? 32 : 16 }
        return plan
    }

    // MARK: Operands

    private func operand(_ index: Int) -> Operand {
        switch index {
        case 0: instruction.operands.0
        case 1: instruction.operands.1
        case 2: instruction.operands.2
        default: instruction.operands.3
        }
    }

    private func access(_ index: Int) -> OperandAccess {
        switch index {
        case 0: row.access.0
        case 1: row.access.1
        case 2: row.access.2
        default: row.access.3
        }
    }

    /// The registers of `kind` that are operands, a bit each; only those written if so asked.
    private func registers(_ kind: Operand.Kind, written: Bool) -> UInt16 {
        var set: UInt16 = 0
        for index in 0..<4 where operand(index).kind == kind {
            let access = access(index)
            if !written || access == .write || access == .readWrite { set |= 1 << UInt16(operand(index).number) }
        }
        return set
    }

    private var usesMMX: Bool { registers(.mmx, written: false) != 0 }

    /// ModRM.reg is a general register: MOVMSKPS, CVTSS2SI and its like, PEXTRW, PMOVMSKB.
    private var generalIsReg: Bool {
        guard encoding.map == .map0F else { return false }
        switch encoding.opcode {
        case 0x50, 0xC5, 0xD7: return true
        case 0x2C, 0x2D: return encoding.pp >= 2
        default: return false
        }
    }

    /// ModRM.rm is a general register, or memory in its place.
    private var generalMayBeRM: Bool {
        switch (encoding.map, encoding.opcode) {
        case (.map0F, 0x6E), (.map0F, 0xC4): true
        case (.map0F, 0x7E): encoding.pp < 2
        case (.map0F, 0x2A): encoding.pp >= 2
        case (.map0F3A, 0x14...0x17), (.map0F3A, 0x20), (.map0F3A, 0x22): true
        default: false
        }
    }

    private var generalIsRM: Bool { generalMayBeRM && !encoding.isMemory }
    private var namesGeneralRegister: Bool { generalIsReg || generalMayBeRM }
    private var generalRMIsWritten: Bool {
        encoding.map == .map0F ? encoding.opcode == 0x7E : 0x14...0x17 ~= encoding.opcode
    }

    private var isStringCompare: Bool { encoding.map == .map0F3A && 0x60...0x63 ~= encoding.opcode }

    // MARK: Kinds

    private var gate: VectorPlan.Gate {
        if kind == .extendedState {
            return encoding.key & 0xFF == 0xAE && encoding.group & 6 == 2 ? encoding.isVEX ? .avx : .sse : .none
        }
        if encoding.map == .oneByte { return encoding.opcode == 0x9B ? .none : .x87 }
        if encoding.isVEX { return .avx }
        if encoding.map == .map0F, encoding.opcode == 0x77 { return .mmx }
        guard usesMMX else { return .sse }
        switch encoding.opcode {
        case 0x2A, 0x2C, 0x2D, 0xD6: return encoding.map == .map0F ? .sseMMX : .mmx
        default: return .mmx
        }
    }

    private var kind: VectorPlan.Kind {
        if encoding.map == .oneByte { return x87Kind }
        switch encoding.map {
        case .map0F:
            switch encoding.opcode {
            case 0x77: return !encoding.isVEX ? .emms : encoding.isWide ? .zeroAll : .zeroUpper
            case 0xAE, 0xC7: return .extendedState
            case 0xF7: return .maskedBytes
            default: break
            }
        case .map0F38:
            switch encoding.opcode {
            case 0x2C, 0x2D, 0x8C: if encoding.isVEX { return .maskedLoad }
            case 0x2E, 0x2F, 0x8E: if encoding.isVEX { return .maskedStore }
            case 0x90...0x93: if encoding.isVEX { return .gather }
            case 0xC8...0xCD: if !encoding.isVEX, encoding.pp == 0 { return .sha }
            default: break
            }
        case .map0F3A:
            if encoding.opcode == 0xCC, !encoding.isVEX, encoding.pp == 0 { return .sha }
        case .oneByte: break
        }
        if usesMMX { return .mmx }
        return moveKind ?? .stub
    }

    private var x87Kind: VectorPlan.Kind {
        let group = encoding.group
        switch (encoding.opcode, encoding.isMemory) {
        case (0x9B, _): return .x87Control
        case (0xD9, true): return group >= 4 ? .x87Control : .x87
        case (0xDD, true): return group == 4 || group >= 6 ? .x87Control : .x87
        case (0xDB, false): return 0xE0...0xE7 ~= encoding.modRM ? .x87Control : .x87
        case (0xDF, false): return encoding.modRM == 0xE0 ? .x87Control : .x87
        default: return .x87
        }
    }

    /// The opcode is the direction "register to ModRM.rm".
    private var isStoreForm: Bool {
        switch encoding.opcode {
        case 0x11, 0x29, 0x7F: true
        default: false
        }
    }

    /// The moves that Swift makes itself.
    private var moveKind: VectorPlan.Kind? {
        let isMemory = encoding.isMemory
        switch encoding.key {
        case 0x1010, 0x1110, 0x1028, 0x1128, 0x116F, 0x126F: return isMemory ? .load : .copy
        case 0x1011, 0x1111, 0x1029, 0x1129, 0x117F, 0x127F: return isMemory ? .store : .copy
        case 0x13F0, 0x212A: return isMemory ? .load : nil
        case 0x102B, 0x112B, 0x11E7, 0x1013, 0x1113: return isMemory ? .store : nil
        // MOVSS, MOVSD, MOVQ.
        case 0x1210, 0x1310, 0x127E: return isMemory ? .load : nil
        case 0x1211, 0x1311, 0x11D6: return isMemory ? .store : nil
        case 0x116E: return isMemory ? .load : .fromGeneral
        case 0x117E: return isMemory ? .store : .toGeneral
        case 0x11EF, 0x1057, 0x1157:
            return !isMemory && (encoding.isVEX ? encoding.vvvv : encoding.reg) == encoding.rm ? .zero : nil
        default: return nil
        }
    }

    // MARK: Stubs

    private func assemble(_ plan: VectorPlan, into code: inout Assembler) {
        if plan.kind == .x87 { return assembleX87(plan, into: &code) }
        let vectors = vectorRegisters
        let mmx = registers(.mmx, written: false)
        let wide = encoding.isVEX && encoding.isWide
        if plan.traits.contains(.readsFlags) { pushGuestFlags(&code) }
        if generalIsRM { code.load64(.rax, general(encoding.rm)) }
        if isStringCompare {
            code.load64(.rax, general(0))
            code.load64(.rdx, general(2))
        }
        for number in bits(vectors.read) {
            if wide {
                code.loadYMM(number, low: low(number), high: high(number))
            } else {
                code.loadXMM(number, low(number))
            }
        }
        for number in bits(mmx) { code.loadMMX(number, mm(number)) }
        // An unmasked exception leaves the stub before anything is stored.
        if plan.traits.contains(.simd) { code.loadMXCSR(HostMemory(.rdi, VectorRegister.mxcsr)) }
        encoding.emit(
            into: &code,
            memory: HostMemory(.rdi, VectorScratch.operand),
            generalIsReg: generalIsReg,
            generalIsRM: generalIsRM
        )
        if plan.traits.contains(.writesFlags) { saveFlags(&code) }
        if plan.traits.contains(.simd) {
            code.storeMXCSR(HostMemory(.rdi, VectorRegister.mxcsr))
            restoreHostMXCSR(&code)
        }
        if generalIsReg { code.store64(general(encoding.reg), .rax) }
        if generalIsRM, generalRMIsWritten { code.store64(general(encoding.rm), .rax) }
        if isStringCompare, encoding.opcode & 1 != 0 { code.store64(general(1), .rcx) }
        for number in bits(vectors.written) {
            if wide {
                code.storeYMM(low: low(number), high: high(number), number)
            } else {
                code.storeXMM(low(number), number)
                if encoding.isVEX {
                    code.store64(high(number), immediate: 0)
                    code.store64(HostMemory(.rdi, VectorRegister.high(Int(number)) + 8), immediate: 0)
                }
            }
        }
        for number in bits(registers(.mmx, written: true)) {
            code.storeMMX(mm(number), number)
            code.store16(HostMemory(.rdi, VectorRegister.x87(Int(number & 7)) + 8), immediate: 0xFFFF)
        }
        if mmx != 0 { code.emms() }
        if wide { code.zeroUpper() }
        code.ret()
    }

    private var vectorRegisters: (read: UInt16, written: UInt16) {
        var read = registers(.vector, written: false)
        var written = registers(.vector, written: true)
        if !encoding.isVEX, encoding.map == .map0F38, encoding.opcode == 0x10 || encoding.opcode & ~1 == 0x14 {
            read |= 1
        }
        if isStringCompare, encoding.opcode & 1 == 0 { written |= 1 }
        if isStringCompare { read |= 1 }
        return (read, written)
    }

    private func assembleX87(_ plan: VectorPlan, into code: inout Assembler) {
        let area = HostMemory(.rdi, CPUState.xsaveOffset)
        code.fxrstor64(area)
        if plan.traits.contains(.readsFlags) { pushGuestFlags(&code) }
        encoding.emit(
            into: &code,
            memory: HostMemory(.rdi, VectorScratch.operand),
            generalIsReg: false,
            generalIsRM: false
        )
        if plan.traits.contains(.writesFlags) { saveFlags(&code) }
        code.fxsave64(area)
        code.fninit()
        restoreHostMXCSR(&code)
        code.ret()
    }

    private func pushGuestFlags(_ code: inout Assembler) {
        code.push(HostMemory(.rdi, VectorScratch.flags))
        code.popFlags()
    }

    private func saveFlags(_ code: inout Assembler) {
        code.pushFlags()
        code.pop(HostMemory(.rdi, VectorScratch.flags))
    }

    private func restoreHostMXCSR(_ code: inout Assembler) {
        code.store32(HostMemory(.rdi, VectorScratch.hostControl), immediate: 0x1F80)
        code.loadMXCSR(HostMemory(.rdi, VectorScratch.hostControl))
    }

    private func general(_ number: UInt8) -> HostMemory { HostMemory(.rdi, Int(number) * 8) }
    private func low(_ number: UInt8) -> HostMemory { HostMemory(.rdi, VectorRegister.low(Int(number))) }
    private func high(_ number: UInt8) -> HostMemory { HostMemory(.rdi, VectorRegister.high(Int(number))) }
    private func mm(_ number: UInt8) -> HostMemory { HostMemory(.rdi, VectorRegister.x87(Int(number & 7))) }

    private func bits(_ set: UInt16) -> [UInt8] { (0..<16).filter { set >> UInt16($0) & 1 != 0 } }
}
