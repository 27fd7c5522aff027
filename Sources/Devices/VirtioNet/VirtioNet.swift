public import DeviceModel
public import GuestMemory
public import NetworkFrames
internal import Synchronization
public import Virtio

/// The network device (Virtio 1.3 §5.1).
///
/// Everything is done on the transport's worker, which may wait for the host; backends hand frames in from their own threads
/// (``receive(_:)``). Locks: `shared`, held for a moment by anyone, never while anything is called; `queues`, held by the worker for as
/// long as it serves, and taken before `shared`.
public final class VirtioNet: VirtioDevice, FrameReceiver {
    /// What all threads see.
    struct Shared {
        var state: VirtioNetState
        var activation: Activation?
        var backlog: ReceiveBacklog
        var counters = VirtioNetCounters()
        /// The offloads of a saved driver, until it is active again.
        var savedOffloads: VirtioFeatures?
        /// The backend was told to wait.
        var hasPaused = false
    }

    /// What only the worker sees.
    struct Queues {
        var receive: [ReceiveQueue]
        /// By pair: chains given back that the driver was not told of, and when it is to be told.
        var untold: [(count: Int, tellAt: UInt64)]
        var transmitLimit: RateLimit
        var receiveLimit: RateLimit
    }

    private static let queueSize: UInt16 = 256
    private static let controlQueueSize: UInt16 = 64
    /// How long the driver may be left without word of frames that were sent, in nanoseconds.
    ///
    /// A driver that has other reasons to look finds them by itself: the interrupt is saved, which costs a software CPU more than the frame.
    private static let completionDelay: UInt64 = 500_000
    /// The guest's frames are handed on in parts of so many bytes.
    private static let batchByteCount = 256 << 10

    public let deviceID: UInt32 = 1
    public let offeredFeatures: VirtioFeatures
    public let queueSizes: [UInt16]
    let configuration: VirtioNetConfiguration
    private let backend: any NetworkBackend
    private let observer: (any FrameObserver)?
    private let timers: any TimerService
    let shared: Mutex<Shared>
    let queues: Mutex<Queues>
    private let transmitTimer: any DeviceTimer
    private let completionTimer: any DeviceTimer
    private let receiveTimer: any DeviceTimer

    /// `observer`: Sees every frame that the guest sends or gets.
    public init(
        _ configuration: VirtioNetConfiguration,
        backend: any NetworkBackend,
        timers: any TimerService,
        observer: (any FrameObserver)? = nil
    ) {
        self.configuration = configuration
        self.backend = backend
        self.timers = timers
        self.observer = observer
        let pairCount = configuration.queuePairCount
        var features = VirtioNetFeature.all
        if pairCount > 1 { features.insert(VirtioNetFeature.multiqueue) }
        if configuration.mtu != nil { features.insert(VirtioNetFeature.mtu) }
        offeredFeatures = features
        queueSizes = Array(repeating: Self.queueSize, count: pairCount * 2) + [Self.controlQueueSize]
        shared = Mutex(
            Shared(
                state: VirtioNetState(address: configuration.address),
                backlog: ReceiveBacklog(pairCount: pairCount)
            )
        )
        queues = Mutex(Self.makeQueues(configuration))
        let target = WakeTarget()
        transmitTimer = timers.makeTimer { target.device?.wakeQueues(offset: 1) }
        completionTimer = timers.makeTimer { target.device?.wakeQueues(offset: 1) }
        receiveTimer = timers.makeTimer { target.device?.wakeQueues(offset: 0) }
        target.connect(self)
    }

    private static func makeQueues(_ configuration: VirtioNetConfiguration) -> Queues {
        Queues(
            receive: Array(repeating: ReceiveQueue(), count: configuration.queuePairCount),
            untold: Array(repeating: (0, 0), count: configuration.queuePairCount),
            transmitLimit: configuration.transmitLimit,
            receiveLimit: configuration.receiveLimit
        )
    }

    public var counters: VirtioNetCounters { shared.withLock { $0.counters } }

    // MARK: Configuration

