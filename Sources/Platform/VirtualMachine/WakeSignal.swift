internal import Glibc

/// Lets the engine's thread sleep while no vCPU has anything to do, and any thread end that sleep.
///
/// A notification that comes before the wait is not lost: the next wait returns at once.
@safe
public final class WakeSignal: @unchecked Sendable {
    // SAFETY: `isPending` is touched only between lock and unlock of `mutex`; the pointers never change.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var isPending = false

    public init() {
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(condition, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    public func notify() {
        unsafe pthread_mutex_lock(mutex)
        isPending = true
        unsafe pthread_cond_signal(condition)
        unsafe pthread_mutex_unlock(mutex)
    }

    /// Sleeps until ``notify()`` was called since the last wait.
    public func wait() {
        unsafe pthread_mutex_lock(mutex)
        while !isPending { unsafe pthread_cond_wait(condition, mutex) }
        isPending = false
        unsafe pthread_mutex_unlock(mutex)
    }
}
