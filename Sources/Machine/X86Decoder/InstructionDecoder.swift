/// Decodes instructions of 16-, 32- and 64-bit code (SDM 2A chapter 2).
public enum InstructionDecoder {
    /// Decodes the instruction at `bytes`, of which `count` are readable (1...15 are looked at).
    ///
    /// Bytes that are no instruction decode as ``Operation/undefined``, complete, with the length up to where the CPU looks.
    /// VEX is decoded in every code size; that real and virtual-8086 mode have none is the engine's to check.
    public static func decode(
        _ bytes: UnsafePointer<UInt8>,
        count: Int,
        size: CodeSize,
        into instruction: inout DecodedInstruction
    ) -> DecodeStatus {
        var pass = DecoderPass(bytes: bytes, limit: count < 15 ? count : 15, isLong: size == .bits64)
        instruction = DecodedInstruction()
        if pass.run(size, &instruction) { return .complete }
        return count >= 15 ? .tooLong : .truncated
    }
}

/// One decode: the position in the bytes and the prefixes seen.
struct DecoderPass {
    let bytes: UnsafePointer<UInt8>
    let limit: Int
    let isLong: Bool
    var position = 0
    var rex: UInt8 = 0
    /// The mandatory prefix: 0 none, 1 66, 2 F3, 3 F2; REP prefixes win over 66.
    var mandatory = 0
    var vvvv: UInt8 = 0
    var isVEX = false
    var isWide = false
    var isInvalid = false
    /// The opcode map is one that no CPU has yet.
    var isReserved = false

    @inline(__always) init(bytes: UnsafePointer<UInt8>, limit: Int, isLong: Bool) {
        self.bytes = bytes
        self.limit = limit
        self.isLong = isLong
    }

