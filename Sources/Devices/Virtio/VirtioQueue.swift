public import GuestMemory
internal import Synchronization

/// The device's side of a split virtqueue (Virtio 1.3 §2.7).
///
/// Used by one thread at a time, the device's worker; the lock only proves it. The lock is not held while the driver is
/// notified.
public final class VirtioQueue: Sendable {
    /// How far device and driver have come with the queue; what a saved queue is taken up with.
    public struct Progress: Hashable, Sendable {
        /// How many chains were taken, modulo 2^16.
        public var taken: UInt16
        /// How many were given back.
        public var used: UInt16
        /// `used` when the driver was last told.
        public var told: UInt16

        public init(taken: UInt16 = 0, used: UInt16 = 0, told: UInt16 = 0) {
            self.taken = taken
            self.used = used
            self.told = told
        }
    }

    public var size: UInt16 { ring.size }
    private let ring: SplitRing
    private let features: VirtioFeatures
    private let interrupt: @Sendable () -> Void
    private let progress: Mutex<Progress>

    /// A queue whose rings may have been in use before.
    ///
    /// `progress`: Where to go on. `interrupt`: Sends the queue's interrupt, on the calling thread.
    /// - Throws: ``VirtioQueueError/badSize(_:)``, ``VirtioQueueError/badRing(_:)``.
    public init(
        size: UInt16,
        descriptors: GuestAddress,
        available: GuestAddress,
        used: GuestAddress,
        memory: GuestMemory,
        features: VirtioFeatures,
        progress: Progress = Progress(),
        interrupt: @escaping @Sendable () -> Void
    ) throws(VirtioQueueError) {
        ring = try SplitRing(
            size: size,
            descriptors: descriptors,
            available: available,
            used: used,
            memory: memory
        )
        self.features = features
        self.progress = Mutex(progress)
        self.interrupt = interrupt
    }

    /// How far the queue has come, to be saved while nobody uses it.
    public var saved: Progress { progress.withLock { $0 } }

    /// The next chain that the driver made available, or nil.
    public func next() throws(VirtioQueueError) -> DescriptorChain? {
        try progress.withLock { progress throws(VirtioQueueError) in
            let waiting = try ring.availableIndex() &- progress.taken
            guard waiting <= ring.size else { throw .tooManyAvailable(waiting) }
            guard waiting > 0 else { return nil }
            let head = try ring.availableHead(progress.taken)
            var walk = DescriptorWalk(
                ring: ring,
                head: head,
                allowsIndirect: features.contains(.indirectDescriptors)
            )
            let chain = try walk.chain()
            progress.taken &+= 1
            return chain
        }
    }

    /// Gives a chain back to the driver.
    ///
    /// `byteCount`: How many bytes were written to its writable buffers.
    public func complete(_ chain: DescriptorChain, byteCount: Int) throws(VirtioQueueError) {
        try progress.withLock { progress throws(VirtioQueueError) in
            try ring.setUsedElement(
                progress.used,
                head: chain.head,
                byteCount: UInt32(truncatingIfNeeded: min(byteCount, Int(UInt32.max)))
            )
            progress.used &+= 1
            try ring.setUsedIndex(progress.used)
        }
    }

    /// Gives several chains back at once: the driver sees all of them or none.
    ///
    /// `parts`: Each chain with how many bytes were written to its writable buffers.
    public func complete(_ parts: [(chain: DescriptorChain, byteCount: Int)]) throws(VirtioQueueError) {
        try progress.withLock { progress throws(VirtioQueueError) in
            for part in parts {
                try ring.setUsedElement(
                    progress.used,
                    head: part.chain.head,
                    byteCount: UInt32(truncatingIfNeeded: min(part.byteCount, Int(UInt32.max)))
                )
                progress.used &+= 1
            }
            try ring.setUsedIndex(progress.used)
        }
    }

    /// Interrupts the driver about what was completed, unless it asked not to be (§2.7.7).
    public func signalDriver() throws(VirtioQueueError) {
        let isWanted = try progress.withLock { progress throws(VirtioQueueError) in
            // The driver's wish is read after the used index was written.
            atomicMemoryFence(ordering: .sequentiallyConsistent)
            let count = progress.used &- progress.told
            guard count != 0 else { return false }
            let told = progress.told
            progress.told = progress.used
            guard features.contains(.eventIndex) else { return try ring.availableFlags() & 1 == 0 }
            // Whether the event lies among the elements told ... used - 1.
            return try ring.usedEvent() &- told < count
        }
        if isWanted { interrupt() }
    }

    /// Asks the driver for no notifications, as far as it can be asked.
    public func suppressNotifications() throws(VirtioQueueError) {
        if !features.contains(.eventIndex) { try ring.setUsedFlags(1) }
    }

    /// Asks for a notification of the next available chain.
    ///
    /// - Returns: Whether there is one already, for which none may come.
    public func resumeNotifications() throws(VirtioQueueError) -> Bool {
        try progress.withLock { progress throws(VirtioQueueError) in
            if features.contains(.eventIndex) {
                try ring.setAvailableEvent(progress.taken)
            } else {
                try ring.setUsedFlags(0)
            }
            atomicMemoryFence(ordering: .sequentiallyConsistent)
            return try ring.availableIndex() != progress.taken
        }
    }

    /// Serves every available chain and tells the driver.
    ///
    /// `serve` returns how many bytes it wrote to the chain's writable buffers.
    public func drain(
        _ serve: (DescriptorChain) throws(VirtioQueueError) -> Int
    ) throws(VirtioQueueError) {
        repeat {
            try suppressNotifications()
            while let chain = try next() { try complete(chain, byteCount: try serve(chain)) }
            try signalDriver()
        } while try resumeNotifications()
    }
}
