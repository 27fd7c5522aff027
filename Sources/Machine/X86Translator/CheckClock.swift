import CLinux
import Glibc
import Synchronization
import SystemCalls
import X86
import X86Interpreter

/// Stops translated code at the next place where it looks for events, a little after it was entered, so that what the
/// interpreter has to run again stays short.
final class CheckClock: Sendable {
    /// The bit of the pending word that no event uses.
    private static let stopBit: UInt32 = 1 << 30
    private static let period: UInt32 = 50

    /// What the thread and the owner share.
    private final class Shared: @unchecked Sendable {
        // SAFETY: the interpreter is kept for its pending word alone, which is accessed as an atomic.
        let interpreter: Interpreter
        let isInside = Atomic(false)
        let isOver = Atomic(false)

        init(_ interpreter: Interpreter) { self.interpreter = interpreter }

        var pending: UnsafeMutablePointer<UInt32> {
            // SAFETY: the word is only ever accessed as an atomic 32-bit integer.
            (interpreter.block + CPUState.pendingEventsOffset).assumingMemoryBound(to: UInt32.self)
        }

        func run() {
            while !isOver.load(ordering: .relaxed) {
                usleep(CheckClock.period)
                if isInside.load(ordering: .relaxed) { clinux_atomic_or(pending, CheckClock.stopBit) }
            }
        }
    }

    private let shared: Shared

    init(_ interpreter: Interpreter) throws(SystemCallError) {
        shared = Shared(interpreter)
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        let work = Unmanaged.passRetained(shared)
        var thread = pthread_t()
        let status = pthread_create(
            &thread,
            nil,
            { argument in
                // SAFETY: `argument` is the reference retained below; this takes it over.
                guard let argument else { return nil }
                Unmanaged<Shared>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            },
            work.toOpaque()
        )
        guard status == 0 else {
            work.release()
            throw SystemCallError("pthread_create", errno: status)
        }
        pthread_detach(thread)
    }

    deinit { shared.isOver.store(true, ordering: .relaxed) }

    /// Translated code is entered; `atOnce`: it is to stop at the first such place.
    func start(atOnce: Bool) {
        if atOnce {
            clinux_atomic_or(shared.pending, Self.stopBit)
        } else {
            shared.isInside.store(true, ordering: .relaxed)
        }
    }

    /// Translated code was left.
    func stop() {
        shared.isInside.store(false, ordering: .relaxed)
        if clinux_atomic_load(shared.pending) & Self.stopBit != 0 { clinux_atomic_and(shared.pending, ~Self.stopBit) }
    }
}
