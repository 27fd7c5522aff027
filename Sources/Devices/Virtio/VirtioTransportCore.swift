public import GuestMemory
internal import Synchronization

/// What every transport of a virtio device does alike: status, feature negotiation, queue set-up, activation, reset, and
/// the worker (Virtio 1.3 §2.1, §3.1).
///
/// Locks, in order: `lifecycle` (held while the device is activated and reset), `registers` (never held while anything is
/// called). The worker takes `registers` only, so that a reset may wait for it.
public final class VirtioTransportCore: Sendable {
    /// Bits of the device status (§2.1).
    public enum Status {
        public static let acknowledge: UInt8 = 1
        public static let driver: UInt8 = 2
        public static let driverOK: UInt8 = 4
        public static let featuresOK: UInt8 = 8
        public static let needsReset: UInt8 = 64
        public static let failed: UInt8 = 128
    }

    /// What the driver sets up of a queue.
    public struct QueueSetup: Hashable, Sendable {
        public var size: UInt16
        public var isEnabled = false
        public var descriptors: UInt64 = 0
        public var available: UInt64 = 0
        public var used: UInt64 = 0
    }

    struct Registers {
        var status: UInt8 = 0
        var deviceFeatureSelect: UInt32 = 0
        var driverFeatureSelect: UInt32 = 0
        var driverFeatures = VirtioFeatures()
        var queueSelect: UInt16 = 0
        var queues: [QueueSetup]
        var generation: UInt8 = 0
        var worker: DeviceWorker?
        /// The queues of the active device.
        var active: [VirtioQueue?] = []
        var failure: VirtioQueueError?
    }

    public let device: any VirtioDevice
    private let memory: GuestMemory
    private let interrupts: any VirtioInterrupts
    let offered: VirtioFeatures
    let queueSizes: [UInt16]
    let registers: Mutex<Registers>
    /// The worker of the active device.
    let lifecycle = Mutex<DeviceWorker?>(nil)

    public init(_ device: any VirtioDevice, memory: GuestMemory, interrupts: any VirtioInterrupts) {
        precondition(device.queueSizes.count < 64, "a worker serves at most 63 queues")
        self.device = device
        self.memory = memory
        self.interrupts = interrupts
        offered = device.offeredFeatures.union(.ofTransport)
        queueSizes = device.queueSizes
        registers = Mutex(Registers(queues: device.queueSizes.map { QueueSetup(size: $0) }))
    }

    public var queueCount: Int { queueSizes.count }
    /// What the driver did wrong, since the last reset.
    public var failure: VirtioQueueError? { registers.withLock { $0.failure } }

    // MARK: Features

    public var deviceFeatureSelect: UInt32 {
        get { registers.withLock { $0.deviceFeatureSelect } }
        set { registers.withLock { $0.deviceFeatureSelect = newValue } }
    }
    public var driverFeatureSelect: UInt32 {
        get { registers.withLock { $0.driverFeatureSelect } }
        set { registers.withLock { $0.driverFeatureSelect = newValue } }
    }
    /// The selected 32 of the offered features; 0 for a selector above 1.
    public var deviceFeatures: UInt32 { Self.half(offered, deviceFeatureSelect) }
    /// The selected 32 of the accepted features; they stay as they are once FEATURES_OK is set.
    public var driverFeatures: UInt32 {
        get { registers.withLock { Self.half($0.driverFeatures, $0.driverFeatureSelect) } }
        set {
            registers.withLock { registers in
                guard registers.status & Status.featuresOK == 0, registers.driverFeatureSelect < 2 else { return }
                let shift = UInt64(registers.driverFeatureSelect * 32)
                let kept = registers.driverFeatures.rawValue & ~(0xFFFF_FFFF << shift)
                registers.driverFeatures = VirtioFeatures(rawValue: kept | UInt64(newValue) << shift)
            }
        }
    }

    private static func half(_ features: VirtioFeatures, _ select: UInt32) -> UInt32 {
        select < 2 ? UInt32(truncatingIfNeeded: features.rawValue >> UInt64(select * 32)) : 0
    }

    // MARK: Queues

    public var queueSelect: UInt16 {
        get { registers.withLock { $0.queueSelect } }
        set { registers.withLock { $0.queueSelect = newValue } }
    }
    /// The selected queue, or nil where there is none.
    public var selectedQueue: QueueSetup? {
        registers.withLock { $0.queues.indices.contains(Int($0.queueSelect)) ? $0.queues[Int($0.queueSelect)] : nil }
    }
    /// Changes the selected queue, as long as the driver has not enabled it.
    ///
    /// Sizes are checked at activation.
    public func updateSelectedQueue(_ body: (inout QueueSetup) -> Void) {
        registers.withLock { registers in
            let index = Int(registers.queueSelect)
            guard registers.queues.indices.contains(index), !registers.queues[index].isEnabled else { return }
            body(&registers.queues[index])
        }
    }

