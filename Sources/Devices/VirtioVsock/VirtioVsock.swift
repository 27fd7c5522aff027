public import GuestMemory
internal import Synchronization
public import Virtio

/// The socket device (Virtio 1.3 §5.10), streams only: a guest's ports are reached through Unix sockets of the host's.
///
/// A client of the host's connects to the listener, says `CONNECT port` in a line, and gets `OK port` in one once the guest has
/// accepted. A guest's connection to port P goes to the Unix socket at the listener's path with `_P` behind it.
///
/// The worker moves packets, the poller waits for sockets; neither blocks while it holds the state's lock.
public final class VirtioVsock: VirtioDevice {
    enum Queue {
        static let receive = 0
        static let transmit = 1
        static let events = 2
    }
    private struct Running {
        let activation: Activation
        let poller: VsockPoller?
    }

    /// Guest addresses: 0 to 2 mean others, and the last means any.
    public static let guestCIDs: ClosedRange<UInt64> = 3...0xFFFF_FFFE

    public let deviceID: UInt32 = 19
    public let offeredFeatures: VirtioFeatures = []
    /// Receive, transmit, events.
    public let queueSizes: [UInt16] = [256, 256, 16]
    let guestCID: UInt64
    private let listener: VsockListener
    private let state: VsockDeviceState
    private let running = Mutex<Running?>(nil)
    /// A receive buffer that was taken and not used; the worker's own.
    let spare = Mutex<DescriptorChain?>(nil)
    /// The driver is to be told that its connections are gone, for the device was taken up from a saved one.
    let owesTransportReset = Mutex(false)

    /// `guestCID`: One of ``guestCIDs``.
    public init(guestCID: UInt64, listener: VsockListener) {
        self.guestCID = guestCID
        self.listener = listener
        state = VsockDeviceState(VsockState(guestCID: guestCID, path: listener.path))
    }

    /// How many connections there are.
    public var connectionCount: Int { state.withLock { $0.state.connections.count } }

    /// 00 guest_cid (§5.10.4).
    public func readConfig(at offset: UInt64, width: AccessWidth) -> UInt64 {
        var config = DeviceConfigurationBytes()
        config.append(guestCID)
        return config.read(at: offset, width: width)
    }
    public func writeConfig(_ value: UInt64, at offset: UInt64, width: AccessWidth) {}

    public func activate(_ activation: consuming Activation) {
        let new = activation
        let poller = VsockPoller(listener, state) { new.wake(Queue.receive) }
        running.withLock { $0 = Running(activation: new, poller: poller) }
    }

    /// Ends every connection, and the poller.
    public func reset() {
        let old = running.withLock { running in
            defer { running = nil }
            return running
        }
        old?.poller?.stop()
        spare.withLock { $0 = nil }
        owesTransportReset.withLock { $0 = false }
        state.withLock { $0.state = VsockState(guestCID: guestCID, path: listener.path) }
    }

    public func process(queue: Int) throws(VirtioQueueError) {
        guard let active = running.withLock({ $0 }) else { return }
        guard queue != Queue.events else { return try tellOfTransportReset(active.activation) }
        // Each may let the other go on.
        repeat {
            if let target = active.activation.queue(Queue.transmit) { try take(from: target) }
            if let target = active.activation.queue(Queue.receive) { try deliver(to: target) }
        } while try isUnblocked(active.activation)
        active.poller?.wake()
    }

    /// The event `VIRTIO_VSOCK_EVENT_TRANSPORT_RESET` (§5.10.6.7): every connection is at an end.
    private func tellOfTransportReset(_ activation: Activation) throws(VirtioQueueError) {
        guard owesTransportReset.withLock({ $0 }), let target = activation.queue(Queue.events),
            let chain = try target.next()
        else { return }
        owesTransportReset.withLock { $0 = false }
        try target.complete(chain, byteCount: try chain.copyIn([0, 0, 0, 0], at: 0))
        try target.signalDriver()
    }

    /// Whether packets of the guest's wait that a lack of room has kept back, and there is room now.
    private func isUnblocked(_ activation: Activation) throws(VirtioQueueError) -> Bool {
        guard let target = activation.queue(Queue.transmit) else { return false }
        return try hasMore(target)
    }

    private func hasMore(_ target: VirtioQueue) throws(VirtioQueueError) -> Bool {
        if state.withLock({ $0.state.isCongested }) { return false }
        return try target.resumeNotifications()
    }

    /// Takes the guest's packets until there are none, or too much waits for the guest.
    private func take(from target: VirtioQueue) throws(VirtioQueueError) {
        repeat {
            try target.suppressNotifications()
            while !state.withLock({ $0.state.isCongested }), let chain = try target.next() {
                if chain.readableByteCount >= VsockPacket.byteCount {
                    let packet = try VsockPacket(chain)
                    try state.withLock { state throws(VirtioQueueError) in try state.state.take(packet, chain) }
                }
                try target.complete(chain, byteCount: 0)
            }
            try target.signalDriver()
        } while try hasMore(target)
    }

    /// Fills the guest's buffers for as long as there are both packets and buffers.
    private func deliver(to target: VirtioQueue) throws(VirtioQueueError) {
        repeat {
            try target.suppressNotifications()
            while state.withLock({ $0.state.hasPackets }), let chain = try nextBuffer(target) {
                let count = try state.withLock { state throws(VirtioQueueError) in try state.state.fill(chain) }
                guard let count else {
                    spare.withLock { $0 = chain }
                    break
                }
                try target.complete(chain, byteCount: count)
            }
            try target.signalDriver()
            // Without packets, waiting buffers are no reason to go round.
        } while try target.resumeNotifications() && state.withLock { $0.state.hasPackets }
    }

    private func nextBuffer(_ target: VirtioQueue) throws(VirtioQueueError) -> DescriptorChain? {
        let kept = spare.withLock { spare in
            defer { spare = nil }
            return spare
        }
        if let kept { return kept }
        return try target.next()
    }
}
