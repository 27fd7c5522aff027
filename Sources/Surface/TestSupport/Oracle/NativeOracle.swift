import HostCode
internal import SystemCalls
internal import X86
internal import X86Decoder

/// Compares the interpreter with the host's CPU: random instructions and short sequences with random state, for every row of
/// the opcode table that user mode can run.
///
/// Each case runs in the interpreter first. If that says that the code would reach memory that is not the case's, the host
/// does not run it and the case is dropped. Integer instructions run twice in the interpreter: by the quick handlers and by
/// the complete functions, which have to agree. `Docs/oracle.md` tells more. One thread at a time.
public final class NativeOracle {
    public let seed: UInt64
    public private(set) var coverage: OracleCoverage
    /// The first ten differences, in words.
    public private(set) var failures: [String] = []
    public private(set) var failureCount = 0

    private let native: NativeExecutor
    private let guest: OracleGuest
    private let complete: OracleGuest
    private let generator: OracleGenerator
    private let comparison: OracleComparison
    private let hostFSBase: UInt64
    private let usesGS: Bool

    public init(seed: UInt64) throws {
        self.seed = seed
        native = try NativeExecutor(memoryByteCount: OracleGuest.dataByteCount)
        let scope = OracleScope(model: .vivariumV3)
        coverage = OracleCoverage(scope: scope)
        // RDFSBASE RAX
        native.state.reset()
        usesGS = scope.features.contains(.fsgsbase) && native.run([0xF3, 0x48, 0x0F, 0xAE, 0xC0]) == .completed
        hostFSBase = usesGS ? native.state[0] : 0
        generator = OracleGenerator(native: native, rows: coverage.runnable, usesGS: usesGS)
        // FLD dword [RDI]: whether the host tells its address, and not the address of the operand.
        native.state.reset()
        native.state[7] = native.memoryAddress
        _ = native.run([0xD9, 0x07])
        let area = native.state.xsaveArea
        let keepsPointer = area.load(fromByteOffset: 8, as: UInt64.self) == generator.codeStart
        let keepsDataPointer = keepsPointer && area.load(fromByteOffset: 16, as: UInt64.self) == 0
        comparison = OracleComparison(
            generator: generator,
            keepsPointer: keepsPointer,
            keepsDataPointer: keepsDataPointer
        )
        guest = try OracleGuest(
            codeAddress: native.codeWindowAddress,
            dataAddress: native.memoryAddress,
            model: .vivariumV3
        )
        complete = try OracleGuest(
            codeAddress: native.codeWindowAddress,
            dataAddress: native.memoryAddress,
            model: .vivariumV3
        )
        complete.avoidsQuickHandlers = true
        resetSegments()
    }

    /// Where the host's code and data lie: cases are the same wherever this is.
    public var placeDescription: String { hexadecimal(native.codeWindowAddress) }

    /// Null selectors and the known GS base, on every side.
    private func resetSegments() {
        if usesGS {
            native.state.reset()
            native.state[0] = OracleGenerator.gsBase
            // MOV DS, ECX; MOV ES, ECX; MOV GS, ECX; WRGSBASE RAX
            _ = native.run([0x8E, 0xD9, 0x8E, 0xC1, 0x8E, 0xE9, 0xF3, 0x48, 0x0F, 0xAE, 0xD8])
        }
        let gsBase = usesGS ? OracleGenerator.gsBase : 0
        for side in [guest, complete] { side.resetSegments(fsBase: hostFSBase, gsBase: gsBase) }
    }

    /// Runs cases `first`..<`first` + `count`.
    public func run(first: UInt64 = 0, count: UInt64, while goesOn: () -> Bool = { true }) {
        for number in first..<first &+ count {
            if number & 0xFFF == 0, !goesOn() { return }
            runCase(number)
        }
    }

    /// Tells what case `number` is, in words.
    public func describe(_ number: UInt64) -> String {
        guard generator.make(seed: seed, number: number) else { return "case \(number) has no encoding" }
        return disassembly() + "\n" + stateDescription()
    }

    private func runCase(_ number: UInt64) {
        guard generator.make(seed: seed, number: number) else { return coverage.countUnencodable() }
        let alone = generator.instructions.count == 1
        let first = generator.instructions[0].instruction
        guest.load(native.state, image: generator.image, bytes: generator.bytes)
        let isInteger = alone && first.operation.rawValue < Operation.firstVector
        if isInteger { complete.load(native.state, image: generator.image, bytes: generator.bytes) }
        let stop = guest.run()
        var difference = OracleDifference()
        if isInteger { compareHandlers(stop, &difference) }
        let isSafe = staysInside(stop)
        if isSafe {
            native.memory.copyMemory(
                from: UnsafeRawBufferPointer(start: generator.image, count: OracleGuest.dataByteCount)
            )
            let outcome = native.run(generator.bytes)
            let known = OracleDeviation.of(generator, stop)
            comparison.compareEnd(stop, outcome, into: &difference)
            compareSegments(&difference)
            comparison.compareRegisters(
                guest.state,
                native.state,
                ignoring: generator.undefinedFlags,
                except: known,
                into: &difference
            )
            if known != .memory, let base = native.memory.baseAddress {
                comparison.compareData(guest, base, into: &difference)
            }
            coverage.count(generator, faulted: stop != reachedEnd)
        } else {
            coverage.countDropped(first.row)
        }
        if difference.undefinedFlags != 0, alone { coverage.noteUndefined(first.row, difference.undefinedFlags) }
        if !difference.isEmpty { fail(number, difference) }
        if changesSegments { resetSegments() }
    }

