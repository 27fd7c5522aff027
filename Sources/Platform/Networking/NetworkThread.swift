internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemCalls

/// A thread that waits for descriptors of the host's, until it is told to end.
final class NetworkThread: Sendable {
    /// Ends the wait of the thread.
    let wake: WakeEvent
    private let isStopping = Atomic(false)
    private let thread = Mutex<pthread_t?>(nil)

    init() throws(SystemCallError) { wake = try WakeEvent() }

    /// Whether the thread is to end.
    var isOver: Bool { isStopping.load(ordering: .acquiring) }

    /// Starts the thread, which takes no signals.
    func start(_ body: @escaping @Sendable () -> Void) throws(SystemCallError) {
        final class Work: Sendable {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        for number in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP] { unsafe sigdelset(&all, number) }
        unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
        let work = unsafe Unmanaged.passRetained(Work(body))
        var made = pthread_t()
        let status = unsafe pthread_create(
            &made,
            nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            },
            work.toOpaque()
        )
        unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
        guard status == 0 else {
            unsafe work.release()
            throw SystemCallError("pthread_create", errno: status)
        }
        let new = made
        thread.withLock { $0 = new }
    }

    /// Ends the thread and waits for that, unless it is the calling one.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        wake.signal()
        guard
            let thread = thread.withLock({ thread in
                defer { thread = nil }
                return thread
            })
        else { return }
        if pthread_equal(thread, pthread_self()) != 0 {
            pthread_detach(thread)
        } else {
            pthread_join(thread, nil)
        }
    }
}

/// A descriptor that becomes readable when it is signalled (eventfd(2)).
final class WakeEvent: Sendable {
    private let file: FileDescriptor
    private let isSignalled = Atomic(false)

    init() throws(SystemCallError) {
        let descriptor = clinux_eventfd()
        guard descriptor >= 0 else { throw SystemCallError("eventfd", errno: -descriptor) }
        file = FileDescriptor(owning: descriptor)
    }

    var descriptor: CInt { file.rawValue }

    func signal() {
        guard !isSignalled.exchange(true, ordering: .acquiringAndReleasing) else { return }
        var one: UInt64 = 1
        unsafe write(file.rawValue, &one, 8)
    }

    /// Makes the descriptor unreadable; what was signalled before is to be looked at after this.
    func clear() {
        var count: UInt64 = 0
        unsafe read(file.rawValue, &count, 8)
        isSignalled.store(false, ordering: .sequentiallyConsistent)
    }
}

/// Nanoseconds of the host's monotonic clock.
func monotonicTime() -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}
