public import GuestMemory
internal import Synchronization
internal import SystemCalls
public import Virtio

/// The memory balloon (Virtio 1.3 §5.5): memory that the guest does not use goes back to the host.
///
/// Pages put into the balloon and pages reported as free are cut out of guest memory's file. A page that comes back reads as
/// zeros. The lock is held for the state only, never while anything is called.
public final class VirtioBalloon: VirtioDevice {
    enum Feature {
        static let statistics = VirtioFeatures(bit: 1)
        static let deflateOnOOM = VirtioFeatures(bit: 2)
        static let pagePoison = VirtioFeatures(bit: 4)
        static let reporting = VirtioFeatures(bit: 5)
    }
    /// What a queue is for; those of features that were not agreed on have no number (§5.5.2).
    enum Queue {
        case inflate
        case deflate
        case statistics
        case reporting

        init?(_ index: Int, _ features: VirtioFeatures) {
            var queues: [Queue] = [.inflate, .deflate]
            if features.contains(Feature.statistics) { queues.append(.statistics) }
            if features.contains(Feature.reporting) { queues.append(.reporting) }
            guard queues.indices.contains(index) else { return nil }
            self = queues[index]
        }
    }
    /// Pages of the balloon are always of this size.
    static let pageByteCount: UInt64 = 4096
    /// Page numbers read of one request; Linux sends 256.
    static let pageLimit = 1 << 16
    private static let actualOffset: UInt64 = 4
    private static let poisonOffset: UInt64 = 12

    /// All that the device remembers.
    struct State {
        /// How many pages the driver should put into the balloon.
        var targetPageCount: UInt32 = 0
        /// How many it says are in.
        var actualPageCount: UInt32 = 0
        /// What the guest fills its free pages with.
        var poison: UInt32 = 0
        var statistics = BalloonStatistics()
        /// Bytes given to the host through the balloon, and through reports, ever.
        var inflatedByteCount: UInt64 = 0
        var reportedByteCount: UInt64 = 0
    }

    public let deviceID: UInt32 = 5
    public let offeredFeatures: VirtioFeatures = [
        Feature.statistics, Feature.deflateOnOOM, Feature.pagePoison, Feature.reporting,
    ]
    /// Inflate, deflate, statistics, reporting.
    public let queueSizes: [UInt16] = [128, 128, 16, 64]
    let state: Mutex<State>
    private let activation = Mutex<Activation?>(nil)
    /// The buffer that the driver left for the next question about statistics.
    let question = Mutex<(chain: DescriptorChain, isAsked: Bool)?>(nil)

    /// `targetByteCount`: What the balloon takes of the guest's memory at first.
    public init(targetByteCount: UInt64 = 0) {
        state = Mutex(State(targetPageCount: Self.pageCount(targetByteCount)))
    }

    private static func pageCount(_ byteCount: UInt64) -> UInt32 { UInt32(clamping: byteCount / pageByteCount) }

    /// Asks the guest for so much of its memory; it gives what it can.
    public func setTarget(byteCount: UInt64) {
        state.withLock { $0.targetPageCount = Self.pageCount(byteCount) }
        activation.withLock { $0 }?.configurationChanged()
    }

    /// What is in the balloon, as the driver says.
    public var actualByteCount: UInt64 { state.withLock { UInt64($0.actualPageCount) * Self.pageByteCount } }
    /// Bytes that were given to the host because the guest reported them as free, ever.
    public var reportedByteCount: UInt64 { state.withLock { $0.reportedByteCount } }
    /// Bytes that were given to the host through the balloon, ever.
    public var inflatedByteCount: UInt64 { state.withLock { $0.inflatedByteCount } }
    /// What the guest told last.
    public var statistics: BalloonStatistics { state.withLock { $0.statistics } }

    /// Asks the guest for its statistics; ``statistics`` has them some time later.
    public func requestStatistics() {
        guard let active = activation.withLock({ $0 }), active.features.contains(Feature.statistics) else { return }
        question.withLock { $0?.isAsked = true }
        active.wake(2)
    }

    /// 00 num_pages, 04 actual, 08 free_page_hint_cmd_id, 0C poison_val (§5.5.4).
    public func readConfig(at offset: UInt64, width: AccessWidth) -> UInt64 {
        let state = state.withLock { $0 }
        var config = DeviceConfigurationBytes()
        config.append(state.targetPageCount)
        config.append(state.actualPageCount)
        config.append(0 as UInt32)
        config.append(state.poison)
        return config.read(at: offset, width: width)
    }

