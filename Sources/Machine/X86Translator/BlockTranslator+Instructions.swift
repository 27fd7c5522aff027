import X86
import X86Decoder

extension BlockTranslator {
    /// Translates the instruction in ``i``.
    ///
    /// - Returns: Whether the block goes on behind it.
    mutating func instruction() -> Bool {
        let row = OpcodeTable.row(i.row)
        guard i.operation != .undefined, environment.model.features.contains(row.feature) else {
            leave()
            return false
        }
        switch i.operation {
        case .jcc:
            jump(if: i.opcode & 15, to: branchTarget)
            return true
        case .jmpNear: return jumpNear()
        case .callNear: return callNear()
        case .retNear: return returnNear()
        case .jcxz, .loop: return countedJump()
        case .push: push()
        case .pop: return pop()
        case .leave: return leaveFrame()
        case .lea: loadEffectiveAddress()
        case .nop, .prefetch, .endbr: break
        case .rdrand where environment.isRepeatable, .rdseed where environment.isRepeatable: fallback()
        case .pause:
            if environment.yieldsOnPause { fallback() } else { e.bytes(0x90F3, 2) }
        case .fnstcw, .fnstsw, .fldcw, .fwait: x87Control()
        case .stos, .movs, .lods, .scas, .cmps: string()
        case .bt, .bts, .btr, .btc:
            if !bitString() && !(isPlain(row) && plain(row)) { fallback() }
        case .cmpxchg16b, .cmpxchg8b: compareAndExchangeWide()
        case .pcmpestri, .pcmpistri, .vpcmpestri, .vpcmpistri: indexOfString(row)
        case .rdtsc, .rdtscp:
            if !readTimestamp() { fallback() }
        case .cld, .std, .cli, .sti, .pushf, .popf, .swapgs, .stac, .clac, .movFromSegment, .movFromControl, .rdfsbase,
            .rdgsbase,
            .wrfsbase, .wrgsbase:
            if !system() { fallback() }
        case .iret:
            if !interruptReturn() { leave() }
            return false
        case .syscall, .sysret:
            if !systemTransfer() { leave() }
            return false
        default:
            if i.operation.isSystem || row.sensitivity != .innocuous {
                if i.operation.neverReturns {
                    leave()
                    return false
                }
                fallback()
            } else if !isPlain(row) || !plain(row) {
                fallback()
            }
        }
        return true
    }

    var branchTarget: UInt64 { nextRIP &+ i.immediate }

    /// Whether the host's own instruction, with other registers and addresses, does what the guest's does.
    func isPlain(_ row: OpcodeRow) -> Bool {
        guard environment.hostFeatures.contains(row.feature), !row.endsBlock else { return false }
        let operation = i.operation
        if operation.rawValue >= Operation.firstVector {
            guard
                operation.rawValue >= Operation.firstPackedVector || operation == .ldmxcsr || operation == .stmxcsr
                    || operation == .vzeroupper || operation == .vzeroall
            else { return false }
            let isVEX = row.map == .vex0F || row.map == .vex0F38 || row.map == .vex0F3A
            guard isVEX ? environment.signature.usesAVX : environment.signature.usesSSE else { return false }
            return !operation.isGather && operation != .maskmovdqu && operation != .vmaskmovdqu
                && operation != .maskmovq
        }
        switch operation {
        case .cld, .std, .pusha, .popa, .pushf, .popf, .enter, .loope, .loopne, .xlat, .bound,
            .clflush, .clflushopt, .clwb, .ud0, .ud1, .ud2, .salc, .aaa, .aas, .aam, .aad, .daa, .das:
            return false
        case .bt, .bts, .btr, .btc:
            // A register's index reaches beyond the operand.
            return !i.operands.0.isMemory || i.operands.1.kind != .general
        default: return true
        }
    }

    // MARK: Plain instructions

    /// Where a general register stands in an encoding.
    private enum Place {
        case reg
        case rm
        case vvvv
        case opcode
    }

    private struct GeneralOperand {
        var place: Place
        var number: UInt8
        var isHighByte: Bool
        var isByte: Bool
        var reads: Bool
        var writes: Bool
    }

