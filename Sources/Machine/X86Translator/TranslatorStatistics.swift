internal import X86Decoder
internal import X86Interpreter

/// What `--stats` tells of a translator.
struct TranslatorStatistics {
    var blocks: UInt64 = 0
    /// Instructions that the interpreter finished, faults not among them.
    var interpretedInstructions: UInt64 = 0
    var translatedInstructions: UInt64 = 0
    var guestByteCount: UInt64 = 0
    var hostByteCount: UInt64 = 0
    var misses: UInt64 = 0
    var links: UInt64 = 0
    var dispatches: UInt64 = 0
    var resets: UInt64 = 0
    /// Reads across pages that were gathered.
    var gathers: UInt64 = 0
    /// Writes to bytes without code in a page with code.
    var writesBesideCode: UInt64 = 0
    var steps = Steps()

    /// Instructions that the interpreter ran, by reason.
    struct Steps {
        /// Single steps, interrupt shadows, breakpoints.
        var mode: UInt64 = 0
        /// Blocks' worth of code that is not 64-bit, counted in instructions.
        var otherMode: UInt64 = 0
        /// The instruction cannot be fetched.
        var fetch: UInt64 = 0
        /// No translation for the instruction.
        var instruction: UInt64 = 0
        /// Its access is a device's, faults, or changes code.
        var access: UInt64 = 0
        /// Its access crosses pages.
        var crossing: UInt64 = 0
        /// The host raised a signal.
        var hostFault: UInt64 = 0
    }

    /// Instructions without a translation that the interpreter ran, by ``Operation``.
    var operations = [UInt64](repeating: 0, count: 2048)

    /// The operations that were interpreted most often.
    var mostInterpreted: [(name: String, value: UInt64)] {
        operations.enumerated().filter { $0.element > 0 }.sorted { $0.element > $1.element }.prefix(20).map {
            let name = Operation(rawValue: UInt16($0.offset)).map { "\($0)" } ?? "undecodable"
            return ("interpreted: \(name)", $0.element)
        }
    }
}

extension Translator {
    /// What a check lets differ, a line each.
    public static var checkMasks: [String] { TranslationCheck.masks }
}
