import CLinux
import HostCode
import SystemCalls
import X86
import X86Decoder
import X86Interpreter

/// Runs what translated code has run once more in the interpreter, from the same state, and compares (`--engine check`).
///
/// A stretch lasts from the entry into translated code to the first exit at which the interpreter would do anything but fill the
/// TLB. Its writes to memory are taken back, the interpreter runs as many instructions, and both outcomes have to be the same.
/// Where they are not, both run again: a device may have written to memory between them. Where that does not help, every
/// instruction becomes a block and a stretch of its own until the difference appears again, to be reported of that instruction.
final class TranslationCheck {
    /// What may differ, in words for the user.
    static let masks = [
        "accessed and dirty bits of page-table entries that a walk has set in the same stretch",
        "the interrupt shadow behind STI, where no event waits",
        "MXCSR's flags before an instruction whose exception was met on the host and is raised by the interpreter",
        "arithmetic flags before a POPF that the interpreter runs",
        "REP MOVS and REP STOS over several pages, which the interpreter runs",
        "stretches that came out the same when they were run again, because a device wrote to memory",
        "stretches whose page tables were changed without a flush: they came out the same with an empty TLB, or the interpreter walked again",
    ]

    let interpreter: Interpreter
    let journal: WriteJournal
    private let images: HostMapping
    private let clock: CheckClock
    private var isRunning = false
    /// How often the stretch at hand was run.
    private var attempts = 0
    /// The interpreter counts to here before blocks grow again, while every instruction is a block.
    private var stepEnd: UInt64?
    private var coarseReport = ""
    /// Blocks have to change their length: the translations are to be thrown away.
    var needsReset = false
    /// Both outcomes of a stretch that differ; nothing runs any more.
    private(set) var report: String?
    private var stretches: UInt64 = 0
    private var instructions: UInt64 = 0
    private var disturbed: UInt64 = 0
    private var flushed: UInt64 = 0
    /// What the last attempt left in one outcome only: perhaps a device's.
    private var foreign: [WriteJournal.Difference] = []
    private var shadows: UInt64 = 0

    private static let attemptLimit = 4

    init(_ interpreter: Interpreter) throws(TranslatorError) {
        self.interpreter = interpreter
        do throws(SystemCallError) {
            journal = try WriteJournal()
            images = try HostMapping(anonymous: 2 * CPUState.byteCount)
            clock = try CheckClock(interpreter)
        } catch {
            throw .system(error)
        }
        interpreter.journal = journal
        interpreter.stateChanged()
    }

    var isFull: Bool { journal.isFull }
    /// Every instruction is a block.
    var isStepping: Bool { stepEnd != nil }

    private var state: CPUState { interpreter.state }
    private var before: CPUState { CPUState(raw: images.base) }
    private var made: CPUState { CPUState(raw: images.base + CPUState.byteCount) }

    // MARK: Around translated code

    /// Translated code is about to be entered, the state whole but for the arithmetic flags.
    func enter() {
        if !isRunning {
            state.setArithmeticFlags(state[field: TranslatorLayout.hostFlags])
            copy(from: state, to: before)
            journal.begin()
            isRunning = true
        }
        // Mostly code runs freely; now and then it stops at the first place where it looks for events.
        clock.start(atOnce: isStepping || stretches & 15 == 0)
    }

    func leave() { clock.stop() }

    /// Nothing is being compared any more.
    func endRun() {
        clock.stop()
        journal.end()
        isRunning = false
    }

    private func copy(from source: CPUState, to target: CPUState) {
        target.raw.copyMemory(from: source.raw, byteCount: CPUState.byteCount)
    }

    /// Puts the registers of `image` into the vCPU.
    private func restore(_ image: CPUState) {
        let pending = CPUState.pendingEventsOffset
        let rest = pending + 4
        state.raw.copyMemory(from: image.raw, byteCount: pending)
        (state.raw + rest).copyMemory(from: image.raw + rest, byteCount: CPUState.engineOffset - rest)
        let forgotten = state[field: Layout.translationEpoch] != image[field: Layout.translationEpoch]
        interpreter.stateRestored(translationsChanged: forgotten)
    }

    // MARK: Comparing

    /// Compares the stretch that ends here, before the instruction of `operation`, with the interpreter.
    ///
    /// `faulted`: The host has tried that instruction, and raised a signal.
    ///
    /// - Returns: false if the outcomes differ; then the vCPU stands where the stretch began.
    func compare(before operation: Operation?, faulted: Bool) -> Bool {
        guard isRunning else { return true }
        isRunning = false
        let s = state
        copy(from: s, to: made)
        journal.takeBack()
        restore(before)
        let count = made.instructionCount &- before.instructionCount
        var isComplete = interpreter.interpretExactly(until: made.instructionCount)
        // A repeated string instruction may have stopped after some iterations.
        if isComplete, s.rip == made.rip, s.rcx > made.rcx, interpreter.isRepeatedString(at: s.rip) {
            let end = s.instructionCount
            while s.rip == made.rip, s.rcx > made.rcx { interpreter.stepOne() }
            s.instructionCount = end
        }
        if journal.isOverfull { isComplete = false }
        journal.end()
        mask(operation, faulted)
        let fields = StateComparison.differences(before: before, translated: made, interpreted: s)
        let bytes = journal.differences(limit: 512)
        if isComplete, fields.isEmpty, bytes.isEmpty {
            succeed(count)
            return true
        }
        if !isComplete,
            interpreter.isStale(fetchAt: s.rip) || s.cr2 != before.cr2 && interpreter.isStale(readAt: s.cr2)
        {
            // The interpreter has walked again: it goes on where it is.
            interpreter.stateRestored(translationsChanged: true)
            flushed &+= 1
            attempts = 0
            return false
        }
        let report = describe(count, isComplete, fields, bytes)
        foreign = bytes.filter { ($0.first == $0.before) != ($0.second == $0.before) }
        journal.takeBackAll()
        restore(before)
        fail(report, count)
        return false
    }

