public import GuestMemory

/// What a driver's `DRIVER_OK` hands to a device.
public struct Activation: Sendable {
    public let memory: GuestMemory
    /// The features that both sides agreed on.
    public let features: VirtioFeatures
    /// The queues by index; nil where the driver did not enable one.
    public let queues: [VirtioQueue?]
    /// Makes the worker call ``VirtioDevice/process(queue:)``.
    ///
    /// From any thread.
    public let wake: @Sendable (_ queue: Int) -> Void
    /// Tells the driver that the device's configuration changed.
    ///
    /// From any thread.
    public let configurationChanged: @Sendable () -> Void

    public init(
        memory: GuestMemory,
        features: VirtioFeatures,
        queues: [VirtioQueue?],
        wake: @escaping @Sendable (_ queue: Int) -> Void = { _ in },
        configurationChanged: @escaping @Sendable () -> Void = {}
    ) {
        self.memory = memory
        self.features = features
        self.queues = queues
        self.wake = wake
        self.configurationChanged = configurationChanged
    }

    /// The queue with `index`, or nil.
    public func queue(_ index: Int) -> VirtioQueue? { queues.indices.contains(index) ? queues[index] : nil }
}

/// A virtio device behind some transport (Virtio 1.3 §2).
public protocol VirtioDevice: AnyObject, Sendable {
    var deviceID: UInt32 { get }
    /// The device's own features; the transport adds its own.
    var offeredFeatures: VirtioFeatures { get }
    /// The largest size of each queue, a power of two.
    var queueSizes: [UInt16] { get }
    /// Reads the device's configuration; bytes that do not exist are 0.
    func readConfig(at offset: UInt64, width: AccessWidth) -> UInt64
    func writeConfig(_ value: UInt64, at offset: UInt64, width: AccessWidth)
    /// The driver is ready. ``process(queue:)`` follows for each queue.
    func activate(_ activation: consuming Activation)
    /// Serves a queue: it was notified, or the device asked for it. On the worker thread only, which may block here.
    ///
    /// - Throws: What the driver did wrong; the device is not called again until it is reset.
    func process(queue: Int) throws(VirtioQueueError)
    /// Stops using the queues before returning. The worker has stopped.
    func reset()
    /// How many of the last chains that were taken from a queue the device keeps unused, while the worker stands still.
    ///
    /// A saved device has not taken them: the one that is taken up finds them in the ring again.
    func keptChainCount(ofQueue queue: Int) -> Int
}

extension VirtioDevice {
    public func keptChainCount(ofQueue queue: Int) -> Int { 0 }
}

/// The bytes of a device's configuration structure.
public struct DeviceConfigurationBytes: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    /// Appends a little-endian field.
    public mutating func append(_ value: some FixedWidthInteger) {
        for index in 0..<(value.bitWidth / 8) { bytes.append(UInt8(truncatingIfNeeded: value >> (index * 8))) }
    }

    public func read(at offset: UInt64, width: AccessWidth) -> UInt64 {
        guard offset < UInt64(bytes.count) else { return 0 }
        var value: UInt64 = 0
        for (index, byte) in bytes[Int(offset)...].prefix(width.rawValue).enumerated() {
            value |= UInt64(byte) << UInt64(index * 8)
        }
        return value
    }
}
