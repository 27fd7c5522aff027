import OCIRuntime

/// Runs a filter's program as the kernel does (linux/filter.h, seccomp(2)); an oracle, so it knows nothing of how programs are made.
struct SeccompSimulation {
    static let amd64: UInt32 = 0xC000_003E
    static let i386: UInt32 = 0x4000_0003

    let program: [UInt8]

    init(_ filter: SeccompFilter) { program = filter.program }

    private func word(_ place: Int, _ count: Int) -> UInt32 {
        (0..<count).reduce(0) { $0 | UInt32(program[place + $1]) << UInt32(8 * $1) }
    }

    /// What the program returns for a call; nil where it is no program that the kernel would take, or it never ends.
    func result(_ call: UInt32, architecture: UInt32 = amd64, _ arguments: [UInt64] = []) -> UInt32? {
        guard program.count % 8 == 0 else { return nil }
        var data: [UInt32] = [call, architecture, 0, 0]
        for index in 0..<6 {
            let argument = index < arguments.count ? arguments[index] : 0
            data.append(UInt32(truncatingIfNeeded: argument))
            data.append(UInt32(argument >> 32))
        }
        var accumulator: UInt32 = 0
        var memory = [UInt32](repeating: 0, count: 16)
        var place = 0
        while place < program.count / 8 {
            let code = word(place * 8, 2)
            let whenTrue = Int(program[place * 8 + 2])
            let whenFalse = Int(program[place * 8 + 3])
            let operand = word(place * 8 + 4, 4)
            place += 1
            switch code {
            case 0x20:
                guard operand % 4 == 0, operand < 64 else { return nil }
                accumulator = data[Int(operand / 4)]
            case 0x60: accumulator = memory[Int(operand & 15)]
            case 0x02: memory[Int(operand & 15)] = accumulator
            case 0x54: accumulator &= operand
            case 0x05: place += Int(operand)
            case 0x15: place += accumulator == operand ? whenTrue : whenFalse
            case 0x25: place += accumulator > operand ? whenTrue : whenFalse
            case 0x35: place += accumulator >= operand ? whenTrue : whenFalse
            case 0x45: place += accumulator & operand != 0 ? whenTrue : whenFalse
            case 0x06: return operand
            default: return nil
            }
        }
        return nil
    }
}
