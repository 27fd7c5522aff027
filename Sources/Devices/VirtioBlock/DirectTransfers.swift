internal import DiskImage
internal import Glibc
internal import Synchronization
internal import Virtio

/// Transfers between guest memory and the file of a raw disk, carried out by a ring of the host's: no copy, and no thread a request.
///
/// What the ring does not do whole is done again by the pool, which knows what to do about failures.
final class DirectTransfers: Sendable {
    /// A request under way.
    @safe
    private struct Transfer: @unchecked Sendable {
        let request: BlockRequest
        // SAFETY: made for this transfer, read by the host, and freed by whoever takes the result.
        let parts: UnsafeMutableBufferPointer<iovec>
    }
    private struct State {
        var transfers: [UInt64: Transfer] = [:]
        var nextToken: UInt64 = 0
        /// Whether something waits for ``submit()``.
        var isPrepared = false
    }

    private static let limit = 256
    /// The most buffers of one transfer (IOV_MAX).
    private static let partLimit = 1024

    private let ring: HostRing
    private let file: CInt
    private let executor: BlockExecutor
    private let pool: RequestPool
    private let giveBack: @Sendable (BlockRequest, Int) -> Void
    private let state = Mutex(State())
    private let reaper: Mutex<DeviceWorker?>

    /// `giveBack`: Gives a request back, with the bytes written to its chain; on a thread of this object's.
    /// - Returns: Nil where the disk is not a file as it is, or the host has no ring for it.
    init?(
        _ executor: BlockExecutor,
        _ pool: RequestPool,
        giveBack: @escaping @Sendable (BlockRequest, Int) -> Void
    ) {
        guard let file = executor.image.fileDescriptor, let ring = HostRing(entryCount: UInt32(Self.limit)) else {
            return nil
        }
        self.ring = ring
        self.file = file
        self.executor = executor
        self.pool = pool
        self.giveBack = giveBack
        reaper = Mutex(nil)
        guard let worker = DeviceWorker(serve: { [weak self] _ in self?.takeResults() }) else { return nil }
        reaper.withLock { $0 = worker }
        worker.signal(0)
    }

    // MARK: From the worker

    /// Takes a request, which ``submit()`` starts.
    ///
    /// - Returns: False where the pool is to do it.
    func take(_ request: BlockRequest) throws(VirtioQueueError) -> Bool {
        let writing = request.kind == .write
        guard writing || request.kind == .read, request.dataByteCount > 0,
            let offset = executor.validOffset(of: request)
        else { return false }
        // Stable storage before it is given back, and refusals, are the pool's.
        guard !writing || executor.isWriteback.load(ordering: .relaxed) && !executor.image.isReadOnly else {
            return false
        }
        let found = unsafe try Self.parts(of: request)
        guard unsafe !found.isEmpty, unsafe found.count <= Self.partLimit else { return false }
        let parts = unsafe UnsafeMutableBufferPointer<iovec>.allocate(capacity: found.count)
        _ = unsafe parts.initialize(from: found)
        pool.begin(request)
        let isTaken = state.withLock { state in
            guard state.transfers.count < Self.limit else { return false }
            let token = state.nextToken
            guard unsafe ring.prepare(parts, writing: writing, file: file, offset: offset, token: token) else {
                return false
            }
            state.nextToken = (token &+ 1) & (HostRing.wakeToken >> 1)
            state.transfers[token] = unsafe Transfer(request: request, parts: parts)
            state.isPrepared = true
            return true
        }
        if !isTaken {
            unsafe parts.deallocate()
            pool.redo(request)
        }
        return true
    }

    /// Hands what was taken to the host.
    func submit() {
        state.withLock { state in
            if state.isPrepared { ring.submit() }
            state.isPrepared = false
        }
    }

    /// Waits for what is under way.
    func stop() {
        let worker = reaper.withLock { worker in
            defer { worker = nil }
            return worker
        }
        guard let worker else { return }
        submit()
        state.withLock { _ in ring.wake() }
        worker.stop()
    }

    /// Where the data of a request lies in this process.
    private static func parts(of request: BlockRequest) throws(VirtioQueueError) -> [iovec] {
        var parts: [iovec] = unsafe []
        if request.kind == .read {
            unsafe try request.chain.forEachWritable(in: 0..<request.dataByteCount) { part, _ in
                unsafe parts.append(iovec(iov_base: part.baseAddress, iov_len: part.count))
                return true
            }
        } else {
            let range = BlockRequest.headerByteCount..<(BlockRequest.headerByteCount + request.dataByteCount)
            unsafe try request.chain.forEachReadable(in: range) { part, _ in
                unsafe parts.append(iovec(iov_base: UnsafeMutableRawPointer(mutating: part.baseAddress), iov_len: part.count))
                return true
            }
        }
        return unsafe parts
    }

    // MARK: The thread that takes results

    private func takeResults() {
        var isStopping = false
        while !isStopping || state.withLock({ !$0.transfers.isEmpty }) {
            let result = ring.next()
            if result.token == HostRing.wakeToken {
                isStopping = true
                continue
            }
            guard let transfer = state.withLock({ $0.transfers.removeValue(forKey: result.token) }) else { continue }
            unsafe transfer.parts.deallocate()
            finish(transfer.request, Int(result.value))
        }
    }

    private func finish(_ request: BlockRequest, _ moved: Int) {
        guard moved == request.dataByteCount else { return pool.redo(request) }
        do throws(VirtioQueueError) {
            let written = request.kind == .read ? moved : 0
            // Engines are told of what the host has written.
            if written > 0 { unsafe try request.chain.forEachWritable(in: 0..<written) { _, _ in true } }
            try request.chain.copyIn(
                [BlockRequest.Status.ok.rawValue],
                at: request.chain.writableByteCount - 1
            )
            giveBack(request, written + 1)
            pool.end()
        } catch {
            pool.redo(request)
        }
    }
}
