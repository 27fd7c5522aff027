import Engine
import Glibc
import GuestMemory
import HostCode
import SystemCalls
import X86
import X86Interpreter
import X86Translator

/// How code ended that was run in the interpreter.
enum OracleStop: Equatable {
    /// An exception, with RIP where it was raised. HLT behind the code raises #GP: that is how a run to the end looks.
    case exception(vector: UInt8, errorCode: UInt32, rip: UInt64, address: UInt64)
    /// More instructions than ``OracleGuest/instructionLimit``.
    case endless
}

/// An interpreter in 64-bit user mode whose linear addresses hold code and data where a ``NativeExecutor`` has them.
///
/// The two data pages lie apart and in reverse order in physical memory.
final class OracleGuest {
    static let dataByteCount = 0x2000
    static let instructionLimit: UInt64 = 200
    private static let pageTables: UInt64 = 0x1000
    private static let codePhysical: UInt64 = 0x1_0000
    private static let dataPhysical: [UInt64] = [0x1_5000, 0x1_3000]

    private let memory: GuestMemory
    private let codeCache: InterpreterCodeCache
    private let interpreter: Interpreter
    /// What runs: the interpreter, or a translator around it that is compared with it.
    private let engine: any VirtualCPU
    /// What the comparison found.
    private(set) var difference: String?
    private let log = FaultLog()
    private let codeAddress: UInt64
    private let code: UnsafeMutableRawPointer
    private let data: [UnsafeMutableRawPointer]
    private var codeByteCount = 0

    var state: CPUState { interpreter.state }

    /// `checks`: The code runs translated, and is compared with the interpreter; there is no limit to its instructions then.
    init(codeAddress: UInt64, dataAddress: UInt64, model: CPUModel, checks: Bool = false) throws {
        self.codeAddress = codeAddress
        memory = try GuestMemory(byteCount: 0x2_0000)
        codeCache = try InterpreterCodeCache(memory: memory)
        interpreter = try Interpreter(
            memory: memory,
            controller: NoInterrupts(),
            clock: NoTime(),
            model: model,
            codeCache: codeCache,
            identifier: 0,
            cpuCount: 1,
            trace: log
        )
        interpreter.sliceInstructionCount = Self.instructionLimit
        if checks {
            let cache = try TranslationCache(codeCache, byteCount: 8 << 20)
            engine = try Translator(interpreter: interpreter, cache: cache, cpuCount: 1, checks: true)
        } else {
            engine = interpreter
        }
        let base = memory.hostBase
        code = base + Int(Self.codePhysical)
        data = Self.dataPhysical.map { base + Int($0) }
        code.initializeMemory(as: UInt8.self, repeating: NativeWindow.fill, count: NativeExecutor.codeWindowByteCount)
        try map(codeAddress, [Self.codePhysical, Self.codePhysical + 0x1000], writable: false)
        try map(dataAddress, Self.dataPhysical, writable: true)
        enterUserMode()
    }

    var avoidsQuickHandlers: Bool {
        get { codeCache.avoidsQuickHandlers }
        set { codeCache.avoidsQuickHandlers = newValue }
    }

    /// Both windows lie in one range of 2 MiB, so one table of each level does.
    private func map(_ linear: UInt64, _ pages: [UInt64], writable: Bool) throws {
        let rights =
            PageTableEntryBits.user | (writable ? PageTableEntryBits.writable | PageTableEntryBits.noExecute : 0)
        let table = Self.pageTables
        let all = PageTableEntryBits.user | PageTableEntryBits.writable
        try memory.store(table + 0x1000 | all, at: GuestAddress(table + (linear >> 39 & 511) * 8))
        try memory.store(table + 0x2000 | all, at: GuestAddress(table + 0x1000 + (linear >> 30 & 511) * 8))
        try memory.store(table + 0x3000 | all, at: GuestAddress(table + 0x2000 + (linear >> 21 & 511) * 8))
        for (index, page) in pages.enumerated() {
            let slot = (linear >> 12 & 511) + UInt64(index)
            try memory.store(page | rights, at: GuestAddress(table + 0x3000 + slot * 8))
        }
    }

    /// Present, and what the low bits of an entry say besides.
    private enum PageTableEntryBits {
        static let writable: UInt64 = 3
        static let user: UInt64 = 5
        static let noExecute: UInt64 = 1 << 63
    }

