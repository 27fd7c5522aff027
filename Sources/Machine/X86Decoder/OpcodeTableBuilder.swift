import X86

/// What the decoder needs of a row while decoding: 16 bytes, so that a row is one cache line's quarter.
struct DecodeRow: BitwiseCopyable {
    var operation: Operation = .undefined
    /// ``OperandMode`` of each operand.
    var modes: (UInt8, UInt8, UInt8, UInt8) = (0, 0, 0, 0)
    /// ``Operand`` of each operand whose mode is ``OperandMode/fixed``.
    var fixed: (UInt8, UInt8, UInt8, UInt8) = (0, 0, 0, 0)
    var operandWidth: UInt8 = 0
    var rmWidth: UInt8 = 0
    var traits: Traits = []

    struct Traits: OptionSet, BitwiseCopyable {
        let rawValue: UInt32
        static let lock = Traits(rawValue: 1)
        static let default64 = Traits(rawValue: 2)
        static let force64 = Traits(rawValue: 4)
        static let vsib = Traits(rawValue: 8)
        static let modIgnored = Traits(rawValue: 16)
        static let usesVVVV = Traits(rawValue: 32)
        /// The row names a mandatory prefix (or their absence), so F2 and F3 are part of the opcode.
        static let prefixIsOpcode = Traits(rawValue: 64)
        static let checksNumbers = Traits(rawValue: 128)
    }
}

/// Collects the rows of the opcode table and turns them into the flat arrays that the decoder walks.
///
/// To extend the table, add a `row` statement to the file of its map under `Table/`: opcode, mnemonic, operation, operand
/// letters (``OperandLetters``), conditions and traits (``EncodingRule``), flags. Where several rows of one opcode match,
/// the later one wins, so a special case follows the general one. Nothing is generated: the arrays are built from these
/// statements at first use.
struct OpcodeTableBuilder {
    var map = OpcodeMapID.oneByte
    /// The feature of the rows that follow.
    var feature = CPUFeature.base

    private(set) var rows: [OpcodeRow] = []
    private(set) var decodeRows: [DecodeRow] = []
    private var rules: [EncodingRule] = []
    private var usesModRM: [Bool] = []
    private var immediates: [OpcodeShape] = []
    /// Row indexes by map and opcode.
    private var slots = [[UInt16]](repeating: [], count: 8 * 256)
    /// Splits: the dimension, then a node for each of its values.
    private(set) var nodes: [UInt16] = [0]

    init() {
        row(0, "(bad)", .undefined)
        slots[0] = []
    }

    /// Adds a row for `opcode` of the current ``map``.
    @inline(never)
    mutating func row(
        _ opcode: UInt8,
        _ mnemonic: StaticString,
        _ operation: Operation,
        _ letters: StaticString = "",
        _ rule: EncodingRule = [],
        _ flags: FlagEffect = .none,
        reads: RegisterSet = [],
        writes: RegisterSet = [],
        raises: ExceptionSet = []
    ) {
        let operands = OperandLetters.parse(letters)
        var rule = rule
        for operand in operands where operand.isRM {
            if operand.isMemoryOnly { rule.insert(.memory) }
            if operand.isRegisterOnly { rule.insert(.register) }
        }
        func operand(_ index: Int) -> OperandCode { index < operands.count ? operands[index] : OperandCode() }
        var entry = DecodeRow()
        entry.operation = operation
        entry.modes = (
            operand(0).mode.rawValue, operand(1).mode.rawValue, operand(2).mode.rawValue, operand(3).mode.rawValue
        )
        entry.fixed = (
            operand(0).fixed.rawValue, operand(1).fixed.rawValue, operand(2).fixed.rawValue, operand(3).fixed.rawValue
        )
        entry.operandWidth = Self.operandWidth(operands).rawValue
        entry.rmWidth = (operands.first { $0.isRM }?.width ?? .none).rawValue
        entry.traits = Self.traits(rule, operands)
        usesModRM.append(
            operands.contains { $0.usesModRM } || rule.constrains(.mod) || rule.constrains(.reg) || rule.constrains(.rm)
        )
        immediates.append(OpcodeShape.immediate(operands))
        slots[Int(map.rawValue) << 8 | Int(opcode)].append(UInt16(decodeRows.count))
        decodeRows.append(entry)
        rules.append(rule)
        rows.append(
            OpcodeRow(
                operation: operation,
                mnemonic: mnemonic,
                map: map,
                opcode: opcode,
                access: (operand(0).access, operand(1).access, operand(2).access, operand(3).access),
                modes: (operand(0).mode, operand(1).mode, operand(2).mode, operand(3).mode),
                hasModRM: usesModRM[usesModRM.count - 1],
                flagsRead: flags.read,
                flagsWritten: flags.written,
                flagsUndefined: flags.undefined,
                implicitRead: reads.rawValue,
                implicitWritten: writes.rawValue,
                feature: feature,
                sensitivity: rule.contains(.privileged)
                    ? .privileged : rule.contains(.sensitive) ? .sensitiveUnprivileged : .innocuous,
                exceptions: exceptions(rule, operands).union(raises),
                allowsLock: rule.contains(.lock),
                endsBlock: rule.contains(.endsBlock)
            )
        )
    }

