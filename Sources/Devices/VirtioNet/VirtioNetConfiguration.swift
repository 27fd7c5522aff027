public import NetworkFrames

/// What a network device is made with.
public struct VirtioNetConfiguration: Hashable, Sendable {
    /// Queue pairs that the transport's worker can serve, with the control queue.
    public static let pairLimit = 31

    public var address: MACAddress
    /// 1 to ``pairLimit``.
    public var queuePairCount: Int
    /// The largest packet, told to the driver; nil leaves it to the driver (1500 bytes).
    public var mtu: UInt16?
    /// For what the guest sends.
    public var transmitLimit: RateLimit
    /// For what the guest gets.
    public var receiveLimit: RateLimit

    public init(
        address: MACAddress,
        queuePairCount: Int = 1,
        mtu: UInt16? = nil,
        transmitLimit: RateLimit = RateLimit(),
        receiveLimit: RateLimit = RateLimit()
    ) {
        self.address = address
        self.queuePairCount = min(max(1, queuePairCount), Self.pairLimit)
        self.mtu = mtu
        self.transmitLimit = transmitLimit
        self.receiveLimit = receiveLimit
    }
}
