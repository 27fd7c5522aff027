internal import Glibc

/// The terminal on standard input in raw mode: every key goes to the guest.
///
/// Put back by ``restore()``, at `exit(3)`, and before any signal that ends or stops the process takes effect.
@safe
enum RawTerminal {
    // SAFETY: written once by `enter()` before the handlers that read it are installed; it stays allocated for good.
    nonisolated(unsafe) private static var saved: UnsafeMutablePointer<termios>?
    // SAFETY: as `saved`.
    nonisolated(unsafe) private static var raw: UnsafeMutablePointer<termios>?

    private static let endings = [
        SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2, SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE,
        SIGTRAP, SIGXCPU, SIGXFSZ, SIGTSTP,
    ]

    static var isTerminal: Bool { isatty(STDIN_FILENO) == 1 }

    /// Saves the terminal's modes and makes it raw; nothing happens where standard input is no terminal.
    static func enter() {
        guard isTerminal, unsafe saved == nil else { return }
        let modes = UnsafeMutablePointer<termios>.allocate(capacity: 2)
        guard unsafe tcgetattr(STDIN_FILENO, modes) == 0 else { return }
        unsafe (modes + 1).initialize(to: modes.pointee)
        unsafe cfmakeraw(modes + 1)
        unsafe saved = modes
        unsafe raw = modes + 1
        atexit { RawTerminal.restore() }
        for number in endings { _ = signal(number) { RawTerminal.end(by: $0) } }
        _ = signal(SIGCONT) { _ in unsafe RawTerminal.set(RawTerminal.raw) }
        unsafe set(raw)
    }

    /// Puts the saved modes back; any number of times, from any thread or signal handler.
    static func restore() { unsafe set(saved) }

    /// Only calls that are safe in a signal handler (signal-safety(7)).
    private static func set(_ modes: UnsafeMutablePointer<termios>?) {
        guard let modes = unsafe modes else { return }
        // A background process that sets modes is stopped by SIGTTOU, unless it blocks it.
        var blocked = sigset_t()
        var before = sigset_t()
        unsafe sigemptyset(&blocked)
        unsafe sigaddset(&blocked, SIGTTOU)
        unsafe pthread_sigmask(SIG_BLOCK, &blocked, &before)
        unsafe _ = tcsetattr(STDIN_FILENO, TCSANOW, modes)
        unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
    }

    /// Restores the terminal and lets the signal do what it does by default.
    private static func end(by number: CInt) {
        restore()
        _ = signal(number, SIG_DFL)
        var unblocked = sigset_t()
        unsafe sigemptyset(&unblocked)
        unsafe sigaddset(&unblocked, number)
        raise(number)
        unsafe pthread_sigmask(SIG_UNBLOCK, &unblocked, nil)
        // Only a stop comes back here, once the process is continued.
        _ = signal(number) { RawTerminal.end(by: $0) }
        unsafe set(raw)
    }
}
