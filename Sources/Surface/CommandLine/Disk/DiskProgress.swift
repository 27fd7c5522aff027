internal import Glibc
internal import Synchronization

/// A bar on standard error (a terminal), or qemu-img's figures on standard output with -p.
final class DiskProgress: Sendable {
    private let isOnTerminal: Bool
    private let isAsked: Bool
    private let shown = Mutex(-1)

    init(isAsked: Bool, isQuiet: Bool = false) {
        self.isAsked = isAsked && !isQuiet
        isOnTerminal = !isQuiet && isatty(STDERR_FILENO) == 1
    }

    /// Called from any thread.
    @Sendable func show(_ done: UInt64, _ total: UInt64) {
        guard isAsked || isOnTerminal else { return }
        let tenths = total == 0 ? 1000 : Int(Double(min(done, total)) / Double(total) * 1000)
        let isNew = shown.withLock { last in
            guard tenths >= last + 10 || (tenths == 1000 && last != 1000) else { return false }
            last = tenths
            return true
        }
        guard isNew else { return }
        if isOnTerminal {
            let filled = tenths * 40 / 1000
            let bar = String(repeating: "=", count: filled) + String(repeating: " ", count: 40 - filled)
            Console.write("\r[\(bar)] \(tenths / 10)%", to: STDERR_FILENO)
        } else {
            Console.write("    (\(tenths / 10).\(tenths % 10)0/100%)\r", to: STDOUT_FILENO)
        }
    }

    /// Ends the line.
    func finish() {
        guard shown.withLock({ $0 >= 0 }) else { return }
        if isOnTerminal { Console.write("\n", to: STDERR_FILENO) } else { Console.write("\n", to: STDOUT_FILENO) }
    }
}
