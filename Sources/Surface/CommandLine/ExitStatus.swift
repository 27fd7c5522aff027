internal import VirtualMachine

/// The exit statuses of `viv`.
///
/// Those of isa-debug-exit are odd, so the machine's other ends have even ones.
enum ExitStatus {
    static let success: Int32 = 0
    /// A file, a format or the host stood in the way; one line on standard error says which.
    static let failure: Int32 = 1
    static let reset: Int32 = 4
    static let tripleFault: Int32 = 6
    static let quit: Int32 = 8
    /// The command line was not understood (`EX_USAGE`).
    static let usage: Int32 = 64

    /// `plain`: An exit value is the status itself, not value · 2 + 1.
    static func status(of outcome: MachineOutcome, plain: Bool) -> Int32 {
        switch outcome {
        case .powerOff: success
        case .exit(let value): plain ? Int32(value) : (Int32(value) * 2 + 1) & 0xFF
        case .reset: reset
        case .tripleFault: tripleFault
        case .quit: quit
        }
    }
}
