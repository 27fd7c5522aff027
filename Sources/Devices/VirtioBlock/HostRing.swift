internal import CURing
internal import Glibc

/// Reads and writes of files that the host carries out while nobody waits for them: io_uring(7).
///
/// One thread at a time may prepare and submit, and one may take results.
@safe
final class HostRing: @unchecked Sendable {
    struct Result {
        let token: UInt64
        /// The bytes that were moved, or a negative error number.
        let value: CInt
    }
    /// The token of ``wake()``.
    static let wakeToken = UInt64.max

    // SAFETY: allocated in init and freed in deinit; liburing keeps what submits and what takes results apart.
    private let ring = UnsafeMutablePointer<io_uring>.allocate(capacity: 1)

    /// Nil where the host has no io_uring, or does not give it to this process.
    init?(entryCount: UInt32) {
        unsafe ring.initialize(to: io_uring())
        guard unsafe io_uring_queue_init(entryCount, ring, 0) == 0 else {
            unsafe ring.deallocate()
            return nil
        }
    }

    deinit {
        unsafe io_uring_queue_exit(ring)
        unsafe ring.deallocate()
    }

    /// Prepares a transfer between `parts`, which live until its result is taken, and `file` at `offset`.
    ///
    /// - Returns: False where there is no room; ``submit()`` makes some.
    func prepare(
        _ parts: UnsafeMutableBufferPointer<iovec>,
        writing: Bool,
        file: CInt,
        offset: UInt64,
        token: UInt64
    ) -> Bool {
        guard let entry = unsafe io_uring_get_sqe(ring) else { return false }
        if writing {
            unsafe io_uring_prep_writev(entry, file, parts.baseAddress, UInt32(parts.count), offset)
        } else {
            unsafe io_uring_prep_readv(entry, file, parts.baseAddress, UInt32(parts.count), offset)
        }
        unsafe io_uring_sqe_set_data64(entry, token)
        return true
    }

    /// Hands what was prepared to the host.
    func submit() { while unsafe io_uring_submit(ring) == -EINTR {} }

    /// Makes ``next()`` return once with ``wakeToken``.
    func wake() {
        while true {
            if let entry = unsafe io_uring_get_sqe(ring) {
                unsafe io_uring_prep_nop(entry)
                unsafe io_uring_sqe_set_data64(entry, Self.wakeToken)
                return submit()
            }
            submit()
        }
    }

    /// The next result; waits for it.
    func next() -> Result {
        var entry: UnsafeMutablePointer<io_uring_cqe>?
        while true {
            let status = unsafe io_uring_wait_cqe(ring, &entry)
            if status == 0, let entry = unsafe entry {
                let result = unsafe Result(token: entry.pointee.user_data, value: entry.pointee.res)
                unsafe io_uring_cqe_seen(ring, entry)
                return result
            }
            // Only an interruption is possible here.
            usleep(status == -EINTR ? 0 : 1000)
        }
    }
}
