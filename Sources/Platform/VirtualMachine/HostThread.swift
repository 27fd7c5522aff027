internal import Glibc
internal import SystemCalls

/// A detached thread of the host's.
enum HostThread {
    /// Runs `body` on a new thread, which takes no signals but those of its own faults.
    static func start(_ body: @escaping @Sendable () -> Void) throws(SystemCallError) {
        final class Work {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        for number in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP] { unsafe sigdelset(&all, number) }
        unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
        let work = unsafe Unmanaged.passRetained(Work(body))
        var thread = pthread_t()
        let status = unsafe pthread_create(
            &thread,
            nil,
            { argument in
                // SAFETY: `argument` is the reference retained below; this takes it over.
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            },
            work.toOpaque()
        )
        guard status == 0 else {
            unsafe work.release()
            throw SystemCallError("pthread_create", errno: status)
        }
        pthread_detach(thread)
    }
}