    /// Copies an instruction whose registers and address are the only things that change.
    ///
    /// - Returns: Whether it could be done.
    mutating func plain(_ row: OpcodeRow) -> Bool {
        var encoding = InstructionEncoding(code + guestOffset, length: Int(i.length), hasModRM: row.hasModRM)
        var generals: [4 of GeneralOperand] = .init(
            repeating: GeneralOperand(
                place: .reg,
                number: 0,
                isHighByte: false,
                isByte: false,
                reads: false,
                writes: false
            )
        )
        var generalCount = 0
        var hasMemory = false
        var writesMemory = false
        var needsCount = false
        let operands = (i.operands.0, i.operands.1, i.operands.2, i.operands.3)
        for index in 0..<4 {
            let (operand, mode, access): (Operand, OperandMode, OperandAccess)
            switch index {
            case 0: (operand, mode, access) = (operands.0, row.modes.0, row.access.0)
            case 1: (operand, mode, access) = (operands.1, row.modes.1, row.access.1)
            case 2: (operand, mode, access) = (operands.2, row.modes.2, row.access.2)
            default: (operand, mode, access) = (operands.3, row.modes.3, row.access.3)
            }
            let place: Place
            switch mode {
            case .none, .vectorReg, .vectorVVVV, .vectorImmediate, .immediateByte, .immediateSigned, .immediateWord,
                .immediateZ,
                .immediateV:
                continue
            case .regGeneral, .regByte: place = .reg
            case .opcodeGeneral, .opcodeByte: place = .opcode
            case .vvvvGeneral: place = .vvvv
            case .vectorRM, .rmGeneral, .rmByte:
                if operand.isMemory {
                    hasMemory = true
                    writesMemory = access != .read
                    continue
                }
                if mode == .vectorRM { continue }
                place = .rm
            case .fixed:
                guard operand.kind == .general else {
                    if operand.kind == .one { continue }
                    return false
                }
                if operand.number == 0 { continue }
                guard operand.number == 1, access == .read else { return false }
                needsCount = true
                continue
            case .offset: return absoluteMove()
            default: return false
            }
            let isHigh = operand.kind == .highByte
            guard isHigh || operand.kind == .general else { return false }
            let isByte =
                mode == .regByte || mode == .opcodeByte || mode == .rmByte
                || (mode == .rmGeneral && i.memoryByteCount == 1)
            let isPartial = isByte || i.operandByteCount < 4 || i.operation.keepsDestination
            generals[generalCount] = GeneralOperand(
                place: place,
                number: UInt8(operand.number),
                isHighByte: isHigh,
                isByte: isByte,
                reads: access != .write || isPartial,
                writes: access == .write || access == .readWrite
            )
            generalCount += 1
        }
        for index in 0..<generalCount where generals[index].isHighByte {
            return highByte(encoding, generals, generalCount, hasMemory, writesMemory, needsCount)
        }

        // Which scratch registers stand for registers in memory.
        let rcx = HostRegisters.scratch
        let r9 = HostRegisters.address
        var free: [2 of UInt8] = [rcx, r9]
        var freeCount = hasMemory ? 1 : 2
        if needsCount {
            free[0] = r9
            freeCount -= 1
        }
        var hosts: [4 of UInt8] = [0, 0, 0, 0]
        var loads: [2 of (host: UInt8, guest: UInt8, reads: Bool, writes: Bool)] = .init(
            repeating: (0, 0, false, false)
        )
        var loadCount = 0
        for index in 0..<generalCount {
            let general = generals[index]
            hosts[index] = HostRegisters.host(general.number)
            guard hosts[index] == HostRegisters.inMemory else { continue }
            var known = -1
            for other in 0..<loadCount where loads[other].guest == general.number { known = other }
            if known < 0 {
                guard loadCount < freeCount else { return false }
                known = loadCount
                loads[known] = (free[known], general.number, false, false)
                loadCount += 1
            }
            if general.reads { loads[known].reads = true }
            if general.writes { loads[known].writes = true }
            hosts[index] = loads[known].host
        }

        if hasMemory {
            guard i.memoryByteCount > 0, i.memoryByteCount <= 32 else { return false }
            operand(Int(i.memoryByteCount), write: writesMemory)
        }
        var rm = hasMemory ? HostOperand.checked : .register(encoding.rm)
        if hasMemory, loadCount > 0 || needsCount {
            e.joinAddress()
            rm = .joined
        }
        for index in 0..<loadCount where loads[index].reads {
            e.loadState(loads[index].host, TranslatorLayout.general(loads[index].guest))
        }
        if needsCount { e.move(rcx, HostRegisters.guestCount) }
        var forcesREX = false
        for index in 0..<generalCount {
            let host = hosts[index]
            if generals[index].isByte, host >= 4, host < 8 { forcesREX = true }
            switch generals[index].place {
            case .reg: encoding.reg = host
            case .rm: rm = .register(host)
            case .vvvv: encoding.vvvv = host
            case .opcode: encoding.opcodeRegister = host
            }
        }
        if row.exceptions.contains(.divideError) || row.exceptions.contains(.simd)
            || row.exceptions.contains(.alignedMemory)
            || i.operation == .ldmxcsr || i.operation == .vldmxcsr
        {
            noteHostFault()
        }
        e.instruction(encoding, rm, forcesREX: forcesREX, immediate: code + guestOffset)
        for index in 0..<loadCount where loads[index].writes {
            e.storeState(TranslatorLayout.general(loads[index].guest), loads[index].host)
        }
        return true
    }

    /// The host instruction that comes next may raise a signal.
    private mutating func noteHostFault() {
        // One byte into it, so that it is told from a call that ends here.
        addSite(.hostFault, guestOffset, offset: e.offset + 1, uncounted: uncountedBefore)
    }