    /// Decodes; false when the bytes end before the instruction does.
    @inline(__always)
    mutating func run(_ size: CodeSize, _ instruction: inout DecodedInstruction) -> Bool {
        let tables = DecodeTables.shared
        var flags: UInt8 = 0
        var hasAddressSize = false
        var segment: UInt8 = 0xFF
        var repeats = 0
        var byte: UInt8 = 0
        var map = OpcodeMapID.oneByte
        prefixes: while true {
            guard position < limit else { return false }
            byte = bytes[position]
            position &+= 1
            let kind = tables.prefixes[Int(byte)]
            if kind == 0 { break }
            switch PrefixClass(rawValue: kind) {
            case .segment:
                if byte >= 0x64 { segment = byte &- 0x60 } else if !isLong { segment = byte >> 3 & 3 }
                // In 64-bit mode ES, CS, SS and DS prefixes are ignored, and leave an earlier FS or GS in force.
                rex = 0
            case .operandSize:
                flags |= InstructionPrefixes.operandSize.rawValue
                rex = 0
            case .addressSize:
                hasAddressSize = true
                rex = 0
            case .lock:
                flags |= InstructionPrefixes.lock.rawValue
                rex = 0
            case .repeatNotEqual:
                repeats = 3
                rex = 0
            case .repeatEqual:
                repeats = 2
                rex = 0
            case .rex:
                guard isLong else { break prefixes }
                rex = byte
            case .vector:
                if !isLong {
                    guard position < limit else { return false }
                    if bytes[position] < 0xC0 { break prefixes }
                }
                if flags & 9 != 0 || repeats != 0 || rex != 0 { isInvalid = true }
                rex = 0
                isVEX = true
                break prefixes
            default:
                break prefixes
            }
        }
        mandatory = repeats != 0 ? repeats : flags >> 3 & 1 != 0 ? 1 : 0
        if isVEX {
            guard position < limit else { return false }
            if bytes[position] & 3 == 0, byte != 0xC5 { return finishOldForm(byte, hasAddressSize, size, &instruction) }
            if byte == 0x62 { return finishEVEX(hasAddressSize, size, &instruction) }
            guard let vexMap = decodeVEX(byte) else { return false }
            map = vexMap
            guard position < limit else { return false }
            byte = bytes[position]
            position &+= 1
        } else if byte == 0x0F {
            guard position < limit else { return false }
            byte = bytes[position]
            position &+= 1
            map = .map0F
            if byte == 0x38 || byte == 0x3A {
                map = byte == 0x38 ? .map0F38 : .map0F3A
                guard position < limit else { return false }
                byte = bytes[position]
                position &+= 1
            } else if byte & 0xF8 == 0x38 {
                // Intel CPUs measure 0F 39 and 0F 3B...3F as if they were maps like their neighbours.
                map = byte == 0x39 || byte == 0x3C || byte == 0x3D ? .map0F38 : .map0F3A
                isReserved = true
                guard position < limit else { return false }
                byte = bytes[position]
                position &+= 1
            }
        } else if byte & 0xF8 == 0xD8 {
            map = .x87
        }
        var operandSize: Int
        if rex & 8 != 0 {
            operandSize = 8
        } else if isVEX {
            operandSize = 4
        } else {
            operandSize = (size == .bits16) == (flags & 8 != 0) ? 4 : 2
        }
        let addressSize: Int =
            switch size {
            case .bits64: hasAddressSize ? 4 : 8
            case .bits32: hasAddressSize ? 2 : 4
            case .bits16: hasAddressSize ? 4 : 2
            }
        instruction.opcode = byte
        instruction.addressByteCount = UInt8(truncatingIfNeeded: addressSize)
        if segment != 0xFF { instruction.segment = segment }

        // The ModRM byte, and the row.
        let slot = Int(map.rawValue) << 8 | Int(byte)
        let shape = isReserved ? (map == .map0F3A ? [.modRM, .byte] : .modRM) : tables.shapes[slot]
        var modRM: UInt8 = 0
        let hasModRM = shape.contains(.modRM)
        if hasModRM {
            guard position < limit else { return false }
            modRM = bytes[position]
            position &+= 1
            instruction.modRM = modRM
        }
        var node = isReserved ? 0 : tables.roots[slot]
        while node & 0x8000 != 0 {
            let start = Int(node & 0x7FFF)
            let value: Int
            switch EncodingRule.Dimension(rawValue: UInt8(truncatingIfNeeded: tables.nodes[start])) {
            case .prefix: value = mandatory
            case .mode: value = isLong ? 1 : 0
            case .rexB: value = Int(rex & 1)
            case .mod: value = modRM >= 0xC0 ? 1 : 0
            case .reg: value = Int(modRM >> 3 & 7)
            case .rm: value = Int(modRM & 7)
            case .operandSize: value = operandSize >> 2
            case .addressSize: value = addressSize >> 2
            case .w: value = Int(vexW)
            case .l: value = isWide ? 1 : 0
            case nil: value = 0
            }
            node = tables.nodes[start &+ 1 &+ value]
        }
        let row = tables.rows[Int(node)]
        if node == 0 { isInvalid = true }

        // Sizes.
        if isLong {
            if row.traits.contains(.force64) {
                operandSize = 8
            } else if row.traits.contains(.default64), operandSize == 4 {
                operandSize = 8
            }
        }
        let state = operandSize >> 2 | (isWide ? 4 : 0) | (isLong ? 8 : 0)
        let rmByteCount = tables.widths[Int(row.rmWidth) << 4 | state]
        instruction.operandByteCount = tables.widths[Int(row.operandWidth) << 4 | state]
        instruction.memoryByteCount = rmByteCount

        // The memory operand.
        if hasModRM, modRM < 0xC0, !shape.contains(.modIgnored) {
            guard decodeMemory(modRM, addressSize, segment, row.traits.contains(.vsib), &instruction) else {
                return false
            }
        }

        // The operands.
        if row.modes.0 != 0 {
            guard let operand = operand(row.modes.0, row.fixed.0, operandSize, rmByteCount, row, &instruction)
            else { return false }
            instruction.operands.0 = operand
            if row.modes.1 != 0 {
                guard let operand = self.operand(row.modes.1, row.fixed.1, operandSize, rmByteCount, row, &instruction)
                else { return false }
                instruction.operands.1 = operand
                if row.modes.2 != 0 {
                    guard
                        let operand = self.operand(
                            row.modes.2,
                            row.fixed.2,
                            operandSize,
                            rmByteCount,
                            row,
                            &instruction
                        )
                    else { return false }
                    instruction.operands.2 = operand
                    if row.modes.3 != 0 {
                        guard
                            let operand = self.operand(
                                row.modes.3,
                                row.fixed.3,
                                operandSize,
                                rmByteCount,
                                row,
                                &instruction
                            )
                        else { return false }
                        instruction.operands.3 = operand
                    }
                }
            }
        } else if node == 0 {
            guard skipImmediate(shape, isVEX && size == .bits16 ? 2 : operandSize) else { return false }
        }

        // What makes the whole undefined.
        if isVEX {
            flags |= InstructionPrefixes.vex.rawValue
            if isWide { flags |= InstructionPrefixes.vexL.rawValue }
            if vvvv != 0, !row.traits.contains(.usesVVVV) { isInvalid = true }
        } else if flags & InstructionPrefixes.lock.rawValue != 0,
            !row.traits.contains(.lock) || !instruction.operands.0.isMemory
        {
            isInvalid = true
        }
        if row.traits.contains(.checksNumbers) { checkNumbers(instruction) }
        if row.traits.contains(.vsib), hasEqualRegisters(instruction) { isInvalid = true }
        if repeats != 0, !row.traits.contains(.prefixIsOpcode) {
            flags |=
                repeats == 2 ? InstructionPrefixes.repeatEqual.rawValue : InstructionPrefixes.repeatNotEqual.rawValue
        }
        if rex != 0, !isVEX {
            flags |= InstructionPrefixes.rex.rawValue
        }
        if rex & 8 != 0 { flags |= InstructionPrefixes.rexW.rawValue }
        instruction.prefixes = InstructionPrefixes(rawValue: flags)
        instruction.length = UInt8(truncatingIfNeeded: position)
        if isInvalid {
            instruction.operation = .undefined
            instruction.operands = (.none, .none, .none, .none)
        } else {
            instruction.operation = row.operation
            instruction.row = node
        }
        return true
    }

