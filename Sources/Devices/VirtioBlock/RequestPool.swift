internal import DiskImage
internal import Glibc
internal import Synchronization

/// The threads that carry out the requests of one device, several at once and in no order.
///
/// A request that the host cannot carry out now is held, and tried again at intervals of the host's clock; it takes no thread
/// meanwhile. Locks: `events`, held while the policy is told of a change; then `mutex`, held for moments and never while a
/// request is carried out or anything is called.
// SAFETY: every `var` is used between lock and unlock of `mutex` only; the pointers never change and live as long as this
// object, which each thread retains.
@safe
final class RequestPool: @unchecked Sendable {
    enum Outcome {
        case done
        case held(DiskFailure)
    }
    /// Carries out a request and gives it back, after ``release(queue:)``.
    typealias Serve = @Sendable (BlockRequest, ByteBuffer, RequestPool) -> Outcome

    /// Bytes that a thread can collect from the buffers of a request, so that the image sees one access.
    static let scratchByteCount = 1 << 20

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    /// There is something to do.
    private let work = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// Nothing is waiting or being carried out.
    private let quiet = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let threadLimit: Int
    private let policy: DiskFailurePolicy
    private let disk: String
    private let serve: Serve

    private var threads: [pthread_t] = []
    private var sleeping = 0
    private var waiting: [BlockRequest] = []
    /// How many of the first of `waiting` were taken already.
    private var taken = 0
    private var running = 0
    private var held: [BlockRequest] = []
    private var retryAt: UInt64?
    /// Requests that failed and have not been carried out since: held, waiting again, or under way.
    private var troubled = 0
    private var lastFailure: DiskFailure?
    private var isStopping = false
    /// By queue: requests taken from it and not given back, and whether it has more than may be taken.
    private var inFlight: [Int]
    private var isStalled: [Bool]
    /// Whether the policy believes that requests are held.
    private let events = Mutex(false)

    init(queueCount: Int, threadLimit: Int, disk: String, policy: DiskFailurePolicy, serve: @escaping Serve) {
        inFlight = Array(repeating: 0, count: queueCount)
        isStalled = Array(repeating: false, count: queueCount)
        self.threadLimit = threadLimit
        self.policy = policy
        self.disk = disk
        self.serve = serve
        unsafe pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(work, &attributes)
        unsafe pthread_cond_init(quiet, nil)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(work)
        unsafe pthread_cond_destroy(quiet)
        unsafe pthread_mutex_destroy(mutex)
        unsafe work.deallocate()
        unsafe quiet.deallocate()
        unsafe mutex.deallocate()
    }