    /// The width that ``DecodedInstruction/operandByteCount`` tells: the destination's, or for a memory destination
    /// of a vector register the vector's.
    private static func operandWidth(_ operands: [OperandCode]) -> WidthCode {
        guard let first = operands.first else { return .v }
        let vector = operands.first {
            switch $0.mode {
            case .vectorReg, .vectorRM, .vectorVVVV, .vectorImmediate: true
            default: false
            }
        }
        if let vector, !isMMX(first), first.mode != .rmGeneral && first.mode != .regGeneral || first.isMemoryOnly {
            switch vector.width {
            case .x, .h, .f, .e, .dup: return .x
            default: return .o
            }
        }
        switch first.mode {
        case .rmGeneral where first.isMemoryOnly && operands.count > 1 && operands[1].mode == .mmxReg, .mmxReg, .mmxRM:
            return .q
        case .segment, .control, .debug:
            return operands.count > 1 ? operands[1].width : .v
        case .immediateSigned, .relativeByte, .relativeZ, .farPointer, .immediateWord, .immediateZ:
            return .v
        case .immediateByte,
            .fixed where first.fixed == Operand(.general, 2):
            return operands.count > 1 ? operands[1].width : .v
        default:
            return first.width == .none ? .v : first.width
        }
    }

    private static func isMMX(_ operand: OperandCode) -> Bool { operand.mode == .mmxReg || operand.mode == .mmxRM }

    private static func traits(_ rule: EncodingRule, _ operands: [OperandCode]) -> DecodeRow.Traits {
        var traits: DecodeRow.Traits = []
        if rule.contains(.lock) { traits.insert(.lock) }
        if rule.contains(.default64) { traits.insert(.default64) }
        if rule.contains(.force64) { traits.insert(.force64) }
        if rule.contains(.vsib) { traits.insert(.vsib) }
        if rule.contains(.modIgnored) { traits.insert(.modIgnored) }
        if operands.contains(where: { $0.mode == .vectorVVVV || $0.mode == .vvvvGeneral }) { traits.insert(.usesVVVV) }
        if rule.constrains(.prefix) { traits.insert(.prefixIsOpcode) }
        if operands.contains(where: { $0.mode == .control || $0.mode == .debug }) { traits.insert(.checksNumbers) }
        return traits
    }

    private func exceptions(_ rule: EncodingRule, _ operands: [OperandCode]) -> ExceptionSet {
        var set: ExceptionSet = []
        if rule.contains(.privileged) { set.insert(.privilege) }
        if rule.contains(.lock) { set.insert(.invalidOpcode) }
        if rule.contains(.simd) { set.insert(.simd) }
        let isVEX = map == .vex0F || map == .vex0F38 || map == .vex0F3A
        var usesVectors = false
        for operand in operands {
            switch operand.mode {
            case .vectorReg, .vectorRM, .vectorVVVV, .vectorImmediate, .mmxReg, .mmxRM: usesVectors = true
            case .x87RM: set.insert(.deviceNotAvailable)
            default: break
            }
        }
        if map == .x87 { set.formUnion([.deviceNotAvailable, .x87]) }
        if usesVectors { set.formUnion([.deviceNotAvailable, .invalidOpcode]) }
        if operands.contains(where: { $0.mode == .mmxReg || $0.mode == .mmxRM }) { set.insert(.x87) }
        let isFull = operands.contains { $0.isRM && !$0.isRegisterOnly && ($0.width == .x || $0.width == .o) }
        if usesVectors, isFull, !rule.contains(.unaligned), !isVEX || rule.contains(.aligned) {
            set.insert(.alignedMemory)
        }
        return set
    }

