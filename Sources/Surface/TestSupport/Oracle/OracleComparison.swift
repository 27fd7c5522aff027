import Glibc
import HostCode
import X86

/// What differs between two states after a case, in words.
struct OracleDifference {
    var lines: [String] = []
    /// Arithmetic flags that differ and are undefined: told, but no failure.
    var undefinedFlags: UInt64 = 0
    var isEmpty: Bool { lines.isEmpty }

    mutating func add(_ what: String, _ mine: UInt64, _ theirs: UInt64, _ other: String = "host") {
        lines.append("\(what): interpreter \(hexadecimal(mine)), \(other) \(hexadecimal(theirs))")
    }
}

func hexadecimal(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

/// Compares the interpreter with the host.
struct OracleComparison {
    /// Flags that user code can change: arithmetic, DF, NT, AC, ID.
    static let flags: UInt64 = RFlags.arithmetic | RFlags.df | RFlags.nt | RFlags.ac | RFlags.id
    static let names = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    ]
    /// Runs of bytes of the XSAVE area that are compared: control, status, tags; x87 opcode, instruction and data pointer as far
    /// as the host keeps them; MXCSR; x87 registers; XMM; upper halves.
    let runs: [(Int, Int)]
    let generator: OracleGenerator

    /// `keepsPointer`: Whether the host notes where an x87 instruction was, as some do only for unmasked exceptions.
    ///
    /// `keepsDataPointer`: Whether the host notes the operand's address only for unmasked exceptions, as the CPU models say.
    init(generator: OracleGenerator, keepsPointer: Bool, keepsDataPointer: Bool) {
        self.generator = generator
        runs =
            [(0, 5), (6, 2)] + (keepsPointer ? [(8, 8)] : []) + (keepsDataPointer ? [(16, 8)] : []) + [(24, 4)]
            + (0..<8).map { (32 + $0 * 16, 10) } + [(160, 256), (576, 256)]
    }

    /// How the run ended on each side.
    func compareEnd(_ stop: OracleStop, _ outcome: NativeOutcome, into difference: inout OracleDifference) {
        guard case .exception(let vector, let errorCode, let rip, let address) = stop else { return }
        switch outcome {
        case .completed:
            if vector != 13 || rip != generator.endAddress {
                difference.lines.append(
                    "interpreter: exception \(vector) (\(hexadecimal(UInt64(errorCode)))) at \(place(rip)), host: ran to the end"
                )
            }
        case .exception(let hostVector, let hostCode, let hostAddress, let offset):
            let hostRIP = generator.codeStart &+ UInt64(bitPattern: Int64(offset))
            if vector != hostVector || rip != hostRIP {
                let mine =
                    vector == 13 && rip == generator.endAddress
                    ? "ran to the end" : "exception \(vector) at \(place(rip))"
                difference.lines.append("interpreter: \(mine), host: exception \(hostVector) at \(place(hostRIP))")
                return
            }
            if 10...14 ~= vector, UInt64(errorCode) != hostCode {
                difference.add("error code", UInt64(errorCode), hostCode)
            }
            let ignored: UInt64 = generator.movesMasked ? 0xFFF : 0
            if vector == 14, (address ^ hostAddress) & ~ignored != 0 { difference.add("CR2", address, hostAddress) }
        }
    }

    private func place(_ rip: UInt64) -> String {
        let offset = Int64(bitPattern: rip &- generator.codeStart)
        return abs(offset) < 0x10000 ? "code\(offset < 0 ? "" : "+")\(offset)" : hexadecimal(rip)
    }

    func compareRegisters(
        _ mine: CPUState,
        _ theirs: NativeState,
        ignoring: UInt64,
        except deviation: OracleDeviation?,
        into difference: inout OracleDifference
    ) {
        for index in 0..<16 where mine[index] != theirs[index] {
            difference.add(Self.names[index], mine[index], theirs[index])
        }
        let changed = (mine.rflags ^ theirs.rflags) & Self.flags
        difference.undefinedFlags |= changed & ignoring
        if changed & ~ignoring != 0 {
            difference.add(
                "flags \(flagNames(changed & ~ignoring))",
                mine.rflags & Self.flags,
                theirs.rflags & Self.flags
            )
        }
        for (start, count) in runs
        where !(deviation?.covers(start) ?? false)
            && memcmp(mine.xsaveArea + start, theirs.xsaveArea + start, count) != 0
        {
            compareRun(mine.xsaveArea, theirs.xsaveArea, start, count, &difference)
        }
    }

    private func compareRun(
        _ mine: UnsafeRawPointer,
        _ theirs: UnsafeRawPointer,
        _ start: Int,
        _ count: Int,
        _ difference: inout OracleDifference
    ) {
        let step = start == 0 ? 1 : start == 24 ? 4 : min(count, 8)
        for at in stride(from: start, to: start + count, by: step) {
            let width = min(step, start + count - at)
            func value(_ area: UnsafeRawPointer) -> UInt64 {
                (0..<width).reduce(0) {
                    $0 | UInt64(area.load(fromByteOffset: at + $1, as: UInt8.self)) << UInt64($1 * 8)
                }
            }
            if value(mine) != value(theirs) { difference.add(Self.name(at), value(mine), value(theirs)) }
        }
    }

    private static func name(_ at: Int) -> String {
        switch at {
        case 0, 1: "x87 control byte \(at)"
        case 2, 3: "x87 status byte \(at - 2)"
        case 4: "x87 tags"
        case 6: "x87 opcode"
        case 8: "x87 instruction pointer"
        case 16: "x87 data pointer"
        case 24: "mxcsr"
        case 32..<160: "st\((at - 32) / 16) byte \((at - 32) % 16)"
        case 160..<416: "xmm\((at - 160) / 16) byte \((at - 160) % 16)"
        default: "ymm\((at - 576) / 16) byte \((at - 576) % 16 + 16)"
        }
    }

    func flagNames(_ set: UInt64) -> String {
        let names: [(UInt64, String)] = [
            (RFlags.cf, "CF"), (RFlags.pf, "PF"), (RFlags.af, "AF"), (RFlags.zf, "ZF"), (RFlags.sf, "SF"),
            (RFlags.of, "OF"),
            (RFlags.df, "DF"), (RFlags.nt, "NT"), (RFlags.ac, "AC"), (RFlags.id, "ID"),
        ]
        return names.filter { set & $0.0 != 0 }.map(\.1).joined(separator: " ")
    }

    func compareData(_ guest: OracleGuest, _ bytes: UnsafeRawPointer, into difference: inout OracleDifference) {
        guard let at = guest.firstDifference(from: bytes) else { return }
        difference.add("data+\(at)", guest.dataWord(at), bytes.load(fromByteOffset: at, as: UInt64.self))
    }
}
