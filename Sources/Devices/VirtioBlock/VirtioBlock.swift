public import DeviceModel
public import DiskImage
public import GuestMemory
internal import Synchronization
public import Virtio

/// The block device (Virtio 1.3 §5.2): one or several queues over a disk image.
///
/// The transport's worker takes requests from the queues and hands them to the threads of a ``RequestPool``, which carry them out and
/// give them back. Locks, none held while another is taken: `active`, `limit`, the pool's.
public final class VirtioBlock: DrainingDevice {
    private enum Feature {
        static let segmentLimit = VirtioFeatures(bit: 2)
        static let readOnly = VirtioFeatures(bit: 5)
        static let blockSize = VirtioFeatures(bit: 6)
        static let flush = VirtioFeatures(bit: 9)
        static let topology = VirtioFeatures(bit: 10)
        static let writeCache = VirtioFeatures(bit: 11)
        static let multiqueue = VirtioFeatures(bit: 12)
        static let discard = VirtioFeatures(bit: 13)
        static let writeZeroes = VirtioFeatures(bit: 14)
    }
    /// What lives from the driver's start to its reset.
    private final class Active: Sendable {
        let activation: Activation
        let pool: RequestPool
        /// Nil where every request is the pool's.
        let direct: DirectTransfers?
        let limitTimer: any DeviceTimer
        /// What the driver was found to have done wrong while a request was given back.
        let failure: Failure

        init(
            _ activation: Activation,
            _ pool: RequestPool,
            _ direct: DirectTransfers?,
            _ limitTimer: any DeviceTimer,
            _ failure: Failure
        ) {
            self.activation = activation
            self.pool = pool
            self.direct = direct
            self.limitTimer = limitTimer
            self.failure = failure
        }
    }
    private static let queueSize: UInt16 = 256
    private static let writeCacheOffset: UInt64 = 0x20
    /// Threads of a device with few queues.
    private static let usualThreadCount = 4

    public let deviceID: UInt32 = 2
    public let queueSizes: [UInt16]
    public let offeredFeatures: VirtioFeatures
    private let configuration: VirtioBlockConfiguration
    private let executor: BlockExecutor
    private let timers: any TimerService
    private let active = Mutex<Active?>(nil)
    /// Used by the worker only.
    private let limit: Mutex<BlockRateLimit>

    var image: any DiskImage { executor.image }
    var identifier: [UInt8] { executor.identifier }
    /// Whether the guest lets writes be given back before they are on stable storage.
    var isWriteback: Bool {
        get { executor.isWriteback.load(ordering: .relaxed) }
        set { executor.isWriteback.store(newValue, ordering: .relaxed) }
    }

    /// `timers`: Opens a limited disk again; limits count machine time.
    public init(
        _ image: any DiskImage,
        _ configuration: VirtioBlockConfiguration = VirtioBlockConfiguration(),
        timers: any TimerService
    ) {
        self.configuration = configuration
        self.timers = timers
        executor = BlockExecutor(image, configuration)
        limit = Mutex(configuration.limit)
        queueSizes = Array(repeating: Self.queueSize, count: configuration.queueCount)
        var features: VirtioFeatures = [
            Feature.segmentLimit, Feature.blockSize, Feature.flush, Feature.topology, Feature.writeCache,
        ]
        if configuration.queueCount > 1 { features.insert(Feature.multiqueue) }
        if image.isReadOnly {
            features.insert(Feature.readOnly)
        } else {
            features.formUnion([Feature.discard, Feature.writeZeroes])
        }
        offeredFeatures = features
    }

    deinit { reset() }

    // MARK: Configuration

    /// The configuration structure (§5.2.4); what no offered feature stands for is 0.
    public func readConfig(at offset: UInt64, width: AccessWidth) -> UInt64 {
        var config = DeviceConfigurationBytes()
        config.append(image.byteCount / BlockRequest.sectorByteCount)  // 00 capacity
        config.append(0 as UInt32)  // 08 size_max
        config.append(UInt32(Self.queueSize) - 2)  // 0C seg_max: all but header and status
        config.append(0 as UInt32)  // 10 geometry
        config.append(UInt32(BlockRequest.sectorByteCount))  // 14 blk_size
        config.append(3 as UInt8)  // 18 physical_block_exp: 4096 bytes
        config.append(0 as UInt8)  // 19 alignment_offset
        config.append(8 as UInt16)  // 1A min_io_size, in blocks
        config.append(0 as UInt32)  // 1C opt_io_size: none
        config.append(isWriteback ? 1 : 0 as UInt8)  // 20 writeback
        config.append(0 as UInt8)  // 21 unused
        config.append(UInt16(configuration.queueCount))  // 22 num_queues
        let writable: UInt32 = image.isReadOnly ? 0 : 1
        config.append(BlockRange.sectorLimit * writable)  // 24 max_discard_sectors
        config.append(BlockRange.countLimit * writable)  // 28 max_discard_seg
        config.append(8 * writable)  // 2C discard_sector_alignment
        config.append(BlockRange.sectorLimit * writable)  // 30 max_write_zeroes_sectors
        config.append(BlockRange.countLimit * writable)  // 34 max_write_zeroes_seg
        config.append(writable)  // 38 write_zeroes_may_unmap, unused
        return config.read(at: offset, width: width)
    }

