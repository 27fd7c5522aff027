import X86
import X86Decoder

extension Core {
    /// Chooses the handler for a decoded instruction and notes it in ``DecodedInstruction/handler``.
    ///
    /// `long`: The code is 64-bit: only there the stack and call handlers hold.
    func setQuickHandler(_ i: Instruction, long: Bool) {
        let operation = i.pointee.operation
        // A shift by one then needs no handler of its own.
        if i.pointee.operands.1.kind == .one { i.pointee.immediate = 1 }
        if services.codeCache.avoidsQuickHandlers {
            i.pointee.handler = groupHandler(operation).rawValue
            return
        }
        let dependsOnValues = operation == .jcc || operation == .shl || operation == .shr || operation == .sar
        if dependsOnValues || !i.pointee.prefixes.isDisjoint(with: [.repeatEqual, .repeatNotEqual]) {
            i.pointee.handler = (quickHandler(i.pointee, long: long) ?? groupHandler(operation)).rawValue
            return
        }
        // The row, the operands' kinds and the width decide; the choice is made once for each combination.
        let index = Self.formIndex(i.pointee, long: long)
        var handler = services.codeCache.chosenHandlers[index]
        if handler == CodeCache.noHandler {
            handler = (quickHandler(i.pointee, long: long) ?? groupHandler(operation)).rawValue
            services.codeCache.chosenHandlers[index] = handler
        }
        i.pointee.handler = handler
    }

    /// A number for what the choice depends on, below ``formCount`` times the number of rows.
    private static func formIndex(_ i: DecodedInstruction, long: Bool) -> Int {
        let width = i.operandByteCount.trailingZeroBitCount & 3
        let form = kindCode(i.operands.0) &* 5 &+ kindCode(i.operands.1)
        return Int(i.row) &* formCount &+ (form &* 4 &+ width) &* 2 &+ (long ? 1 : 0)
    }

    static let formCount = 200

    private static func kindCode(_ operand: Operand) -> Int {
        switch operand.kind {
        case .general: 0
        case .memory: 1
        case .immediate: 2
        case .none: 3
        default: 4
        }
    }

    /// The complete function that knows `operation`.
    func groupHandler(_ operation: Operation) -> QuickHandler {
        if operation == .undefined { return .undefined }
        if operation.rawValue < Operation.firstSystem { return .integer }
        return operation.rawValue < Operation.firstVector ? .system : .vector
    }

    private func quickHandler(_ i: DecodedInstruction, long: Bool) -> QuickHandler? {
        guard i.prefixes.isDisjoint(with: [.repeatEqual, .repeatNotEqual]) || i.operation == .retNear else {
            return nil
        }
        switch i.operation {
        case .jcc:
            guard i.operandByteCount == (long ? 8 : 4) else { return nil }
            return QuickHandler(rawValue: QuickHandler.jumpO.rawValue + (i.opcode & 15))
        case .jmpNear where i.operands.0.kind == .relative: return .jump
        case .jmpNear where long: return i.operands.0.isMemory ? .jumpM : .jumpR
        case .callNear where long && i.operands.0.kind == .relative: return .call
        case .callNear where long: return i.operands.0.isMemory ? .callM : .callR
        case .retNear where long && i.operands.0.kind == .none && i.operandByteCount == 8: return .ret
        case .push where long && i.operandByteCount == 8:
            switch i.operands.0.kind {
            case .general: return .pushR
            case .immediate: return .pushI
            case .memory: return .pushM
            default: return nil
            }
        case .pop where long && i.operandByteCount == 8 && i.operands.0.kind == .general: return .popR
        case .leave where long && i.operandByteCount == 8: return .leave
        case .nop, .endbr, .prefetch: return .nop
        case .cbw where i.operandByteCount == 8: return .signExtendEAX
        case .setcc where i.operands.0.kind == .general: return .setccR
        case .movzx: return extendHandler(i)
        case .movsx where i.memoryByteCount == 1 && i.operandByteCount >= 4:
            let name = i.operands.1.kind == .general ? "movsxR8to" : i.operands.1.isMemory ? "movsxM8to" : ""
            return name.isEmpty ? nil : Self.quickNamed(name + String(Int(i.operandByteCount) * 8))
        case .movsxd where i.operandByteCount == 8: return i.operands.1.isMemory ? .movsxdM : .movsxdR
        case .mov: return moveHandler(i)
        default: return arithmeticHandler(i)
        }
    }

    private func extendHandler(_ i: DecodedInstruction) -> QuickHandler? {
        guard i.operandByteCount >= 4 else { return nil }
        switch i.operands.1.kind {
        case .general: return i.memoryByteCount == 1 ? .movzxR8 : .movzxR16
        case .memory: return i.memoryByteCount == 1 ? .movzxM8 : .movzxM16
        default: return nil
        }
    }

    private func moveHandler(_ i: DecodedInstruction) -> QuickHandler? {
        let bits = String(Int(i.operandByteCount) * 8)
        switch (i.operands.0.kind, i.operands.1.kind) {
        case (.general, .general): return Self.quickNamed("movRR" + bits)
        // A moffs operand keeps its address where an immediate would be; the addressing knows.
        case (.general, .memory): return Self.quickNamed("load" + bits)
        case (.memory, .general): return Self.quickNamed("storeR" + bits)
        case (.general, .immediate): return Self.quickNamed("movRI" + bits)
        case (.memory, .immediate): return Self.quickNamed("storeI" + bits)
        default: return nil
        }
    }

    /// The handlers whose names are made of operation, forms and width.
    private func arithmeticHandler(_ i: DecodedInstruction) -> QuickHandler? {
        var name = "\(i.operation)"
        if i.operation == .cmovcc { name = "cmov" }
        if i.operation == .shl || i.operation == .shr || i.operation == .sar {
            let isOne = i.operands.1.kind == .one
            guard i.operands.0.kind == .general, isOne || i.operands.1.kind == .immediate, i.operandByteCount >= 4
            else { return nil }
            // A count of 0 changes no flags, and counts are cut to the width: the complete function knows.
            guard i.immediate != 0, i.immediate < UInt64(i.operandByteCount) * 8 else { return nil }
            let is64 = i.operandByteCount == 8
            switch i.operation {
            case .shl: return is64 ? .shlRI64 : .shlRI32
            case .shr: return is64 ? .shrRI64 : .shrRI32
            default: return is64 ? .sarRI64 : .sarRI32
            }
        }
        guard Self.quickOperations.contains(name) else { return nil }
        for kind in [i.operands.0.kind, i.operands.1.kind] {
            switch kind {
            case .general: name += "R"
            case .memory: name += "M"
            case .immediate: name += "I"
            case .none: break
            default: return nil
            }
        }
        guard i.operands.2.kind == .none else { return nil }
        if i.operation == .lea { name = "lea" }
        return Self.quickNamed(name + String(Int(i.operandByteCount) * 8))
    }

    private static func quickNamed(_ name: String) -> QuickHandler? {
        QuickHandler.valuesByName[name].flatMap(QuickHandler.init(rawValue:))
    }

    private static let quickOperations: Set<String> = [
        "add", "or", "adc", "sbb", "and", "sub", "xor", "cmp", "test", "inc", "dec", "neg", "not", "cmov", "imul",
        "lea",
    ]
}
