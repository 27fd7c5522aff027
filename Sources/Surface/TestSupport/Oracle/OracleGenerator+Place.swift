import X86
import X86Decoder

// Operands: registers, displacements and memory contents, so that a single instruction reaches the data and jumps within the code.
extension OracleGenerator {
    /// Prepares everything that instruction `index` needs to run.
    ///
    /// - Returns: Whether that is possible.
    func place(_ index: Int) -> Bool {
        let i = instructions[index].instruction
        // EDX:EAX say which components are meant: only those that both sides have.
        if isXSAVE(i.operation), [i.base, i.index].contains(where: { $0 == 0 || $0 == 2 }) { return false }
        prepareRegisters(i)
        var target: UInt64?
        if usesMemory(i) {
            let place = pickTarget(i)
            target = place
            reach(place, index)
        }
        prepareContents(index, target)
        return true
    }

    private func isXSAVE(_ operation: Operation) -> Bool {
        switch operation {
        case .xsave, .xsaveopt, .xsavec, .xsaves, .xrstor, .xrstors: true
        default: false
        }
    }

    private func usesMemory(_ i: DecodedInstruction) -> Bool {
        i.operation != .lea && i.operation != .nop
            && (i.operands.0.isMemory || i.operands.1.isMemory || i.operands.2.isMemory || i.operands.3.isMemory)
    }

    /// An address in the data, sometimes across its pages or over its ends, mostly aligned where it has to be.
    private func pickTarget(_ i: DecodedInstruction) -> UInt64 {
        var size = max(Int(i.memoryByteCount), 1)
        var alignment = 1
        if OpcodeTable.row(i.row).exceptions.contains(.alignedMemory) { alignment = max(16, size) }
        switch i.operation {
        case .fxsave, .fxrstor: (size, alignment) = (512, 16)
        case .xsave, .xsaveopt, .xsavec, .xsaves, .xrstor, .xrstors: (size, alignment) = (832, 64)
        case .cmpxchg16b: alignment = 16
        case .fnsave, .frstor: size = 108
        case .fnstenv, .fldenv: size = 28
        default: break
        }
        let end = OracleGuest.dataByteCount
        var offset: Int
        // Areas of many parts lie over the ends more often: which part is found missing depends on where.
        switch size < 512 ? random.below(100) : random.below(20) {
        case 0, 1: offset = end - random.below(size + 1)
        case 2: offset = -random.below(size + 1)
        case 3..<20: offset = 4096 - random.below(size + 1)
        default: offset = 64 + random.below(end - 128 - size)
        }
        if alignment > 1, random.chance(percent: 85) { offset &= ~(alignment - 1) }
        return dataAddress &+ UInt64(bitPattern: Int64(offset))
    }

    /// Makes the address of instruction `index`'s memory operand `target`, by its registers or its displacement.
    private func reach(_ target: UInt64, _ index: Int) {
        let i = instructions[index].instruction
        let wanted = i.segment == 5 ? target &- Self.gsBase : target
        let narrow = i.addressByteCount == 4
        func set(_ register: UInt8, _ value: UInt64) {
            let high = narrow && random.chance(percent: 50) ? random.next() & ~0xFFFF_FFFF : 0
            state[Int(register)] = narrow ? value & 0xFFFF_FFFF | high : value
        }
        let displacement = UInt64(bitPattern: Int64(i.displacement))
        let next = codeStart + UInt64(instructions[index].offset) + UInt64(i.length)
        if isVSIB(i.operation) {
            spreadIndexes(i)
            if i.base < 16 { set(i.base, wanted &- displacement) } else { patchDisplacement(index, wanted) }
            return
        }
        switch (i.base, i.index) {
        case (17, _): patchDisplacement(index, wanted &- next)
        case (18, _): patchImmediate(index, wanted, byteCount: narrow ? 4 : 8)
        case (16, 16): patchDisplacement(index, wanted)
        case (16, let register):
            let scaled = Int64(bitPattern: wanted &- displacement) >> Int64(i.scale)
            set(register, UInt64(bitPattern: scaled))
        case (let base, 16): set(base, wanted &- displacement)
        case (let base, let register) where base == register:
            set(base, UInt64(bitPattern: Int64(bitPattern: wanted &- displacement) / (1 + 1 << Int64(i.scale))))
        case (let base, let register):
            if random.chance(percent: 50) { set(register, UInt64(bitPattern: Int64(random.below(4000) - 2000))) }
            let scaled = state[Int(register)] << UInt64(i.scale)
            set(base, wanted &- displacement &- scaled)
        }
    }