    public func writeConfig(_ value: UInt64, at offset: UInt64, width: AccessWidth) {
        guard width == .dword else { return }
        let value = UInt32(truncatingIfNeeded: value)
        state.withLock { state in
            switch offset {
            case Self.actualOffset: state.actualPageCount = value
            case Self.poisonOffset: state.poison = value
            default: break
            }
        }
    }

    public func activate(_ activation: consuming Activation) {
        let new = activation
        self.activation.withLock { $0 = new }
    }

    public func reset() {
        activation.withLock { $0 = nil }
        question.withLock { $0 = nil }
        state.withLock { state in
            state.actualPageCount = 0
            state.poison = 0
        }
    }

    public func process(queue: Int) throws(VirtioQueueError) {
        guard let active = activation.withLock({ $0 }), let target = active.queue(queue) else { return }
        switch Queue(queue, active.features) {
        case .inflate:
            try target.drain { chain throws(VirtioQueueError) in
                try inflate(chain, active.memory)
                return 0
            }
        case .deflate: try target.drain { _ in 0 }  // The pages come back when the guest touches them.
        case .statistics: try serveStatistics(target)
        case .reporting:
            try target.drain { chain in
                report(chain, active)
                return 0
            }
        case nil: break
        }
    }

    /// Takes the pages whose numbers a request lists, runs of them at once.
    private func inflate(_ chain: DescriptorChain, _ memory: GuestMemory) throws(VirtioQueueError) {
        let count = min(chain.readableByteCount / 4, Self.pageLimit)
        let bytes = try chain.copyOut(at: 0, byteCount: count * 4)
        let pages = stride(from: 0, to: bytes.count, by: 4).map { at in
            UInt64(bytes[at]) | UInt64(bytes[at + 1]) << 8 | UInt64(bytes[at + 2]) << 16 | UInt64(bytes[at + 3]) << 24
        }.sorted()
        var run: (first: UInt64, end: UInt64)?
        var given: UInt64 = 0
        for page in pages {
            if let open = run, page <= open.end {
                run = (open.first, max(open.end, page + 1))
            } else {
                given &+= Self.give(run, memory)
                run = (page, page + 1)
            }
        }
        given &+= Self.give(run, memory)
        let total = given
        state.withLock { $0.inflatedByteCount &+= total }
    }

    /// Where the host cannot take pages back, the guest loses nothing.
    private static func give(_ run: (first: UInt64, end: UInt64)?, _ memory: GuestMemory) -> UInt64 {
        guard let run else { return 0 }
        return give(
            GuestAddress(run.first * pageByteCount),
            byteCount: (run.end - run.first) * pageByteCount,
            memory
        )
    }

    private static func give(_ address: GuestAddress, byteCount: UInt64, _ memory: GuestMemory) -> UInt64 {
        do throws(SystemCallError) { return try memory.discard(at: address, byteCount: byteCount) } catch { return 0 }
    }

    /// The writable buffers are the free memory itself (§5.5.6.7); their bytes must still be the poison when they come back.
    private func report(_ chain: DescriptorChain, _ active: Activation) {
        let isPoisoned = active.features.contains(Feature.pagePoison) && state.withLock { $0.poison } != 0
        guard !isPoisoned else { return }
        var given: UInt64 = 0
        for place in chain.writablePlaces {
            given &+= Self.give(place.address, byteCount: UInt64(place.byteCount), active.memory)
        }
        let total = given
        state.withLock { $0.reportedByteCount &+= total }
    }

    /// Reads what the driver tells, and keeps its buffer until the next question.
    private func serveStatistics(_ target: VirtioQueue) throws(VirtioQueueError) {
        repeat {
            let asked = question.withLock { question -> DescriptorChain? in
                guard let open = question, open.isAsked else { return nil }
                question = nil
                return open.chain
            }
            if let asked { try target.complete(asked, byteCount: 0) }
            while let chain = try target.next() {
                var statistics = self.statistics
                try statistics.merge(chain)
                let merged = statistics
                state.withLock { $0.statistics = merged }
                // A driver has one buffer; of more, the last is kept.
                let old = question.withLock { question in
                    defer { question = (chain, false) }
                    return question?.chain
                }
                if let old { try target.complete(old, byteCount: 0) }
            }
            try target.signalDriver()
        } while try target.resumeNotifications()
    }
}