    /// Makes equal what may differ.
    private func mask(_ operation: Operation?, _ faulted: Bool) {
        let s = state
        if s.interruptShadow == 1, made.interruptShadow == 0 {
            s.interruptShadow = 0
            shadows &+= 1
        }
        if faulted, made.mxcsr & ~0x3F == s.mxcsr & ~0x3F, made.mxcsr | s.mxcsr == made.mxcsr { made.mxcsr = s.mxcsr }
        if operation == .popf { s.setArithmeticFlags(made.rflags) }
    }

    private func succeed(_ count: UInt64) {
        stretches &+= 1
        instructions &+= count
        if attempts > 0 {
            if attempts == 1 { disturbed &+= 1 } else { flushed &+= 1 }
            attempts = 0
            // What neither engine has written this time was a device's, and was taken back.
            for each in foreign where each.host.load(as: UInt64.self) == each.before {
                each.host.storeBytes(of: each.first == each.before ? each.second : each.first, as: UInt64.self)
            }
        }
        if let end = stepEnd, state.instructionCount >= end {
            // The difference is not in any one instruction.
            report = coarseReport
        }
    }

    private func fail(_ text: String, _ count: UInt64) {
        attempts += 1
        if attempts > 1 { interpreter.stateRestored(translationsChanged: true) }
        if isStepping {
            if attempts >= Self.attemptLimit { report = text }
        } else if attempts >= Self.attemptLimit {
            coarseReport = text
            stepEnd = before.instructionCount &+ count
            needsReset = true
            attempts = 0
        }
    }

    // MARK: Telling

    private func describe(
        _ count: UInt64,
        _ isComplete: Bool,
        _ fields: [StateComparison.Difference],
        _ bytes: [WriteJournal.Difference]
    ) -> String {
        var lines = [
            "translated and interpreted code differ after \(count) instructions from 0x\(hexadecimal(before.rip))"
        ]
        if !isComplete {
            lines.append("  the interpreter takes a fault or needs a device at 0x\(hexadecimal(state.rip))")
        }
        lines.append("  where       before             translated         interpreted")
        for field in fields.prefix(24) {
            let name = field.name + String(repeating: " ", count: max(0, 10 - field.name.count))
            lines.append("  \(name)  \(padded(field.before)) \(padded(field.translated)) \(padded(field.interpreted))")
        }
        for difference in bytes.prefix(16) {
            let address = interpreter.physicalAddress(of: difference.host)
            lines.append("  memory at physical 0x\(hexadecimal(address))")
            lines.append(
                "              \(padded(difference.before)) \(padded(difference.first)) \(padded(difference.second))"
            )
        }
        lines.append("  the state before")
        for row in 0..<6 {
            var line = " "
            for column in 0..<3 {
                let index = row * 3 + column
                let name = index < 16 ? StateComparison.generalNames[index] : index == 16 ? "rflags" : "rip"
                let value = index < 16 ? before[index] : index == 16 ? before.rflags : before.rip
                line += " \(name)=\(hexadecimal(value))"
            }
            lines.append(line)
        }
        lines.append("  the code there")
        lines += code(count)
        return lines.joined(separator: "\n")
    }

    /// The instructions of the stretch as they lie one after another.
    private func code(_ count: UInt64) -> [String] {
        restore(before)
        var lines: [String] = []
        var rip = before.rip
        for _ in 0..<min(count &+ 3, 24) {
            guard let page = interpreter.fetchPage(rip) else { break }
            let offset = Int(rip & 0xFFF)
            var instruction = DecodedInstruction()
            // SAFETY: the page holds 4096 bytes, and the decoder looks at no more than it is told of.
            let bytes = UnsafePointer((page + offset).assumingMemoryBound(to: UInt8.self))
            guard InstructionDecoder.decode(bytes, count: 4096 - offset, size: .bits64, into: &instruction) == .complete
            else { break }
            var text = "    \(hexadecimal(rip)) "
            for index in 0..<Int(instruction.length) {
                text += " " + String(bytes[index] >> 4, radix: 16) + String(bytes[index] & 15, radix: 16)
            }
            text += "  " + InstructionFormatter(address: rip, size: .bits64).text(instruction)
            lines.append(text)
            rip &+= UInt64(instruction.length)
        }
        return lines
    }

    /// What was compared, for `--stats` and the end of a check.
    var counters: [(name: String, value: UInt64)] {
        [
            ("checked instructions", instructions), ("checked stretches", stretches),
            ("checked pages written to", journal.comparedPages), ("masked: page-table entries", journal.maskedEntries),
            ("masked: interrupt shadows", shadows), ("masked: stretches run again", disturbed),
            ("masked: stretches run again after a flush", flushed),
        ]
    }
}

func hexadecimal(_ value: UInt64) -> String { String(value, radix: 16) }

private func padded(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits + "  "
}

extension Translator {
    /// Whether the stretch that ends here came out as in the interpreter; always, where nothing is checked.
    func agrees(before operation: UInt16? = nil, faulted: Bool = false) -> Bool {
        guard let check else { return true }
        storeFlags()
        let agrees = check.compare(before: operation.flatMap(Operation.init(rawValue:)), faulted: faulted)
        if check.needsReset {
            check.needsReset = false
            environment.longestBlock = 1
            reset()
        }
        // The state is that from before.
        if !agrees { loadFlags() }
        return agrees && check.report == nil
    }
}