    /// Only `writeback` can be written.
    public func writeConfig(_ value: UInt64, at offset: UInt64, width: AccessWidth) {
        guard offset == Self.writeCacheOffset, width == .byte else { return }
        isWriteback = value & 0xFF != 0
    }

    // MARK: Life

    public func activate(_ activation: consuming Activation) {
        let activation = activation
        // A driver that cannot flush has its writes on stable storage when they are given back (§5.2.6.2).
        if !activation.features.contains(Feature.flush) { isWriteback = false }
        let failure = Failure()
        let executor = executor
        let giveBack: @Sendable (BlockRequest, Int, RequestPool) -> Void = { request, written, pool in
            guard let queue = activation.queue(request.queue) else { return }
            do throws(VirtioQueueError) {
                let hasMore = pool.release(queue: request.queue)
                try queue.complete(request.chain, byteCount: written)
                try queue.signalDriver()
                if hasMore { activation.wake(request.queue) }
            } catch {
                failure.set(error)
                activation.wake(request.queue)
            }
        }
        let pool = RequestPool(
            queueCount: configuration.queueCount,
            threadLimit: max(Self.usualThreadCount, configuration.queueCount),
            disk: configuration.name,
            policy: configuration.failures
        ) { request, scratch, pool in
            do throws(VirtioQueueError) {
                switch try executor.serve(request, scratch) {
                case .held(let cause): return .held(cause)
                case .done(let written): giveBack(request, written, pool)
                }
            } catch {
                failure.set(error)
                activation.wake(request.queue)
            }
            return .done
        }
        let direct = DirectTransfers(executor, pool) { [weak pool] request, written in
            if let pool { giveBack(request, written, pool) }
        }
        let limitTimer = timers.makeTimer {
            for index in activation.queues.indices { activation.wake(index) }
        }
        let new = Active(activation, pool, direct, limitTimer, failure)
        active.withLock { $0 = new }
    }

    /// Waits for the requests that are under way; those that have not begun, or are held, are given up.
    public func reset() {
        let old = active.withLock { active in
            defer { active = nil }
            return active
        }
        if let old {
            old.limitTimer.arm(at: nil)
            old.direct?.stop()
            old.pool.stop()
        }
        isWriteback = true
    }

    public func drain() -> Bool { active.withLock { $0 }?.pool.drain() ?? true }

    /// Tries requests that wait for the host's disk again at once, rather than at the next interval.
    public func retryHeld() { active.withLock { $0 }?.pool.retryNow() }

    // MARK: Queues

    public func process(queue: Int) throws(VirtioQueueError) {
        guard let active = active.withLock({ $0 }), let source = active.activation.queue(queue) else { return }
        if let failure = active.failure.value { throw failure }
        defer { active.direct?.submit() }
        repeat {
            try source.suppressNotifications()
            while true {
                // Both ask for this queue to be served again; the driver is not asked to notify.
                guard active.pool.admits(queue: queue, limit: Int(source.size)) else { return }
                if let opensAt = closedUntil {
                    active.limitTimer.arm(at: opensAt)
                    return
                }
                guard let chain = try source.next() else { break }
                let request = try BlockRequest(chain, queue: queue)
                count(request)
                if try active.direct?.take(request) != true { active.pool.submit(request) }
            }
        } while try source.resumeNotifications()
    }

    /// When the next request may begin, if that is later than now.
    private var closedUntil: UInt64? {
        limit.withLock { limit in
            guard limit.isLimited, limit.opensAt > timers.now else { return nil }
            return limit.opensAt
        }
    }

    private func count(_ request: BlockRequest) {
        limit.withLock { limit in
            guard limit.isLimited, request.kind == .read || request.kind == .write else { return }
            limit.take(byteCount: request.dataByteCount, now: timers.now)
        }
    }
}

/// What the driver did wrong, found on a thread that cannot tell the transport.
private final class Failure: Sendable {
    private let error = Mutex<VirtioQueueError?>(nil)
    func set(_ error: VirtioQueueError) { self.error.withLock { $0 = $0 ?? error } }
    var value: VirtioQueueError? { error.withLock { $0 } }
}
