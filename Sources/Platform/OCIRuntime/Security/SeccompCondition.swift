internal import CSeccomp

/// What a rule asks of one argument of a call.
struct SeccompCondition: Equatable {
    let argument: UInt32
    let comparison: scmp_compare
    let value: UInt64
    /// What the bits of `value`, a mask, have to be.
    let valueTwo: UInt64

    /// The same of the low halves.
    var short: Self {
        Self(argument: argument, comparison: comparison, value: value & 0xFFFF_FFFF, valueTwo: valueTwo & 0xFFFF_FFFF)
    }

    /// Whether no value is what both ask for; false where that is not seen.
    func excludes(_ other: Self) -> Bool {
        guard argument == other.argument else { return false }
        if let (mask, bits) = masked, let (otherMask, otherBits) = other.masked {
            return (bits ^ otherBits) & mask & otherMask != 0
        }
        switch (comparison, other.comparison) {
        case (SCMP_CMP_NE, SCMP_CMP_EQ), (SCMP_CMP_EQ, SCMP_CMP_NE): return value == other.value
        default: break
        }
        guard let range, let otherRange = other.range else { return false }
        return !range.overlaps(otherRange)
    }

    private var masked: (mask: UInt64, bits: UInt64)? {
        switch comparison {
        case SCMP_CMP_EQ: (.max, value)
        case SCMP_CMP_MASKED_EQ: (value, valueTwo & value)
        default: nil
        }
    }

    private var range: ClosedRange<UInt64>? {
        switch comparison {
        case SCMP_CMP_EQ: value...value
        case SCMP_CMP_LT: value > 0 ? 0...(value - 1) : nil
        case SCMP_CMP_LE: 0...value
        case SCMP_CMP_GT: value < .max ? (value + 1)...UInt64.max : nil
        case SCMP_CMP_GE: value...UInt64.max
        default: nil
        }
    }

    private enum Target {
        /// The next instruction, what follows this condition, what follows the whole rule.
        case next, holds, fails
    }

    private struct Step {
        var instruction: SeccompInstruction
        var whenTrue = Target.next
        var whenFalse = Target.next
    }

    /// Leaves with `action` where all conditions hold; goes on after the code where not.
    static func code(_ conditions: [SeccompCondition], isShort: Bool, action: UInt32) -> [SeccompInstruction] {
        let parts = conditions.map { $0.steps(isShort: isShort) }
        let end = parts.reduce(1) { $0 + $1.count }
        var code: [SeccompInstruction] = []
        for steps in parts {
            let holds = code.count + steps.count
            for step in steps {
                var instruction = step.instruction
                let next = code.count + 1
                func distance(_ target: Target) -> UInt8 {
                    switch target {
                    case .next: 0
                    case .holds: UInt8(truncatingIfNeeded: holds - next)
                    // At most 6 conditions of 6 instructions each.
                    case .fails: UInt8(truncatingIfNeeded: end - next)
                    }
                }
                instruction.whenTrue = distance(step.whenTrue)
                instruction.whenFalse = distance(step.whenFalse)
                code.append(instruction)
            }
        }
        return code + [.leave(action)]
    }

    private func steps(isShort: Bool) -> [Step] {
        let low = UInt32(truncatingIfNeeded: value)
        let high = UInt32(truncatingIfNeeded: value >> 32)
        // Little-endian: the low half is first.
        let loadLow = Step(instruction: .load(SeccompInstruction.argumentOffset(argument)))
        let loadHigh = Step(instruction: .load(SeccompInstruction.argumentOffset(argument) + 4))
        func step(_ code: UInt16, _ operand: UInt32, _ whenTrue: Target, _ whenFalse: Target) -> Step {
            Step(
                instruction: SeccompInstruction(code: code, operand: operand),
                whenTrue: whenTrue,
                whenFalse: whenFalse
            )
        }
        let equal = SeccompInstruction.jumpIfEqual
        let greater = SeccompInstruction.jumpIfGreater
        let notLess = SeccompInstruction.jumpIfNotLess
        switch comparison {
        case SCMP_CMP_MASKED_EQ:
            let bits = valueTwo & value
            let lowSteps = [
                loadLow, Step(instruction: .and(low)), step(equal, UInt32(truncatingIfNeeded: bits), .next, .fails),
            ]
            let highSteps = [
                loadHigh, Step(instruction: .and(high)),
                step(equal, UInt32(truncatingIfNeeded: bits >> 32), .next, .fails),
            ]
            return isShort ? lowSteps : highSteps + lowSteps
        case SCMP_CMP_NE:
            let lowSteps = [loadLow, step(equal, low, .fails, .next)]
            return isShort ? lowSteps : [loadHigh, step(equal, high, .next, .holds)] + lowSteps
        case SCMP_CMP_GT, SCMP_CMP_GE:
            let lowSteps = [loadLow, step(comparison == SCMP_CMP_GT ? greater : notLess, low, .next, .fails)]
            return isShort
                ? lowSteps
                : [loadHigh, step(greater, high, .holds, .next), step(equal, high, .next, .fails)] + lowSteps
        case SCMP_CMP_LT, SCMP_CMP_LE:
            let lowSteps = [loadLow, step(comparison == SCMP_CMP_LT ? notLess : greater, low, .fails, .next)]
            return isShort
                ? lowSteps
                : [loadHigh, step(greater, high, .fails, .next), step(equal, high, .next, .holds)] + lowSteps
        default:
            let lowSteps = [loadLow, step(equal, low, .next, .fails)]
            return isShort ? lowSteps : [loadHigh, step(equal, high, .next, .fails)] + lowSteps
        }
    }
}
