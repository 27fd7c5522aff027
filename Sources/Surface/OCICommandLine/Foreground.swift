internal import CContainer
internal import Glibc
internal import JSON
internal import OCIRuntime
internal import SystemCalls

/// Waits for a process of a container as its caller would for one of its own: signals go on to it, a terminal is relayed, and its status is
/// this program's.
enum Foreground {
    /// Gives the status.
    ///
    /// `begin`: Starts the process, with the socket that gets its terminal. `finally`: What is done when it has ended.
    static func run(
        isDetached: Bool,
        consoleSocket: String?,
        begin: (String?) throws -> Int32,
        wantsTerminal: () throws -> Bool,
        finally: () throws -> Void
    ) throws -> Int32 {
        if isDetached {
            _ = try begin(consoleSocket)
            return 0
        }
        guard consoleSocket == nil, try wantsTerminal() else {
            Forwarding.prepare()
            let process = try begin(consoleSocket)
            let status = Forwarding.wait(process)
            try finally()
            return status
        }
        let terminal = try TerminalRelay()
        Forwarding.prepare()
        let process = try begin(terminal.path)
        let status = try terminal.relay(process)
        try finally()
        return status
    }
}

/// Signals that come here and go on to the process.
enum Forwarding {
    /// All but those that a fault raises, or that are about this program's own children.
    private static let signals: [Int32] = [
        SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, SIGCONT, SIGTSTP, SIGWINCH, SIGCHLD, SIGURG, SIGIO,
        SIGPWR,
    ]

    static var set: sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in signals { unsafe sigaddset(&set, signal) }
        return set
    }

    /// Keeps signals until somebody waits; the process that is started later begins with none of it.
    static func prepare() {
        var set = set
        unsafe sigprocmask(SIG_BLOCK, &set, nil)
    }

    /// Waits for the end of `process`, a child of this one, and returns its status: 128 and a signal where one has ended it.
    static func wait(_ process: Int32) -> Int32 {
        var set = set
        while true {
            if let status = status(process) { return status }
            var number: Int32 = 0
            guard unsafe sigwait(&set, &number) == 0, number != SIGCHLD, number != SIGURG else { continue }
            kill(process, number)
        }
    }

    /// The status, if it has ended.
    static func status(_ process: Int32) -> Int32? {
        var status: Int32 = 0
        guard unsafe waitpid(process, &status, WNOHANG) == process else { return nil }
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    }
}