    /// An instruction with AH, CH, DH or BH, which no REX prefix may accompany.
    private mutating func highByte(
        _ original: InstructionEncoding,
        _ generals: [4 of GeneralOperand],
        _ count: Int,
        _ hasMemory: Bool,
        _ writesMemory: Bool,
        _ needsCount: Bool
    ) -> Bool {
        var encoding = original
        var usesCount = false
        var writesCount = false
        var rm = HostOperand.register(original.rm)
        for index in 0..<count {
            let general = generals[index]
            guard general.isHighByte || general.number != 4, general.number < 8 else { return false }
            if general.number == 1 {
                usesCount = true
                writesCount = writesCount || general.writes
            }
            let number = general.isHighByte ? general.number + 4 : general.number
            switch general.place {
            case .reg: encoding.reg = number
            case .rm: rm = .register(number)
            case .opcode: encoding.opcodeRegister = number
            default: return false
            }
        }
        guard !(hasMemory && usesCount), !(usesCount && needsCount && writesCount) else { return false }
        if hasMemory {
            guard !needsCount, i.memoryByteCount > 0 else { return false }
            operand(Int(i.memoryByteCount), write: writesMemory)
            e.lea(HostRegisters.scratch, base: HostRegisters.address, index: HostRegisters.scratch, 0)
            rm = .joinedLow
        }
        if usesCount || needsCount { e.move(HostRegisters.scratch, HostRegisters.guestCount) }
        if i.operation == .div || i.operation == .idiv { noteHostFault() }
        e.instruction(encoding, rm, forcesREX: false, immediate: code + guestOffset)
        if writesCount { e.move(HostRegisters.guestCount, HostRegisters.scratch) }
        return true
    }

    /// MOV between the accumulator and an absolute address.
    private mutating func absoluteMove() -> Bool {
        let writes = i.operands.0.isMemory
        let byteCount = Int(i.operandByteCount)
        var encoding = InstructionEncoding(code + guestOffset, length: Int(i.length), hasModRM: false)
        encoding.hasModRM = true
        encoding.opcode = (writes ? 0x88 : 0x8A) | (byteCount == 1 ? 0 : 1)
        encoding.reg = 0
        encoding.immediateCount = 0
        operand(byteCount, write: writes)
        e.instruction(encoding, .checked, forcesREX: false, immediate: code + guestOffset)
        return true
    }

    // MARK: Special forms

    /// CMPXCHG8B and CMPXCHG16B, which read RCX.
    private mutating func compareAndExchangeWide() {
        guard i.operands.0.isMemory else { return fallback() }
        let encoding = InstructionEncoding(code + guestOffset, length: Int(i.length), hasModRM: true)
        operand(i.operation == .cmpxchg16b ? 16 : 8, write: true)
        e.joinAddress()
        e.move(HostRegisters.scratch, HostRegisters.guestCount)
        noteHostFault()
        e.instruction(encoding, .joined, forcesREX: false, immediate: code + guestOffset)
    }

    /// PCMPESTRI and PCMPISTRI, which write RCX.
    private mutating func indexOfString(_ row: OpcodeRow) {
        guard isPlain(row), plain(row) else { return fallback() }
        e.move(HostRegisters.guestCount, HostRegisters.scratch)
    }

    /// LEA.
    private mutating func loadEffectiveAddress() {
        let destination = i.operands.0.number
        let host = HostRegisters.host(UInt8(destination))
        let isWide = i.addressByteCount == 8
        if i.operandByteCount == 8 || i.operandByteCount == 4, i.base < 17 {
            // The address has as many bits as the register, or is cut off or extended by the form of LEA chosen here.
            let target = host == HostRegisters.inMemory ? HostRegisters.address : host
            effectiveAddress(target, wide: isWide && i.operandByteCount == 8)
            if host == HostRegisters.inMemory { e.storeState(destination * 8, target) }
            return
        }
        if i.base == 17, i.operandByteCount >= 4 {
            let target = host == HostRegisters.inMemory ? HostRegisters.address : host
            linear(target, nextRIP &+ UInt64(bitPattern: Int64(i.displacement)))
            if !isWide || i.operandByteCount == 4 {
                // MOV r32, r32
                if target > 7 { e.byte(0x45) }
                e.bytes(0x89 | UInt64(0xC0 | (target & 7) << 3 | target & 7) << 8, 2)
            }
            if host == HostRegisters.inMemory { e.storeState(destination * 8, target) }
            return
        }
        fallback()
    }
}

extension Operation {
    static let firstPackedVector: UInt16 = Operation.cvtpi2ps.rawValue

    var isSystem: Bool { rawValue >= Operation.firstSystem && rawValue < Operation.firstVector }

    var isGather: Bool { rawValue >= Operation.vpgatherdd.rawValue && rawValue <= Operation.vgatherqpd.rawValue }

    /// A written register may keep its old value.
    var keepsDestination: Bool { self == .cmovcc || self == .bsf || self == .bsr }

    /// The next instruction is somewhere else, or in another mode.
    var neverReturns: Bool {
        switch self {
        case .callFar, .jmpFar, .retFar, .iret, .int3, .int, .int1, .syscall, .sysret, .sysenter, .sysexit, .ud2, .ud1,
            .ud0,
            .hlt, .mwait:
            true
        default: false
        }
    }
}