    private var reachedEnd: OracleStop { .exception(vector: 13, errorCode: 0, rip: generator.endAddress, address: 0) }

    /// Whether the host may run the case: it ends, and a page fault lies in the inaccessible memory around the data.
    private func staysInside(_ stop: OracleStop) -> Bool {
        guard case .exception(let vector, _, _, let address) = stop else { return false }
        // FS is the host thread's own: only failing loads of it are run.
        if stop == reachedEnd, takesForeignSegment { return false }
        let distance = address &- (generator.dataAddress &- UInt64(NativeWindow.guardByteCount))
        return vector != 14 || distance < UInt64(2 * NativeWindow.guardByteCount + OracleGuest.dataByteCount)
    }

    /// Loads FS or SS.
    private var takesForeignSegment: Bool {
        let i = generator.instructions[0].instruction
        switch i.operation {
        case .movToSegment, .popSegment: return ![0, 3, 5].contains(i.operands.0.number)
        case .lss, .lfs: return true
        default: return false
        }
    }

    private var loadsSegment: Bool {
        switch generator.instructions[0].instruction.operation {
        case .movToSegment, .popSegment, .lss, .lfs, .lgs: true
        default: false
        }
    }

    private var changesSegments: Bool { loadsSegment || generator.instructions[0].instruction.operation == .wrgsbase }

    private func compareHandlers(_ stop: OracleStop, _ difference: inout OracleDifference) {
        let other = complete.run()
        if other != stop { difference.lines.append("quick handler: \(stop), complete function: \(other)") }
        let (mine, theirs) = (guest.state, complete.state)
        for index in 0..<16 where mine[index] != theirs[index] {
            difference.add(OracleComparison.names[index], mine[index], theirs[index], "complete function")
        }
        if mine.rflags != theirs.rflags { difference.add("flags", mine.rflags, theirs.rflags, "complete function") }
        complete.compareData(with: guest, &difference)
    }

    /// WRGSBASE is seen by what it wrote.
    private func compareSegments(_ difference: inout OracleDifference) {
        guard usesGS, generator.instructions[0].instruction.operation == .wrgsbase else { return }
        let saved = native.state[0]
        let flags = native.state.rflags
        _ = native.run([0xF3, 0x48, 0x0F, 0xAE, 0xC8])
        if native.state[0] != guest.state[.gs].base {
            difference.add("GS base", guest.state[.gs].base, native.state[0])
        }
        native.state[0] = saved
        native.state.rflags = flags
    }

    private func fail(_ number: UInt64, _ difference: OracleDifference) {
        failureCount += 1
        let first = generator.instructions[0].instruction
        coverage.noteFailure(first.row)
        guard failures.count < 10 || coverage.failures(of: first.row) == 1 && failures.count < 60 else { return }
        let after = difference.lines.prefix(8).joined(separator: "\n    ")
        let text = disassembly()
        _ = generator.make(seed: seed, number: number)
        failures.append(
            "seed \(seed) case \(number)\n  \(text)\n  before: \(stateDescription())\n  after:\n    \(after)"
        )
    }

    private func disassembly() -> String {
        generator.instructions.map { offset, instruction in
            let code = generator.bytes[offset..<offset + Int(instruction.length)]
            let formatter = InstructionFormatter(address: generator.codeStart + UInt64(offset), size: .bits64)
            let digits = code.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            return "\(digits) \(formatter.text(instruction))"
        }.joined(separator: "\n  ")
    }

    /// The registers that the instructions name, and the control words.
    private func stateDescription() -> String {
        let s = native.state
        let general = (0..<16).map { "\(OracleComparison.names[$0])=\(String(s[$0], radix: 16))" }.joined(
            separator: " "
        )
        let area = s.xsaveArea
        let x87 =
            "fcw=\(hexadecimal(UInt64(area.load(as: UInt16.self)))) fsw=\(hexadecimal(UInt64(area.load(fromByteOffset: 2, as: UInt16.self))))"
        let vectors = vectorRegisters().map { number in
            let parts =
                [584, 576].map { String(area.load(fromByteOffset: $0 + number * 16, as: UInt64.self), radix: 16) }
                + [168, 160].map { String(area.load(fromByteOffset: $0 + number * 16, as: UInt64.self), radix: 16) }
            return "ymm\(number)=" + parts.joined(separator: ":")
        }.joined(separator: " ")
        return "\(general) flags=\(hexadecimal(s.rflags)) mxcsr=\(hexadecimal(UInt64(s.mxcsr))) \(x87) \(vectors)"
    }

    private func vectorRegisters() -> [Int] {
        var set: Set<Int> = []
        for (_, i) in generator.instructions {
            for operand in [i.operands.0, i.operands.1, i.operands.2, i.operands.3] where operand.kind == .vector {
                set.insert(operand.number)
            }
        }
        return set.sorted()
    }
}