    /// VEX.W, whatever the mode makes of it.
    var vexW: UInt8 = 0

    /// Reads the VEX prefix after C4 or C5; nil when the bytes end.
    @inline(__always)
    private mutating func decodeVEX(_ first: UInt8) -> OpcodeMapID? {
        guard position &+ 1 < limit else { return nil }
        var map = OpcodeMapID.vex0F
        let second = bytes[position]
        var last = second
        position &+= 1
        if first == 0xC4 {
            last = bytes[position]
            position &+= 1
            rex = 0x40 | ~second >> 5 & 7
            vexW = last >> 7
            if isLong { rex |= vexW << 3 }
            if second & 31 == 0 || second & 31 > 3 { isInvalid = true }
            // Reserved maps are measured as the one whose low bits they share.
            if second & 3 == 2 { map = .vex0F38 }
            if second & 3 == 3 { map = .vex0F3A }
        } else {
            rex = 0x40 | ~second >> 5 & 4
        }
        if !isLong { rex = 0x40 }
        vvvv = ~last >> 3 & 15
        isWide = last & 4 != 0
        let prefix = last & 3
        mandatory = Int(prefix)
        return map
    }

    /// Steps over the immediate of an instruction without row.
    @inline(never)
    private mutating func skipImmediate(_ shape: OpcodeShape, _ operandSize: Int) -> Bool {
        let z = operandSize == 2 ? 2 : 4
        position &+= shape.contains(.byte) ? 1 : shape.contains(.z) ? z : shape.contains(.farPointer) ? z &+ 2 : 0
        return position <= limit
    }