    /// The driver notified a queue: its worker is woken, nothing else happens on this thread.
    public func notify(queue: Int) {
        guard queueSizes.indices.contains(queue) else { return }
        registers.withLock { $0.worker }?.signal(queue)
    }

    // MARK: Configuration

    /// Changes whenever the device's configuration may have (§2.5.3).
    public var configurationGeneration: UInt8 { registers.withLock { $0.generation } }

    func configurationChanged() {
        let isActive = registers.withLock { registers in
            registers.generation &+= 1
            return registers.status & Status.driverOK != 0
        }
        if isActive { interrupts.signalConfiguration() }
    }

    // MARK: Status

    public var status: UInt8 { registers.withLock { $0.status } }

    /// Writes the device status: 0 resets, before it returns; other values set bits and never clear them.
    public func writeStatus(_ value: UInt8) {
        if value == 0 {
            reset()
            return
        }
        let activates = registers.withLock { registers in
            var new = registers.status | value & ~Status.needsReset
            let accepted = registers.driverFeatures
            if !offered.isSuperset(of: accepted) || !accepted.contains(.version1) { new &= ~Status.featuresOK }
            if new & Status.featuresOK == 0 { new &= ~Status.driverOK }
            let isNew = new & ~registers.status & Status.driverOK != 0
            registers.status = new
            return isNew
        }
        if activates { activate() }
    }

    /// Stops the worker and the device, and brings back the registers as they were made.
    public func reset() {
        lifecycle.withLock { worker in
            registers.withLock { $0.worker = nil }
            worker?.stop()
            worker = nil
            device.reset()
            interrupts.reset()
            registers.withLock { registers in
                let generation = registers.generation
                registers = Registers(queues: queueSizes.map { QueueSetup(size: $0) })
                registers.generation = generation
            }
        }
    }

    private func activate() {
        do throws(VirtioQueueError) {
            if try !activate(with: [], isPaused: false) { fail(nil) }
        } catch {
            fail(error)
        }
    }

    /// Makes the queues and the worker and hands them to the device.
    ///
    /// `progress`: How far the queues had come, for a device that was active before. `isPaused`: Nothing is served before
    ///   ``resume()``.
    /// - Returns: Whether the host has a thread for the worker.
    func activate(with progress: [VirtioQueue.Progress], isPaused: Bool) throws(VirtioQueueError) -> Bool {
        try lifecycle.withLock { worker throws(VirtioQueueError) in
            let (setups, features) = registers.withLock { ($0.queues, $0.driverFeatures) }
            var made: [VirtioQueue?] = []
            for (index, setup) in setups.enumerated() {
                let start = progress.indices.contains(index) ? progress[index] : VirtioQueue.Progress()
                made.append(try queue(index, setup, features, start))
            }
            guard let newWorker = DeviceWorker(serve: { [weak self] queue in self?.process(queue) }) else {
                return false
            }
            if isPaused { newWorker.pause() }
            let queues = made
            worker = newWorker
            device.activate(
                Activation(
                    memory: memory,
                    features: features,
                    queues: queues,
                    wake: { [weak newWorker] queue in newWorker?.signal(queue) },
                    configurationChanged: { [weak self] in self?.configurationChanged() }
                )
            )
            registers.withLock {
                $0.worker = newWorker
                $0.active = queues
            }
            // What the driver made available before it said that it was ready.
            for index in queues.indices where queues[index] != nil { newWorker.signal(index) }
            return true
        }
    }

    private func queue(
        _ index: Int,
        _ setup: QueueSetup,
        _ features: VirtioFeatures,
        _ progress: VirtioQueue.Progress
    ) throws(VirtioQueueError) -> VirtioQueue? {
        guard setup.isEnabled else { return nil }
        guard setup.size <= queueSizes[index] else { throw .badSize(setup.size) }
        let interrupts = interrupts
        return try VirtioQueue(
            size: setup.size,
            descriptors: GuestAddress(setup.descriptors),
            available: GuestAddress(setup.available),
            used: GuestAddress(setup.used),
            memory: memory,
            features: features,
            progress: progress,
            interrupt: { interrupts.signalQueue(index) }
        )
    }

    /// Runs on the worker.
    private func process(_ queue: Int) {
        guard status & Status.needsReset == 0 else { return }
        do throws(VirtioQueueError) { try device.process(queue: queue) } catch { fail(error) }
    }

    private func fail(_ error: VirtioQueueError?) {
        registers.withLock { registers in
            registers.status |= Status.needsReset
            registers.failure = error
        }
        interrupts.signalConfiguration()
    }
}