    /// 00 mac, 06 status, 08 max_virtqueue_pairs, 0A mtu (§5.1.4).
    public func readConfig(at offset: UInt64, width: AccessWidth) -> UInt64 {
        let state = shared.withLock { $0.state }
        var config = DeviceConfigurationBytes()
        for byte in state.address.bytes { config.append(byte) }
        config.append((state.announces ? 2 : 0) | 1 as UInt16)
        config.append(UInt16(configuration.queuePairCount))
        config.append(configuration.mtu ?? 0)
        return config.read(at: offset, width: width)
    }

    /// The address is set by the control queue; no field is writable (§5.1.4.2).
    public func writeConfig(_ value: UInt64, at offset: UInt64, width: AccessWidth) {}

    // MARK: Life

    public func activate(_ activation: consuming Activation) {
        let new = activation
        shared.withLock { shared in
            shared.activation = new
            let agreed = new.features.intersection(VirtioNetFeature.guestOffloads)
            shared.state.guestOffloads = shared.savedOffloads?.intersection(agreed) ?? agreed
            shared.savedOffloads = nil
        }
        backend.attach(self)
    }

    public func reset() {
        backend.attach(nil)
        transmitTimer.arm(at: nil)
        completionTimer.arm(at: nil)
        receiveTimer.arm(at: nil)
        shared.withLock { shared in
            shared.activation = nil
            shared.state = VirtioNetState(address: configuration.address)
            shared.backlog = ReceiveBacklog(pairCount: configuration.queuePairCount)
            shared.hasPaused = false
            shared.savedOffloads = nil
        }
        queues.withLock { $0 = Self.makeQueues(configuration) }
    }

    /// Asks the driver to make the guest known on the network, such as after it was moved.
    public func announce() {
        let tell = shared.withLock { shared -> (@Sendable () -> Void)? in
            guard let active = shared.activation, active.features.contains(VirtioNetFeature.guestAnnounce) else {
                return nil
            }
            shared.state.announces = true
            return active.configurationChanged
        }
        tell?()
    }

    private func wakeQueues(offset: Int) {
        guard let wake = shared.withLock({ $0.activation?.wake }) else { return }
        for pair in 0..<configuration.queuePairCount { wake(pair * 2 + offset) }
    }

    // MARK: Queues

    public func process(queue: Int) throws(VirtioQueueError) {
        guard let active = shared.withLock({ $0.activation }), let target = active.queue(queue) else { return }
        // Without multi-queue, the control queue follows the first pair (§5.1.2).
        let pairCount = active.features.contains(VirtioNetFeature.multiqueue) ? configuration.queuePairCount : 1
        if queue == pairCount * 2 {
            guard active.features.contains(VirtioNetFeature.controlQueue) else { return }
            try control(target, active)
        } else if queue < pairCount * 2 {
            try queues.withLock { queues throws(VirtioQueueError) in
                if queue % 2 == 0 {
                    try deliver(queue / 2, to: target, active, &queues)
                } else {
                    try transmit(queue / 2, from: target, active, &queues)
                }
            }
        }
    }

    private func control(_ target: VirtioQueue, _ active: Activation) throws(VirtioQueueError) {
        var changesOffloads = false
        try target.drain { chain throws(VirtioQueueError) in
            guard chain.writableByteCount >= 1 else { throw .requestTooShort(byteCount: 0) }
            var isDone = false
            if chain.readableByteCount <= ControlCommand.headerByteCount + ControlCommand.dataLimit {
                let bytes = try chain.copyOut(at: 0, byteCount: chain.readableByteCount)
                (isDone, changesOffloads) = shared.withLock { shared in
                    let before = shared.state.guestOffloads
                    let isDone = ControlCommand.apply(
                        bytes,
                        to: &shared.state,
                        features: active.features,
                        pairLimit: configuration.queuePairCount
                    )
                    return (isDone, changesOffloads || shared.state.guestOffloads != before)
                }
            }
            try chain.copyIn([isDone ? ControlCommand.accepted : ControlCommand.refused], at: 0)
            return 1
        }
        // The backend asks anew what the guest takes.
        if changesOffloads { backend.attach(self) }
    }