    /// Decodes ModRM's memory form, with SIB and displacement (SDM 2A §2.1.5).
    @inline(__always)
    mutating func decodeMemory(
        _ modRM: UInt8,
        _ addressSize: Int,
        _ segment: UInt8,
        _ isVSIB: Bool,
        _ instruction: inout DecodedInstruction
    ) -> Bool {
        let mod = modRM >> 6
        var displacementByteCount = mod == 1 ? 1 : mod == 2 ? 4 : 0
        var isStack = false
        if addressSize == 2 {
            if isVSIB { isInvalid = true }
            switch modRM & 7 {
            case 0: (instruction.base, instruction.index) = (3, 6)
            case 1: (instruction.base, instruction.index) = (3, 7)
            case 2: (instruction.base, instruction.index) = (5, 6)
            case 3: (instruction.base, instruction.index) = (5, 7)
            case 4: instruction.base = 6
            case 5: instruction.base = 7
            case 6: if mod == 0 { displacementByteCount = 4 } else { instruction.base = 5 }
            default: instruction.base = 3
            }
            isStack = instruction.base == 5
            if displacementByteCount == 4 { displacementByteCount = 2 }
        } else if modRM & 7 == 4 {
            guard position < limit else { return false }
            let sib = bytes[position]
            position &+= 1
            instruction.scale = sib >> 6
            let index = sib >> 3 & 7 | (rex & 2) << 2
            if index != 4 || isVSIB { instruction.index = index }
            if sib & 7 == 5, mod == 0 {
                displacementByteCount = 4
            } else {
                instruction.base = sib & 7 | (rex & 1) << 3
                isStack = instruction.base & 0xFE == 4
            }
        } else {
            if isVSIB { isInvalid = true }
            if modRM & 7 == 5, mod == 0 {
                displacementByteCount = 4
                if isLong { instruction.base = 17 }
            } else {
                instruction.base = modRM & 7 | (rex & 1) << 3
                isStack = instruction.base == 5
            }
        }
        if isStack, segment == 0xFF { instruction.segment = 2 }
        switch displacementByteCount {
        case 0: break
        case 1:
            guard position < limit else { return false }
            instruction.displacement = Int32(Int8(bitPattern: bytes[position]))
            position &+= 1
        case 2:
            guard position &+ 2 <= limit else { return false }
            instruction.displacement = Int32(Int16(truncatingIfNeeded: readLittleEndian(2)))
        default:
            guard position &+ 4 <= limit else { return false }
            instruction.displacement = Int32(truncatingIfNeeded: readLittleEndian(4))
        }
        return true
    }

    /// Reads `count` bytes; the caller has checked that they are there.
    @inline(__always)
    private mutating func readLittleEndian(_ count: Int) -> UInt64 {
        let address = UnsafeRawPointer(bytes + position)
        position &+= count
        return switch count {
        case 1: UInt64(address.load(as: UInt8.self))
        case 2: UInt64(address.loadUnaligned(as: UInt16.self))
        case 4: UInt64(address.loadUnaligned(as: UInt32.self))
        default: address.loadUnaligned(as: UInt64.self)
        }
    }

    @inline(__always)
    private func byteRegister(_ number: UInt8) -> Operand {
        rex == 0 && number >= 4 ? Operand(.highByte, number &- 4) : Operand(.general, number)
    }