    private func isVSIB(_ operation: Operation) -> Bool {
        Operation.vpgatherdd.rawValue...Operation.vgatherqpd.rawValue ~= operation.rawValue
    }

    private func spreadIndexes(_ i: DecodedInstruction) {
        let isQword =
            switch i.operation {
            case .vpgatherqd, .vpgatherqq, .vgatherqps, .vgatherqpd: true
            default: false
            }
        for at in stride(from: 0, to: 32, by: 8) {
            let low = UInt64(bitPattern: Int64(random.below(128) - 64))
            let high = UInt64(bitPattern: Int64(random.below(128) - 64))
            setVectorRegister(Int(i.index), at, isQword ? low : low & 0xFFFF_FFFF | high << 32)
        }
    }

    /// The four bytes in the code that are the displacement become `value`.
    private func patchDisplacement(_ index: Int, _ value: UInt64) {
        let (offset, i) = instructions[index]
        find(UInt64(UInt32(bitPattern: i.displacement)), byteCount: 4, offset, Int(i.length)).map {
            patch(index, at: $0, value, byteCount: 4)
        }
    }

    private func patchImmediate(_ index: Int, _ value: UInt64, byteCount: Int) {
        let (offset, i) = instructions[index]
        patch(index, at: offset + Int(i.length) - byteCount, value, byteCount: byteCount)
    }

    private func find(_ value: UInt64, byteCount: Int, _ offset: Int, _ length: Int) -> Int? {
        guard length > byteCount else { return nil }
        for place in stride(from: offset + length - byteCount, to: offset, by: -1) {
            var found: UInt64 = 0
            for byte in 0..<byteCount { found |= UInt64(bytes[place + byte]) << UInt64(byte * 8) }
            if found == value { return place }
        }
        return nil
    }

    /// Registers with a meaning of their own.
    private func prepareRegisters(_ i: DecodedInstruction) {
        let narrow = i.addressByteCount == 4
        func set(_ register: Int, _ value: UInt64) {
            state[register] = narrow ? value & 0xFFFF_FFFF | random.next() << 32 : value
        }
        func usesString(_ kind: Operand.Kind) -> Bool { i.operands.0.kind == kind || i.operands.1.kind == kind }
        if usesString(.stringSource) { set(6, stringPlace() &- (i.segment == 5 ? Self.gsBase : 0)) }
        if usesString(.stringDestination) { set(7, stringPlace()) }
        if !i.prefixes.isDisjoint(with: [.repeatEqual, .repeatNotEqual]) {
            set(1, UInt64(random.chance(percent: 5) ? random.below(4000) : random.below(20)))
        }
        let segment = i.segment == 5 ? Self.gsBase : 0
        switch i.operation {
        case .xlat: set(3, dataAddress &+ UInt64(random.below(0x1E00)) &- segment)
        case .maskmovq, .maskmovdqu, .vmaskmovdqu: set(7, dataAddress &+ UInt64(random.below(0x1FE0)) &- segment)
        case .loop, .loope, .loopne, .jcxz: set(1, UInt64(random.below(3)))
        case .xsave, .xsaveopt, .xsavec, .xsaves, .xrstor, .xrstors:
            state[0] = random.next() & 7
            state[2] = 0
        case .div, .idiv:
            // Quotients that fit, half of the time.
            if random.chance(percent: 60) {
                state[2] = i.operation == .div ? UInt64(random.below(8)) : random.next() & 1 == 0 ? 0 : .max
                if i.operation == .idiv, state[2] != 0 { state[0] |= 0x8000_0000_8000_8000 }
                if i.operandByteCount == 1 { state[0] = UInt64(random.below(2000)) }
            }
        default: break
        }
    }

    private func stringPlace() -> UInt64 {
        random.chance(percent: 4)
            ? dataAddress + UInt64(random.below(OracleGuest.dataByteCount))
            : dataAddress + 0x400 + UInt64(random.below(0x1800))
    }

