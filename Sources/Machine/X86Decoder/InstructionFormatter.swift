/// Prints instructions in Intel syntax, much as capstone and GNU objdump do.
public struct InstructionFormatter: Sendable {
    /// The address of the instruction's first byte.
    public var address: UInt64
    public var size: CodeSize

    public init(address: UInt64, size: CodeSize) {
        self.address = address
        self.size = size
    }

    /// The mnemonic with the prefixes that are part of the assembly text: `lock add`, `rep movsb`.
    public func mnemonic(_ instruction: DecodedInstruction) -> String {
        let name = OpcodeTable.row(instruction.row).mnemonic.description
        if instruction.prefixes.contains(.lock) { return "lock " + name }
        let isCompare = instruction.operation == .cmps || instruction.operation == .scas
        switch instruction.operation {
        case .movs, .stos, .lods, .ins, .outs, .cmps, .scas:
            if instruction.prefixes.contains(.repeatEqual) { return (isCompare ? "repe " : "rep ") + name }
            if instruction.prefixes.contains(.repeatNotEqual) { return "repne " + name }
            return name
        default:
            return name
        }
    }

    /// The whole instruction.
    public func text(_ instruction: DecodedInstruction) -> String {
        let operands = [
            instruction.operands.0, instruction.operands.1, instruction.operands.2, instruction.operands.3,
        ]
        let row = OpcodeTable.row(instruction.row)
        if instruction.operation == .enter {
            // Its two immediates share a field.
            return "enter " + Self.hexadecimal(instruction.immediate & 0xFFFF) + ", "
                + Self.hexadecimal(instruction.immediate >> 16)
        }
        let texts = operands.filter { $0.kind != .none }.map { operand($0, of: instruction, row) }
        return texts.isEmpty ? mnemonic(instruction) : mnemonic(instruction) + " " + texts.joined(separator: ", ")
    }

    private func operand(_ operand: Operand, of instruction: DecodedInstruction, _ row: OpcodeRow) -> String {
        let number = operand.number
        switch operand.kind {
        case .none, .reserved: return ""
        case .general: return Self.register(number, byteCount: width(operand, instruction, row))
        case .highByte: return ["ah", "ch", "dh", "bh"][number & 3]
        case .memory: return memory(instruction)
        case .immediate:
            switch instruction.operation {
            case .callFar, .jmpFar:
                return Self.hexadecimal(instruction.immediate >> 32) + ":"
                    + Self.hexadecimal(instruction.immediate & 0xFFFF_FFFF)
            default: return Self.signed(instruction.immediate)
            }
        case .relative: return Self.hexadecimal(target(instruction))
        case .segment: return Self.segments[min(number, 5)]
        case .control: return "cr\(number)"
        case .debug: return "dr\(number)"
        case .one: return "1"
        case .mmx: return "mm\(number)"
        case .vector:
            let isWide = instruction.operandByteCount == 32 || instruction.memoryByteCount == 32
            return (isWide ? "ymm" : "xmm") + "\(number)"
        case .x87: return "st(\(number))"
        case .stringDestination:
            return Self.pointer(instruction.operandByteCount) + "es:["
                + Self.register(7, byteCount: Int(instruction.addressByteCount)) + "]"
        case .stringSource:
            return Self.pointer(instruction.operandByteCount) + Self.segments[Int(min(instruction.segment, 5))] + ":["
                + Self.register(6, byteCount: Int(instruction.addressByteCount)) + "]"
        }
    }