    /// Decodes one operand, with its immediate bytes; nil when the bytes end.
    @inline(__always)
    private mutating func operand(
        _ mode: UInt8,
        _ fixed: UInt8,
        _ operandSize: Int,
        _ rmByteCount: UInt8,
        _ row: DecodeRow,
        _ instruction: inout DecodedInstruction
    ) -> Operand? {
        let modRM = instruction.modRM
        switch OperandMode(rawValue: mode) {
        case .fixed:
            return Operand(rawValue: fixed)
        case .rmGeneral:
            if modRM < 0xC0, !row.traits.contains(.modIgnored) { return Operand(.memory) }
            return Operand(.general, modRM & 7 | (rex & 1) << 3)
        case .regGeneral:
            return Operand(.general, modRM >> 3 & 7 | (rex & 4) << 1)
        case .rmByte:
            if modRM < 0xC0 { return Operand(.memory) }
            return byteRegister(modRM & 7 | (rex & 1) << 3)
        case .regByte:
            return byteRegister(modRM >> 3 & 7 | (rex & 4) << 1)
        case .opcodeGeneral:
            return Operand(.general, instruction.opcode & 7 | (rex & 1) << 3)
        case .opcodeByte:
            return byteRegister(instruction.opcode & 7 | (rex & 1) << 3)
        case .vvvvGeneral:
            return Operand(.general, isLong ? vvvv : vvvv & 7)
        case .segment:
            return Operand(.segment, modRM >> 3 & 7)
        case .control:
            return Operand(.control, modRM >> 3 & 7 | (rex & 4) << 1)
        case .debug:
            return Operand(.debug, modRM >> 3 & 7 | (rex & 4) << 1)
        case .immediateByte:
            guard position < limit else { return nil }
            instruction.immediate = readLittleEndian(1)
            return Operand(.immediate)
        case .immediateSigned:
            guard position < limit else { return nil }
            instruction.immediate = UInt64(bitPattern: Int64(Int8(truncatingIfNeeded: readLittleEndian(1))))
            return Operand(.immediate)
        case .immediateWord:
            guard position &+ 2 <= limit else { return nil }
            instruction.immediate = readLittleEndian(2)
            return Operand(.immediate)
        case .immediateZ:
            let count = operandSize == 2 ? 2 : 4
            guard position &+ count <= limit else { return nil }
            let value = readLittleEndian(count)
            instruction.immediate =
                operandSize == 8 ? UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: value))) : value
            return Operand(.immediate)
        case .immediateV:
            guard position &+ operandSize <= limit else { return nil }
            instruction.immediate = readLittleEndian(operandSize)
            return Operand(.immediate)
        case .immediateSecond:
            guard position < limit else { return nil }
            instruction.immediate |= readLittleEndian(1) << 16
            return Operand(.immediate)
        case .farPointer:
            let count = operandSize == 2 ? 2 : 4
            guard position &+ count &+ 2 <= limit else { return nil }
            instruction.immediate = readLittleEndian(count)
            instruction.immediate |= readLittleEndian(2) << 32
            return Operand(.immediate)
        case .relativeByte:
            guard position < limit else { return nil }
            instruction.immediate = UInt64(bitPattern: Int64(Int8(truncatingIfNeeded: readLittleEndian(1))))
            return Operand(.relative)
        case .relativeZ:
            let count = operandSize == 2 ? 2 : 4
            guard position &+ count <= limit else { return nil }
            let value = readLittleEndian(count)
            instruction.immediate = UInt64(
                bitPattern: count == 2
                    ? Int64(Int16(truncatingIfNeeded: value)) : Int64(Int32(truncatingIfNeeded: value))
            )
            return Operand(.relative)
        case .offset:
            let count = Int(instruction.addressByteCount)
            guard position &+ count <= limit else { return nil }
            instruction.immediate = readLittleEndian(count)
            instruction.base = 18
            instruction.memoryByteCount = instruction.operandByteCount
            return Operand(.memory)
        case .stringSource:
            instruction.memoryByteCount = instruction.operandByteCount
            return Operand(.stringSource)
        case .stringDestination:
            instruction.memoryByteCount = instruction.operandByteCount
            return Operand(.stringDestination)
        case .mmxReg:
            return Operand(.mmx, modRM >> 3 & 7)
        case .mmxRM:
            return modRM < 0xC0 ? Operand(.memory) : Operand(.mmx, modRM & 7)
        case .vectorReg:
            return Operand(.vector, modRM >> 3 & 7 | (rex & 4) << 1)
        case .vectorRM:
            return modRM < 0xC0 ? Operand(.memory) : Operand(.vector, modRM & 7 | (rex & 1) << 3)
        case .vectorVVVV:
            return Operand(.vector, isLong ? vvvv : vvvv & 7)
        case .vectorImmediate:
            guard position < limit else { return nil }
            let value = readLittleEndian(1)
            instruction.immediate = value
            return Operand(.vector, UInt8(truncatingIfNeeded: value >> 4) & (isLong ? 15 : 7))
        case .x87RM:
            return Operand(.x87, modRM & 7)
        case nil, .some(.none):
            return Operand.none
        }
    }

    /// CR1, CR5...7 and those above 8 do not exist, nor do debug registers above 7 (DR4 and DR5 are CR4.DE's).
    private mutating func checkNumbers(_ instruction: DecodedInstruction) {
        let first = instruction.operands.0
        let second = instruction.operands.1
        let operand = second.kind == .control || second.kind == .debug ? second : first
        if operand.kind == .control, 0x11D >> operand.number & 1 == 0 { isInvalid = true }
        if operand.kind == .debug, operand.number > 7 { isInvalid = true }
    }

    /// A gather whose destination, index and mask are not three registers is #UD.
    private func hasEqualRegisters(_ instruction: DecodedInstruction) -> Bool {
        let destination = instruction.operands.0.number
        let mask = instruction.operands.2.number
        let index = Int(instruction.index)
        return destination == mask || destination == index || mask == index
    }

    /// Measures C4 and 62 where the map's low bits are 0: Intel CPUs fetch these as LES and BOUND with that ModRM byte.
    @inline(never)
    private mutating func finishOldForm(
        _ opcode: UInt8,
        _ hasAddressSize: Bool,
        _ size: CodeSize,
        _ instruction: inout DecodedInstruction
    ) -> Bool {
        let modRM = bytes[position]
        position &+= 1
        let addressSize = isLong ? (hasAddressSize ? 4 : 8) : (size == .bits32) == hasAddressSize ? 2 : 4
        instruction.opcode = opcode
        instruction.modRM = modRM
        instruction.addressByteCount = UInt8(truncatingIfNeeded: addressSize)
        if modRM < 0xC0 {
            guard decodeMemory(modRM, addressSize, 0xFF, false, &instruction) else { return false }
        }
        instruction.length = UInt8(truncatingIfNeeded: position)
        return true
    }

    /// Measures an EVEX instruction, which no CPU model has (SDM 2A §2.7).
    @inline(never)
    private mutating func finishEVEX(
        _ hasAddressSize: Bool,
        _ size: CodeSize,
        _ instruction: inout DecodedInstruction
    ) -> Bool {
        guard position &+ 4 <= limit else { return false }
        let map: OpcodeMapID =
            switch bytes[position] & 3 {
            case 2: .vex0F38
            case 3: .vex0F3A
            default: .vex0F
            }
        let opcode = bytes[position &+ 3]
        position &+= 4
        instruction.opcode = opcode
        let shape = DecodeTables.shared.shapes[Int(map.rawValue) << 8 | Int(opcode)]
        let addressSize = isLong ? (hasAddressSize ? 4 : 8) : (size == .bits32) == hasAddressSize ? 2 : 4
        if shape.contains(.modRM) {
            guard position < limit else { return false }
            let modRM = bytes[position]
            position &+= 1
            instruction.modRM = modRM
            if modRM < 0xC0, !shape.contains(.modIgnored) {
                guard decodeMemory(modRM, addressSize, 0xFF, false, &instruction) else { return false }
            }
        }
        guard skipImmediate(shape, size == .bits16 ? 2 : 4) else { return false }
        instruction.addressByteCount = UInt8(truncatingIfNeeded: addressSize)
        instruction.length = UInt8(truncatingIfNeeded: position)
        return true
    }
}
