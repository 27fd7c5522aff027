internal import Glibc
internal import Synchronization

/// The thread that serves the queues of one device, so that vCPU threads never wait for the host.
///
/// A signal is one bit of an atomic word and a semaphore; signals that come while the thread is busy are joined.
public final class DeviceWorker: Sendable {
    /// What the thread and the owner share.
    @safe
    private final class Mailbox: @unchecked Sendable {
        // SAFETY: the semaphores never move, are made in init and destroyed in deinit; sem_post and sem_wait are thread-safe.
        let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
        /// Posted by the thread once it stands still, and by the owner to let it go on.
        let parked = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
        let released = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
        let isPausing = Atomic<Bool>(false)
        let pending = Atomic<UInt64>(0)
        let isStopping = Atomic<Bool>(false)
        let serve: @Sendable (Int) -> Void

        init(_ serve: @escaping @Sendable (Int) -> Void) {
            self.serve = serve
            unsafe Self.make(semaphore)
            unsafe Self.make(parked)
            unsafe Self.make(released)
        }

        deinit {
            unsafe Self.free(semaphore)
            unsafe Self.free(parked)
            unsafe Self.free(released)
        }

        func post() { unsafe sem_post(semaphore) }

        private static func make(_ semaphore: UnsafeMutablePointer<sem_t>) {
            unsafe semaphore.initialize(to: sem_t())
            unsafe sem_init(semaphore, 0, 0)
        }

        private static func free(_ semaphore: UnsafeMutablePointer<sem_t>) {
            unsafe sem_destroy(semaphore)
            unsafe semaphore.deallocate()
        }

        static func wait(_ semaphore: UnsafeMutablePointer<sem_t>) {
            while unsafe sem_wait(semaphore) != 0 && errno == EINTR {}
        }

        func run() {
            while true {
                unsafe Self.wait(semaphore)
                if isStopping.load(ordering: .acquiring) { return }
                if isPausing.load(ordering: .acquiring) {
                    unsafe sem_post(parked)
                    unsafe Self.wait(released)
                    if isStopping.load(ordering: .acquiring) { return }
                }
                var bits = pending.exchange(0, ordering: .acquiringAndReleasing)
                while bits != 0 {
                    if isPausing.load(ordering: .acquiring) {
                        // Served after the pause.
                        _ = pending.bitwiseOr(bits, ordering: .acquiringAndReleasing)
                        break
                    }
                    let queue = bits.trailingZeroBitCount
                    bits &= bits &- 1
                    if isStopping.load(ordering: .relaxed) { return }
                    serve(queue)
                }
            }
        }
    }

    private let mailbox: Mailbox
    private let thread: Mutex<pthread_t?>

    /// Starts the thread, or returns nil where the host has none left.
    ///
    /// - Parameter serve: Called on the thread with the number of a queue, 0 to 63.
    public init?(serve: @escaping @Sendable (Int) -> Void) {
        let mailbox = Mailbox(serve)
        var thread = pthread_t()
        // Signals are for the threads that expect them.
        var all = sigset_t()
        var old = sigset_t()
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &old)
        let argument = unsafe Unmanaged.passRetained(mailbox).toOpaque()
        let result = unsafe pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<Mailbox>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            },
            argument
        )
        unsafe pthread_sigmask(SIG_SETMASK, &old, nil)
        self.mailbox = mailbox
        self.thread = Mutex(result == 0 ? thread : nil)
        if result != 0 {
            unsafe Unmanaged<Mailbox>.fromOpaque(argument).release()
            return nil
        }
    }

    /// Makes the thread serve `queue`, once more if it is just doing so.
    public func signal(_ queue: Int) {
        guard (0..<64).contains(queue) else { return }
        let before = mailbox.pending.bitwiseOr(1 << UInt64(queue), ordering: .acquiringAndReleasing).oldValue
        if before == 0 { mailbox.post() }
    }

    /// Returns when the thread serves nothing any more; what is signalled from now on waits for ``resume()``.
    ///
    /// Not on the thread itself, and not while it is being stopped.
    public func pause() {
        guard thread.withLock({ $0 != nil }), !mailbox.isPausing.exchange(true, ordering: .acquiringAndReleasing) else {
            return
        }
        mailbox.post()
        unsafe Mailbox.wait(mailbox.parked)
    }

    public func resume() {
        guard mailbox.isPausing.exchange(false, ordering: .acquiringAndReleasing) else { return }
        unsafe sem_post(mailbox.released)
    }

    /// Ends the thread, and waits for that unless it is the calling one.
    ///
    /// Later signals do nothing.
    public func stop() {
        let thread = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        guard let thread else { return }
        mailbox.isStopping.store(true, ordering: .releasing)
        mailbox.post()
        resume()
        if pthread_equal(thread, pthread_self()) != 0 {
            pthread_detach(thread)
        } else {
            pthread_join(thread, nil)
        }
    }

    deinit { stop() }
}