    /// The width of a general register, in bytes: the destination's, or for a source named by ModRM.rm its own.
    private func width(_ operand: Operand, _ instruction: DecodedInstruction, _ row: OpcodeRow) -> Int {
        switch instruction.operation {
        case .in, .out, .ins, .outs:
            return operand.number == 2 ? 2 : Int(instruction.operandByteCount)
        case .shl, .shr, .sar, .rol, .ror, .rcl, .rcr, .shld, .shrd:
            let isCount =
                instruction.operands.1 == operand && instruction.opcode >= 0xD2
                || instruction.operands.2 == operand && instruction.opcode & 1 == 1
            return isCount && operand.number == 1 ? 1 : Int(instruction.operandByteCount)
        case .movzx, .movsx, .movsxd, .crc32, .lar, .lsl, .movToSegment:
            let isSource = instruction.operands.1 == operand && instruction.modRM >= 0xC0
            return Int(isSource ? instruction.memoryByteCount : instruction.operandByteCount)
        default:
            if instruction.operandByteCount > 8 {
                return instruction.memoryByteCount > 8 || instruction.memoryByteCount == 0
                    ? 8 : Int(instruction.memoryByteCount)
            }
            return Int(instruction.operandByteCount)
        }
    }

    /// The address that a relative branch goes to.
    private func target(_ instruction: DecodedInstruction) -> UInt64 {
        let next = address &+ UInt64(instruction.length) &+ instruction.immediate
        switch instruction.operandByteCount {
        case 2: return next & 0xFFFF
        case 4: return next & 0xFFFF_FFFF
        default: return next
        }
    }

    private func memory(_ instruction: DecodedInstruction) -> String {
        var text = Self.pointer(instruction.memoryByteCount)
        let byteCount = Int(instruction.addressByteCount)
        let isStack = instruction.base == 5 || (instruction.base == 4 && byteCount > 2)
        if instruction.segment != (isStack ? 2 : 3) || instruction.base == 18 {
            text += Self.segments[Int(min(instruction.segment, 5))] + ":"
        }
        if instruction.base == 18 { return text + "[" + Self.hexadecimal(instruction.immediate) + "]" }
        text += "["
        var hasTerm = false
        if instruction.base == 17 {
            text += byteCount == 4 ? "eip" : "rip"
            hasTerm = true
        } else if instruction.base < 16 {
            text += Self.register(Int(instruction.base), byteCount: byteCount)
            hasTerm = true
        }
        if instruction.index < 16 {
            let isVector = OpcodeTable.row(instruction.row).mnemonic.description.contains("gather")
            text += hasTerm ? " + " : ""
            text += isVector ? "xmm\(instruction.index)" : Self.register(Int(instruction.index), byteCount: byteCount)
            if instruction.scale != 0 || isVector { text += "*\(1 << Int(instruction.scale & 3))" }
            hasTerm = true
        }
        let displacement = Int64(instruction.displacement)
        if !hasTerm {
            let mask: UInt64 = byteCount == 2 ? 0xFFFF : byteCount == 4 ? 0xFFFF_FFFF : .max
            return text + Self.hexadecimal(UInt64(bitPattern: displacement) & mask) + "]"
        }
        if displacement != 0 {
            text += displacement < 0 ? " - " : " + "
            text += Self.hexadecimal(displacement.magnitude)
        }
        return text + "]"
    }

    private static let segments = ["es", "cs", "ss", "ds", "fs", "gs"]
    private static let names = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"]

    private static func register(_ number: Int, byteCount: Int) -> String {
        if number >= 8 {
            let suffix = byteCount == 1 ? "b" : byteCount == 2 ? "w" : byteCount == 4 ? "d" : ""
            return "r\(number)" + suffix
        }
        let name = names[number & 7]
        switch byteCount {
        case 1: return number < 4 ? String(name.prefix(1)) + "l" : name + "l"
        case 2: return name
        case 4: return "e" + name
        default: return "r" + name
        }
    }

    private static func pointer(_ byteCount: UInt8) -> String {
        switch byteCount {
        case 1: "byte ptr "
        case 2: "word ptr "
        case 4: "dword ptr "
        case 6: "fword ptr "
        case 8: "qword ptr "
        case 10: "tbyte ptr "
        case 16: "xmmword ptr "
        case 32: "ymmword ptr "
        default: ""
        }
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        value < 10 ? "\(value)" : "0x" + String(value, radix: 16)
    }

    private static func signed(_ value: UInt64) -> String {
        let number = Int64(bitPattern: value)
        return number < 0 && number > -0x1_0000_0000 ? "-" + hexadecimal(number.magnitude) : hexadecimal(value)
    }
}