    /// What every opcode of `map` leads to, and its shape, 256 of each.
    mutating func roots(_ map: OpcodeMapID) -> (nodes: [UInt16], shapes: [OpcodeShape]) {
        var roots: [UInt16] = []
        var shapes: [OpcodeShape] = []
        for opcode in 0..<256 {
            let candidates = slots[Int(map.rawValue) << 8 | opcode]
            roots.append(build(candidates, EncodingRule.Dimension.allCases[...]))
            var source = candidates
            if candidates.isEmpty, map == .vex0F, !(0x30..<0x40).contains(opcode) {
                source = slots[Int(OpcodeMapID.map0F.rawValue) << 8 | opcode]
            }
            guard let first = source.first else {
                shapes.append(OpcodeShape.undefined(map, opcode))
                continue
            }
            var shape = immediates[Int(first)]
            if !source.allSatisfy({ immediates[Int($0)] == shape }) { shape = [] }
            if source.contains(where: { usesModRM[Int($0)] }) { shape.insert(.modRM) }
            if rules[Int(first)].contains(.modIgnored) { shape.insert(.modIgnored) }
            shapes.append(shape)
        }
        return (roots, shapes)
    }

    private mutating func build(_ candidates: [UInt16], _ dimensions: ArraySlice<EncodingRule.Dimension>) -> UInt16 {
        guard let dimension = dimensions.first, !candidates.isEmpty else { return candidates.last ?? 0 }
        let rest = dimensions.dropFirst()
        guard candidates.contains(where: { rules[Int($0)].constrains(dimension) }) else {
            return build(candidates, rest)
        }
        let values = (0..<dimension.bits.count).map { value in
            let chosen = candidates.filter { rules[Int($0)].allowed(dimension) >> UInt64(value) & 1 != 0 }
            return build(chosen, rest)
        }
        let start = nodes.count
        nodes.append(UInt16(dimension.rawValue))
        nodes.append(contentsOf: values)
        return UInt16(start) | 0x8000
    }
}

/// What the length of an instruction depends on, besides its row: the CPU fetches this much even of what it then refuses.
struct OpcodeShape: OptionSet {
    let rawValue: UInt8
    static let modRM = OpcodeShape(rawValue: 1)
    static let byte = OpcodeShape(rawValue: 2)
    /// 16 or 32 bits, by operand size.
    static let z = OpcodeShape(rawValue: 4)
    static let farPointer = OpcodeShape(rawValue: 8)
    static let modIgnored = OpcodeShape(rawValue: 16)

    static func immediate(_ operands: [OperandCode]) -> OpcodeShape {
        for operand in operands {
            switch operand.mode {
            case .immediateByte, .immediateSigned, .vectorImmediate, .relativeByte: return .byte
            case .immediateZ, .relativeZ: return .z
            case .farPointer: return .farPointer
            default: break
            }
        }
        return []
    }

    /// The shape of an opcode that no row defines, as Intel CPUs fetch it.
    static func undefined(_ map: OpcodeMapID, _ opcode: Int) -> OpcodeShape {
        switch (map, opcode) {
        case (.oneByte, _): []
        case (.map0F, 0x04), (.map0F, 0x0A), (.map0F, 0x0C), (.map0F, 0x0E...0x0F), (.map0F, 0x24...0x27),
            (.map0F, 0x36),
            (.vex0F, 0x04), (.vex0F, 0x0A), (.vex0F, 0x0C), (.vex0F, 0x0E...0x0F), (.vex0F, 0x24...0x27),
            (.vex0F, 0x30...0x3F):
            []
        case (.map0F3A, _), (.vex0F3A, _): [.modRM, .byte]
        default: .modRM
        }
    }
}
