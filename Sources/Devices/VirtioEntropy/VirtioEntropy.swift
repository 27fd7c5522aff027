internal import Glibc
public import GuestMemory
internal import Synchronization
public import Virtio

/// The entropy device (Virtio 1.3 §5.4): fills buffers with the host's random bytes.
public final class VirtioEntropy: VirtioDevice {
    /// Bytes given for one request at most; the driver asks again.
    static let requestLimit = 1 << 16

    public let deviceID: UInt32 = 4
    public let offeredFeatures: VirtioFeatures = []
    public let queueSizes: [UInt16] = [64]
    private let activation = Mutex<Activation?>(nil)

    public init() {}

    /// The device has no configuration.
    public func readConfig(at offset: UInt64, width: AccessWidth) -> UInt64 { 0 }
    public func writeConfig(_ value: UInt64, at offset: UInt64, width: AccessWidth) {}

    public func activate(_ activation: consuming Activation) {
        let new = activation
        self.activation.withLock { $0 = new }
    }

    public func reset() { activation.withLock { $0 = nil } }

    public func process(queue: Int) throws(VirtioQueueError) {
        guard let active = activation.withLock({ $0 }), let target = active.queue(queue) else { return }
        try target.drain { chain throws(VirtioQueueError) in
            guard chain.writableByteCount > 0 else { throw .requestTooShort(byteCount: 0) }
            return try chain.copyIn(Self.randomBytes(min(chain.writableByteCount, Self.requestLimit)), at: 0)
        }
    }

    /// Fewer than `count` only where the host has none.
    private static func randomBytes(_ count: Int) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            // getentropy(3) gives at most 256 bytes a call.
            while filled < count, let base = buffer.baseAddress {
                let part = min(256, count - filled)
                guard unsafe getentropy(base + filled, part) == 0 else { return }
                filled += part
            }
        }
    }
}
