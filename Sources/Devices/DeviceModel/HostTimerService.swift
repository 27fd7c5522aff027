import Glibc
internal import SystemCalls

/// Time from the host's monotonic clock, and one thread that fires timers.
///
/// The thread lives until ``stop()`` is called or the service is destroyed. One lock guards the queue and the clock's origin;
/// handlers run without it.
public final class HostTimerService: TimerService {
    private let core: TimerThread

    /// Starts the thread.
    ///
    /// `now`: What the time is at the start. `isPaused`: Whether it stands still until ``resume()``.
    public init(now: UInt64 = 0, isPaused: Bool = false) {
        core = TimerThread(now: now, isPaused: isPaused)
        core.start()
    }

    deinit { core.stop() }

    public var now: UInt64 { core.withLock { core.time() } }

    public func makeTimer(_ handler: @escaping @Sendable () -> Void) -> any DeviceTimer {
        QueuedTimer(handler: handler) { [weak core] timer, deadline in core?.set(timer, deadline) }
    }

    /// The host's time (``HostTime/nanoseconds``) at which the machine's was 0, if it had never paused.
    public var origin: UInt64 { core.withLock { core.origin } }

    /// Lets time stand still, at what it returns.
    ///
    /// No handler runs any more when it returns, and none until ``resume()``; not to be called by a handler.
    @discardableResult
    public func pause() -> UInt64 { core.pause() }
    public func resume() { core.resume() }
    /// Ends the thread; no timer fires any more.
    public func stop() { core.stop() }
}

/// What the service and its thread share.
@safe
private final class TimerThread: @unchecked Sendable {
    // SAFETY: every `var` is read and written only between lock() and unlock() of `mutex`; the pointers never change.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let wakeUp: UnsafeMutablePointer<pthread_cond_t>
    private var queue = DeadlineQueue()
    /// The host's time at which the machine's was 0, if it had never paused.
    private(set) var origin: UInt64
    private var pausedAt: UInt64?
    /// A handler runs.
    private var isFiring = false
    private let isIdle: UnsafeMutablePointer<pthread_cond_t>
    private var isStopped = false
    /// What the thread sleeps until, in machine time; 0 while it is awake.
    private var sleepsUntil: UInt64 = 0

    init(now: UInt64, isPaused: Bool) {
        unsafe isIdle = .allocate(capacity: 1)
        unsafe pthread_cond_init(isIdle, nil)
        unsafe mutex = .allocate(capacity: 1)
        unsafe wakeUp = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(wakeUp, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
        origin = HostTime.nanoseconds &- now
        pausedAt = isPaused ? now : nil
    }

    deinit {
        unsafe pthread_cond_destroy(isIdle)
        unsafe isIdle.deallocate()
        unsafe pthread_cond_destroy(wakeUp)
        unsafe pthread_mutex_destroy(mutex)
        unsafe wakeUp.deallocate()
        unsafe mutex.deallocate()
    }

    func start() {
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(self)
        let status = unsafe pthread_create(
            &thread,
            nil,
            { argument in
                // SAFETY: `argument` is the retained pointer that `start()` passed; this takes that reference over.
                guard let argument = unsafe argument else { return nil }
                let thread = unsafe Unmanaged<TimerThread>.fromOpaque(argument).takeRetainedValue()
                thread.run()
                return nil
            },
            context.toOpaque()
        )
        precondition(status == 0, "no thread for timers: \(status)")
        pthread_detach(thread)
    }

    func withLock<Result>(_ body: () -> Result) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return body()
    }

    /// The machine's time; the lock is held.
    func time() -> UInt64 { pausedAt ?? (HostTime.nanoseconds &- origin) }

    func set(_ timer: QueuedTimer, _ deadline: UInt64?) {
        withLock {
            queue.set(timer, deadline)
            if let deadline, deadline < sleepsUntil { unsafe pthread_cond_signal(wakeUp) }
        }
    }

    func pause() -> UInt64 {
        withLock {
            let now = time()
            pausedAt = now
            while isFiring { unsafe pthread_cond_wait(isIdle, mutex) }
            return now
        }
    }

    func resume() {
        withLock {
            guard let pausedAt else { return }
            origin = HostTime.nanoseconds &- pausedAt
            self.pausedAt = nil
            unsafe pthread_cond_signal(wakeUp)
        }
    }

    func stop() {
        withLock {
            isStopped = true
            queue = DeadlineQueue()
            unsafe pthread_cond_signal(wakeUp)
        }
    }

    private func run() {
        while let timer = nextDue() { timer.fire() }
    }

    /// Sleeps until a timer is due; nil when the service was stopped.
    private func nextDue() -> QueuedTimer? {
        withLock {
            isFiring = false
            unsafe pthread_cond_broadcast(isIdle)
            while !isStopped {
                guard pausedAt == nil, let earliest = queue.earliest else {
                    sleepsUntil = pausedAt == nil ? .max : 0
                    unsafe pthread_cond_wait(wakeUp, mutex)
                    continue
                }
                sleepsUntil = 0
                let now = time()
                if let timer = queue.removeDue(at: now) {
                    isFiring = true
                    return timer
                }
                sleepsUntil = earliest
                // A day at a time: far deadlines lie past the clock's range, and the two clocks drift apart by millionths.
                let wait = min(earliest &- now, 86_400_000_000_000)
                var deadline = Self.timespec(HostTime.monotonicClock &+ wait)
                unsafe pthread_cond_timedwait(wakeUp, mutex, &deadline)
            }
            return nil
        }
    }

    private static func timespec(_ nanoseconds: UInt64) -> Glibc.timespec {
        Glibc.timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    }
}