    private func enterUserMode() {
        let s = state
        s.cr0 =
            CR0.protectionEnable | CR0.monitorCoprocessor | CR0.extensionType | CR0.numericError | CR0.writeProtect
            | CR0.alignmentMask | CR0.paging
        s.cr4 = CR4.pae | CR4.osfxsr | CR4.osxmmexcpt | CR4.osxsave | CR4.fsgsbase | CR4.umip
        s.efer = EFER.systemCallExtensions | EFER.longModeEnable | EFER.longModeActive | EFER.noExecuteEnable
        s.cr3 = Self.pageTables
        s.xcr0 = 7
        s.cpl = 3
        s[.cs] = Segment(base: 0, limit: 0xFFFF_FFFF, attributes: 0xA0FB, selector: 0x33)
        s[.ss] = Segment(base: 0, limit: 0xFFFF_FFFF, attributes: 0xC0F3, selector: 0x2B)
        // Without an I/O permission bitmap, and without a local descriptor table.
        s[.tr] = Segment(base: 0, limit: 50, attributes: 0x8B, selector: 0x40)
        s[.ldtr] = Segment(base: 0, limit: 0, attributes: 0, selector: 0)
        s.gdtLimit = 127
        s.idtLimit = 0
        s.rflags = 0x202
        resetSegments(fsBase: 0, gsBase: 0)
    }

    /// Null selectors in ES, DS, FS and GS, as Linux leaves them.
    func resetSegments(fsBase: UInt64, gsBase: UInt64) {
        for register in [SegmentRegister.es, .ds, .fs, .gs] {
            state[register] = Segment(
                base: register == .fs ? fsBase : register == .gs ? gsBase : 0,
                limit: 0,
                attributes: 0,
                selector: 0
            )
        }
        interpreter.stateChanged()
    }

    /// Takes over the registers of `native`, `image` as data and `bytes` as code.
    func load(_ native: NativeState, image: UnsafeRawPointer, bytes: [UInt8]) {
        let s = state
        for index in 0..<16 { s[index] = native[index] }
        s.rflags = native.rflags & 0x20_4CD5 | 0x202
        s.xsaveArea.copyMemory(from: native.xsaveArea, byteCount: 832)
        for (index, page) in data.enumerated() { page.copyMemory(from: image + index * 4096, byteCount: 4096) }
        let target = code + NativeExecutor.codeOffset
        let changed = max(codeByteCount, bytes.count)
        target.initializeMemory(as: UInt8.self, repeating: NativeWindow.fill, count: changed)
        bytes.withUnsafeBytes { target.copyMemory(from: $0.baseAddress.unsafelyUnwrapped, byteCount: $0.count) }
        codeByteCount = bytes.count
        codeCache.codeChanged(at: code, byteCount: 4096)
        s.rip = codeAddress + UInt64(NativeExecutor.codeOffset)
    }

    /// Runs to the first exception.
    func run() -> OracleStop {
        log.first = nil
        state.activity = .active
        state.interruptShadow = 0
        var exit: VMExit?
        do throws(VirtualCPUError) { exit = try engine.run() } catch {
            if case .unsupported(let reason, _) = error { difference = reason }
        }
        guard let first = log.first, case .shutdown? = exit else { return .endless }
        return first
    }

    /// Where the data differs from `bytes`: offset of the first of eight bytes.
    func firstDifference(from bytes: UnsafeRawPointer) -> Int? {
        for (index, page) in data.enumerated() where memcmp(page, bytes + index * 4096, 4096) != 0 {
            for at in stride(from: 0, to: 4096, by: 8) {
                let theirs = bytes.load(fromByteOffset: index * 4096 + at, as: UInt64.self)
                if page.load(fromByteOffset: at, as: UInt64.self) != theirs { return index * 4096 + at }
            }
        }
        return nil
    }

    func dataWord(_ offset: Int) -> UInt64 {
        data[offset >> 12 & 1].load(fromByteOffset: offset & 0xFF8, as: UInt64.self)
    }

    /// Compares the data of two interpreters; this one ran the complete functions.
    func compareData(with other: OracleGuest, _ difference: inout OracleDifference) {
        for (index, page) in data.enumerated() where memcmp(page, other.data[index], 4096) != 0 {
            difference.lines.append("page \(index) of the data differs between quick handler and complete function")
        }
    }
}

/// Keeps the first exception of a run; delivering it shuts the vCPU down, for there is no IDT.
private final class FaultLog: TraceSink, @unchecked Sendable {
    // SAFETY: used only by the one thread that runs the oracle.
    let events: TraceEvents = .exceptions
    var first: OracleStop?

    func record(_ record: TraceRecord, processor: Int) {
        guard first == nil, case .exception(let vector, let errorCode, let rip, let address) = record else { return }
        first = .exception(vector: vector, errorCode: errorCode ?? 0, rip: rip, address: address)
    }
}

private final class NoInterrupts: InterruptController, @unchecked Sendable {
    // SAFETY: holds nothing that changes but for a value that nobody reads.
    var hasDeliverableInterrupt: Bool { false }
    func acknowledge() -> UInt8? { nil }
    var taskPriority: UInt8 = 0
    func readRegister(_ msr: UInt32) -> UInt64? { nil }
    func writeRegister(_ msr: UInt32, _ value: UInt64) -> Bool { false }
}

private final class NoTime: MachineClock {
    var nanoseconds: UInt64 { 0 }
    var timestamp: UInt64 { 0 }
    var timestampFrequency: UInt64 { 1_000_000_000 }
}