    /// Selectors, bit offsets, branch targets, images to be loaded: after the operands have their place.
    private func prepareContents(_ index: Int, _ target: UInt64?) {
        let i = instructions[index].instruction
        switch i.operation {
        case .bt, .bts, .btr, .btc:
            guard target != nil, i.operands.1.kind == .general else { return }
            let register = UInt8(i.operands.1.number)
            guard register != i.base, register != i.index else { return }
            let offset = UInt64(bitPattern: Int64(random.below(2000) - 1000))
            state[Int(register)] = i.operandByteCount == 8 ? offset : offset & 0xFFFF_FFFF | random.next() << 32
        case .jmpNear, .callNear, .jcc, .loop, .loope, .loopne, .jcxz: prepareBranch(index, target)
        case .retNear: storeData(codeTarget(), at: state[4])
        case .popf:
            storeData(random.next() & 0x20_7ED5 | 2, at: state[4])
        case .verr, .verw, .lar, .lsl, .movToSegment, .popSegment, .lss, .lfs, .lgs: prepareSelector(i, target)
        case .ldmxcsr, .vldmxcsr:
            if let target, random.chance(percent: 90) {
                storeData(UInt32(truncatingIfNeeded: random.next() & 0xFFFF), at: target)
            }
        case .fxrstor, .xrstor, .xrstors:
            guard let target else { return }
            if random.chance(percent: 90) {
                storeData(UInt32(truncatingIfNeeded: random.next() & 0xFFFF), at: target &+ 24)
            }
            guard i.operation != .fxrstor, random.chance(percent: 95) else { return }
            for at in stride(from: 520 as UInt64, to: 576, by: 8) { storeData(0 as UInt64, at: target &+ at) }
            storeData(random.next() & 7, at: target &+ 512)
            if random.chance(percent: 25) { storeData(1 << 63 | random.next() & 7, at: target &+ 520) }
        case .xsave, .xsaveopt, .xsavec, .xsaves:
            if let target { storeData(random.next() & 7, at: target &+ 512) }
        case .wrgsbase:
            if random.chance(percent: 80), case let r = i.operands.0.number { state[r] = random.next() >> 17 }
        default: break
        }
    }

    /// A selector that leads to the same result on any host: null, or beyond the global table.
    ///
    /// Never one of the local table, which other tests of the process may have filled to run 16-bit code.
    /// Registers that cannot be given back get only such as fault.
    private func prepareSelector(_ i: DecodedInstruction, _ target: UInt64?) {
        let isSafe =
            i.operation == .verr || i.operation == .verw || i.operation == .lar || i.operation == .lsl
            || i.operation == .movToSegment && (i.operands.0.number == 0 || i.operands.0.number == 3)
        let bits = random.next()
        let selector: UInt16 =
            isSafe && bits & 0x1_0000 == 0 ? UInt16(bits & 3) : UInt16(truncatingIfNeeded: bits) & ~4 | 0x1000
        if i.operation == .popSegment { return storeData(selector, at: state[4]) }
        if let target {
            let place =
                i.operation == .lss || i.operation == .lfs || i.operation == .lgs
                ? target &+ UInt64(i.operandByteCount) : target
            return storeData(selector, at: place)
        }
        let source = i.operands.1.kind == .general ? i.operands.1 : i.operands.0
        guard source.kind == .general else { return }
        state[source.number] = state[source.number] & ~0xFFFF | UInt64(selector)
    }

    /// An address in the code window that is not in the case's code nor in what the host puts behind it.
    private func codeTarget() -> UInt64 {
        let end = NativeExecutor.codeOffset + bytes.count
        switch random.below(10) {
        case 0: return endAddress
        case 1: return 0x8000_0000_0000 | random.next()
        case 2...5: return codeAddress + UInt64(random.below(NativeExecutor.codeOffset))
        default:
            let first = end + NativeExecutor.exitByteCount
            return codeAddress + UInt64(first + random.below(NativeExecutor.codeWindowByteCount - first))
        }
    }

    private func prepareBranch(_ index: Int, _ target: UInt64?) {
        let (offset, i) = instructions[index]
        let operand = i.operands.0
        switch operand.kind {
        case .memory: if let target { storeData(codeTarget(), at: target) }
        case .general where operand.number != 4: state[operand.number] = codeTarget()
        case .relative:
            let next = offset + Int(i.length)
            let isShort =
                i.operation != .callNear && (i.opcode & 0xF0 == 0x70 || i.opcode == 0xEB || i.opcode & 0xFC == 0xE0)
            if isShort {
                let forward = 14 + random.below(113)
                let distance =
                    random.chance(percent: 20)
                    ? 0 : random.next() & 1 == 0 ? forward : -(offset + 20 + random.below(100))
                patch(index, at: next - 1, UInt64(bitPattern: Int64(distance)), byteCount: 1)
            } else {
                var place = codeTarget()
                if place >> 32 != 0 { place = codeAddress + 16 }
                patch(index, at: next - 4, place &- (codeStart + UInt64(next)), byteCount: 4)
            }
        default: break
        }
    }
}