    private func withLock<Result>(_ body: () -> Result) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return body()
    }

    private static var now: UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    // MARK: From the worker

    /// Whether one more request of `queue` may be taken; if not, ``release(queue:)`` will say so when it may.
    ///
    /// A driver that offers more chains than its queue holds is made to wait, so that it cannot fill the host's memory.
    func admits(queue: Int, limit: Int) -> Bool {
        withLock {
            if inFlight[queue] < limit { return true }
            isStalled[queue] = true
            return false
        }
    }

    func submit(_ request: BlockRequest) {
        let isAlone = withLock { () -> Bool in
            inFlight[request.queue] += 1
            return enqueue(request)
        }
        // The host has no thread left: this one does it.
        if isAlone { run(untilQuiet: true) }
    }

    /// A request is under way that somebody else carries out, until ``end()`` or ``redo(_:)``.
    func begin(_ request: BlockRequest) {
        withLock {
            inFlight[request.queue] += 1
            running += 1
        }
    }

    /// A request of ``begin(_:)`` was given back.
    func end() {
        withLock {
            running -= 1
            if running == 0, taken == waiting.count { unsafe pthread_cond_broadcast(quiet) }
        }
    }

    /// Takes over a request of ``begin(_:)`` that was not carried out.
    func redo(_ request: BlockRequest) {
        let isAlone = withLock { () -> Bool in
            running -= 1
            guard !isStopping else { return false }
            return enqueue(request)
        }
        if isAlone { run(untilQuiet: true) }
    }

    /// To be called before a request is given back.
    ///
    /// - Returns: Whether its queue has more that could not be taken.
    func release(queue: Int) -> Bool {
        withLock {
            inFlight[queue] -= 1
            defer { isStalled[queue] = false }
            return isStalled[queue]
        }
    }

    // MARK: From anywhere but the pool's threads

    /// Waits until nothing is waiting or under way.
    ///
    /// - Returns: Whether nothing is held either: every request that was taken has been given back.
    func drain() -> Bool {
        withLock {
            while !isStopping, taken < waiting.count || running > 0 { unsafe pthread_cond_wait(quiet, mutex) }
            return held.isEmpty
        }
    }

    /// Tries what is held again at once.
    func retryNow() { withLock { retryHeld() } }

    /// Gives up what has not begun or is held, and waits for what is under way.
    func stop() {
        let (threads, abandoned) = withLock { () -> ([pthread_t], Int) in
            isStopping = true
            let abandoned = troubled
            waiting = []
            taken = 0
            held = []
            retryAt = nil
            unsafe pthread_cond_broadcast(work)
            unsafe pthread_cond_broadcast(quiet)
            defer { self.threads = [] }
            return (self.threads, abandoned)
        }
        for thread in threads where pthread_equal(thread, pthread_self()) == 0 { pthread_join(thread, nil) }
        let left = withLock { () -> Int in
            defer { troubled = 0 }
            return min(abandoned, troubled)
        }
        if left > 0 { policy.tell(.abandoned(disk: disk, count: left)) }
        tellOfChange()
    }

    // MARK: The threads

    /// With the lock held.
    ///
    /// - Returns: Whether there is no thread to do it.
    private func enqueue(_ request: BlockRequest) -> Bool {
        waiting.append(request)
        if sleeping < waiting.count - taken, threads.count < threadLimit { startThread() }
        unsafe pthread_cond_signal(work)
        return threads.isEmpty
    }

    /// With the lock held.
    private func startThread() {
        var all = sigset_t()
        var old = sigset_t()
        // Signals are for the threads that expect them.
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &old)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &old, nil) }
        var thread = pthread_t()
        let argument = unsafe Unmanaged.passRetained(self)
        let result = unsafe pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                // SAFETY: the reference that was retained for this thread; it is taken over.
                let pool = unsafe Unmanaged<RequestPool>.fromOpaque(argument).takeRetainedValue()
                pool.run(untilQuiet: false)
                return nil
            },
            argument.toOpaque()
        )
        if result == 0 { threads.append(thread) } else { unsafe argument.release() }
    }

    private func run(untilQuiet: Bool) {
        let scratch = ByteBuffer(uninitialized: Self.scratchByteCount)
        while let request = next(untilQuiet: untilQuiet) {
            finish(request, serve(request, scratch, self))
            tellOfChange()
        }
    }

    private func next(untilQuiet: Bool) -> BlockRequest? {
        withLock {
            while !isStopping {
                if let retryAt, Self.now >= retryAt { retryHeld() }
                if taken < waiting.count {
                    let request = waiting[taken]
                    taken += 1
                    if taken == waiting.count || taken >= 256 {
                        waiting.removeFirst(taken)
                        taken = 0
                    }
                    running += 1
                    return request
                }
                if untilQuiet { return nil }
                sleeping += 1
                if let retryAt {
                    var deadline = timespec(
                        tv_sec: Int(retryAt / 1_000_000_000),
                        tv_nsec: Int(retryAt % 1_000_000_000)
                    )
                    unsafe pthread_cond_timedwait(work, mutex, &deadline)
                } else {
                    unsafe pthread_cond_wait(work, mutex)
                }
                sleeping -= 1
            }
            return nil
        }
    }

    private func finish(_ request: BlockRequest, _ outcome: Outcome) {
        withLock {
            running -= 1
            switch outcome {
            case .done:
                if request.hasFailed {
                    troubled -= 1
                    // What stood in the way is gone.
                    retryHeld()
                }
            case .held(let failure):
                if !request.hasFailed { troubled += 1 }
                lastFailure = failure
                if !isStopping {
                    var request = request
                    request.hasFailed = true
                    held.append(request)
                    if retryAt == nil { retryAt = Self.now &+ policy.retryInterval }
                }
            }
            if running == 0, taken == waiting.count { unsafe pthread_cond_broadcast(quiet) }
        }
    }

    /// With the lock held.
    private func retryHeld() {
        retryAt = nil
        guard !held.isEmpty else { return }
        waiting.append(contentsOf: held)
        held = []
        unsafe pthread_cond_broadcast(work)
    }

    /// Tells the policy when requests begin to be held, and when none is any more; in this order, whoever does it.
    private func tellOfChange() {
        events.withLock { isHolding in
            let (isTroubled, failure) = withLock { (troubled > 0, lastFailure) }
            guard isTroubled != isHolding else { return }
            isHolding = isTroubled
            if !isTroubled {
                policy.tell(.released(disk: disk))
            } else if let failure {
                policy.tell(.held(failure, pausesGuest: policy.pausesGuest))
            }
        }
    }
}