    // MARK: From the guest

    private func transmit(
        _ pair: Int,
        from source: VirtioQueue,
        _ active: Activation,
        _ queues: inout Queues
    ) throws(VirtioQueueError) {
        let allowed = backend.offloads
        let steers = configuration.queuePairCount > 1
        repeat {
            try source.suppressNotifications()
            var batch: [Frame] = []
            var batchByteCount = 0
            var counters = VirtioNetCounters()
            var opensAt: UInt64?
            while true {
                if queues.transmitLimit.isLimited {
                    let moment = queues.transmitLimit.opensAt
                    if moment > timers.now {
                        opensAt = moment
                        break
                    }
                }
                guard let chain = try source.next() else { break }
                let frame = try takeFrame(chain)
                try source.complete(chain, byteCount: 0)
                queues.untold[pair].count += 1
                guard let frame else {
                    counters.malformedFrames += 1
                    continue
                }
                counters.sentFrames += 1
                counters.sentBytes += UInt64(frame.bytes.count)
                batchByteCount += frame.bytes.count
                if queues.transmitLimit.isLimited {
                    queues.transmitLimit.take(byteCount: frame.bytes.count, now: timers.now)
                }
                batch.append(frame)
                if batchByteCount >= Self.batchByteCount {
                    send(batch, pair, allowed, steers: steers)
                    batch = []
                    batchByteCount = 0
                }
            }
            if !batch.isEmpty { send(batch, pair, allowed, steers: steers) }
            count(counters)
            try tell(pair, source, &queues)
            if let opensAt {
                // The driver is not asked to notify: the timer is.
                transmitTimer.arm(at: opensAt)
                return
            }
        } while try source.resumeNotifications()
    }

    /// Tells the driver of what was sent: at once where much of its ring is concerned, else a little later.
    private func tell(_ pair: Int, _ source: VirtioQueue, _ queues: inout Queues) throws(VirtioQueueError) {
        let untold = queues.untold[pair]
        guard untold.count > 0 else { return }
        let now = timers.now
        if untold.count >= Int(source.size) / 4 || untold.tellAt != 0 && now >= untold.tellAt {
            queues.untold[pair] = (0, 0)
            try source.signalDriver()
        } else if untold.tellAt == 0 {
            queues.untold[pair].tellAt = now + Self.completionDelay
            completionTimer.arm(at: now + Self.completionDelay)
        }
    }

    /// The frame of a chain, or nil where its header makes no sense.
    private func takeFrame(_ chain: DescriptorChain) throws(VirtioQueueError) -> Frame? {
        let count = chain.readableByteCount - FrameOffload.byteCount
        guard count >= 0 else { throw .requestTooShort(byteCount: chain.readableByteCount) }
        guard (Frame.headerByteCount...Frame.byteLimit).contains(count),
            let offload = FrameOffload(
                try chain.copyOut(at: 0, byteCount: FrameOffload.byteCount),
                frameByteCount: count
            )
        else { return nil }
        return Frame(try chain.copyOut(at: FrameOffload.byteCount, byteCount: count), offload: offload)
    }

    private func send(_ batch: [Frame], _ pair: Int, _ allowed: Offloads, steers: Bool) {
        observer?.observe(batch)
        if steers {
            let flows = batch.map(\.flowHash)
            shared.withLock { shared in for flow in flows { shared.backlog.steer(flow, to: pair) } }
        }
        let isReady = batch.allSatisfy { $0.offload.checksum == nil && $0.offload.segmentation == .none }
        backend.transmit(isReady || allowed == .all ? batch : batch.flatMap { $0.adapted(to: allowed) })
    }

    // MARK: To the guest

    public var offloads: Offloads { shared.withLock { Offloads(guest: $0.state.guestOffloads) } }

