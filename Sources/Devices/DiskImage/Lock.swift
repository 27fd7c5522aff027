internal import Glibc

/// A mutual exclusion between threads whose body may throw and return anything.
@safe
final class Lock: @unchecked Sendable {
    // SAFETY: the mutex is only used through the calls below and lives as long as this object.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    init() { unsafe pthread_mutex_init(mutex, nil) }
    deinit {
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    func withLock<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try body()
    }
    fileprivate func wait(on condition: UnsafeMutablePointer<pthread_cond_t>) {
        unsafe pthread_cond_wait(condition, mutex)
    }
}

/// Threads that wait, within a lock, for what others do.
@safe
final class Condition: @unchecked Sendable {
    // SAFETY: as above.
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() { unsafe pthread_cond_init(condition, nil) }
    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe condition.deallocate()
    }

    /// Gives `lock`, which the caller holds, away while it waits; may return for no reason.
    func wait(in lock: Lock) { unsafe lock.wait(on: condition) }
    func wakeAll() { unsafe pthread_cond_broadcast(condition) }
}

/// A lock that many share or one has alone.
///
/// Not recursive.
@safe
final class SharedLock: @unchecked Sendable {
    // SAFETY: as above.
    private let lock = UnsafeMutablePointer<pthread_rwlock_t>.allocate(capacity: 1)

    init() { unsafe pthread_rwlock_init(lock, nil) }
    deinit {
        unsafe pthread_rwlock_destroy(lock)
        unsafe lock.deallocate()
    }

    func shared<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        unsafe pthread_rwlock_rdlock(lock)
        defer { unsafe pthread_rwlock_unlock(lock) }
        return try body()
    }
    func exclusive<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        unsafe pthread_rwlock_wrlock(lock)
        defer { unsafe pthread_rwlock_unlock(lock) }
        return try body()
    }
}
