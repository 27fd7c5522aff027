internal import Glibc

/// Bytes on their way from a serial port to a descriptor, written by a thread of their own so that no vCPU waits for the host.
///
/// A reader slower than the guest makes ``append(_:)`` wait once ``limit`` bytes have gathered.
@safe
final class OutputQueue: @unchecked Sendable {
    // SAFETY: every `var` is touched only between lock and unlock of `mutex`; the pointers never change.
    private static let limit = 1 << 20

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var bytes: [UInt8] = []
    private var isWriting = false
    private var descriptor: CInt
    /// Bytes that the descriptor does not take at once are lost: nobody may be there to read them.
    private let dropsWhenFull: Bool

    /// `descriptor`: Stays the caller's; a negative one loses what is written.
    init(descriptor: CInt, dropsWhenFull: Bool = false) {
        self.descriptor = descriptor
        self.dropsWhenFull = dropsWhenFull
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

    private func withLock<Result>(_ body: () -> Result) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return body()
    }

    func append(_ more: [UInt8]) {
        withLock {
            while bytes.count >= Self.limit { unsafe pthread_cond_wait(condition, mutex) }
            bytes += more
            unsafe pthread_cond_broadcast(condition)
        }
    }

    /// Waits until everything appended before was written.
    func drain() {
        withLock {
            while !bytes.isEmpty || isWriting { unsafe pthread_cond_wait(condition, mutex) }
        }
    }

    /// Sends what comes from now on elsewhere.
    func redirect(to newDescriptor: CInt) {
        withLock {
            while isWriting { unsafe pthread_cond_wait(condition, mutex) }
            descriptor = newDescriptor
        }
    }

    /// The body of the writing thread; never returns.
    func run() {
        while true {
            let (chunk, target) = withLock { () -> ([UInt8], CInt) in
                isWriting = false
                unsafe pthread_cond_broadcast(condition)
                while bytes.isEmpty { unsafe pthread_cond_wait(condition, mutex) }
                isWriting = true
                defer { bytes.removeAll(keepingCapacity: true) }
                return (bytes, descriptor)
            }
            write(chunk, to: target)
        }
    }

    private func write(_ chunk: [UInt8], to target: CInt) {
        var rest = chunk[...]
        while target >= 0, !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(target, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN, !dropsWhenFull {
                var ready = pollfd(fd: target, events: Int16(POLLOUT), revents: 0)
                unsafe poll(&ready, 1, -1)
            } else if errno != EINTR {
                return
            }
        }
    }
}