    public func receive(_ frames: [Frame]) -> Bool {
        let (wakes, wake, isOpen) = shared.withLock { shared -> ([Int], (@Sendable (Int) -> Void)?, Bool) in
            guard let active = shared.activation else { return ([], nil, true) }
            let filtersVLANs = active.features.contains(VirtioNetFeature.controlVLAN)
            var pairs: [Int] = []
            for frame in frames {
                guard shared.state.accepts(frame, filtersVLANs: filtersVLANs) else {
                    shared.counters.filteredFrames += 1
                    continue
                }
                let pair = shared.backlog.pair(for: frame, activePairCount: shared.state.activePairCount)
                guard shared.backlog.append(frame, to: pair) else {
                    shared.counters.lostFrames += 1
                    continue
                }
                if !pairs.contains(pair) { pairs.append(pair) }
            }
            if shared.backlog.isAboveMark { shared.hasPaused = true }
            return (pairs, active.wake, !shared.hasPaused)
        }
        if let wake { for pair in wakes { wake(pair * 2) } }
        return isOpen
    }

    private func deliver(
        _ pair: Int,
        to target: VirtioQueue,
        _ active: Activation,
        _ queues: inout Queues
    ) throws(VirtioQueueError) {
        let mergesBuffers = active.features.contains(VirtioNetFeature.mergedBuffers)
        let allowed = offloads
        try target.suppressNotifications()
        var isWaiting = false
        repeat {
            isWaiting = false
            var delivered: [Frame] = []
            var counters = VirtioNetCounters()
            while true {
                if queues.receive[pair].isEmpty { refill(pair, allowed, &queues) }
                guard let frame = queues.receive[pair].next else { break }
                if queues.receiveLimit.isLimited {
                    let moment = queues.receiveLimit.opensAt
                    if moment > timers.now {
                        receiveTimer.arm(at: moment)
                        break
                    }
                }
                let outcome = try queues.receive[pair].deliver(frame, to: target, mergesBuffers: mergesBuffers)
                if outcome == .waits {
                    isWaiting = true
                    break
                }
                queues.receive[pair].dropNext()
                guard outcome == .delivered else {
                    counters.lostFrames += 1
                    continue
                }
                counters.receivedFrames += 1
                counters.receivedBytes += UInt64(frame.bytes.count)
                queues.receiveLimit.take(byteCount: frame.bytes.count, now: timers.now)
                if observer != nil { delivered.append(frame) }
            }
            if let observer, !delivered.isEmpty { observer.observe(delivered) }
            count(counters)
            try target.signalDriver()
            // Only who waits for buffers wants to hear of them: otherwise every refill of the ring would be an exit.
            if isWaiting { isWaiting = try target.resumeNotifications() }
        } while isWaiting
    }

    /// Takes what has come in, made fit for the driver.
    private func refill(_ pair: Int, _ allowed: Offloads, _ queues: inout Queues) {
        let (frames, resumes) = shared.withLock { shared -> ([Frame], Bool) in
            let frames = shared.backlog.take(pair)
            let resumes = shared.hasPaused && !shared.backlog.isAboveMark
            if resumes { shared.hasPaused = false }
            return (frames, resumes)
        }
        if resumes { backend.resume() }
        guard !frames.isEmpty else { return }
        let isReady = frames.allSatisfy { frame in
            allowed.allow(frame.offload) && (frame.offload.checksum == nil || allowed.contains(.checksum))
        }
        var ready = isReady ? frames : frames.flatMap { $0.adapted(to: allowed) }
        if !allowed.contains(.checksum) { for index in ready.indices { ready[index].offload.isVerified = false } }
        queues.receive[pair].append(ready)
    }

    private func count(_ more: VirtioNetCounters) {
        shared.withLock { shared in
            shared.counters.sentFrames += more.sentFrames
            shared.counters.sentBytes += more.sentBytes
            shared.counters.receivedFrames += more.receivedFrames
            shared.counters.receivedBytes += more.receivedBytes
            shared.counters.malformedFrames += more.malformedFrames
            shared.counters.lostFrames += more.lostFrames
        }
    }
}

/// Lets timers reach a device that is made after them.
private final class WakeTarget: Sendable {
    private struct Reference { weak var device: VirtioNet? }
    private let reference = Mutex(Reference())

    var device: VirtioNet? { reference.withLock { $0.device } }
    func connect(_ device: VirtioNet) { reference.withLock { $0.device = device } }
}
