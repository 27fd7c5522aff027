/// How a block device shows its image to the guest.
public struct VirtioBlockConfiguration: Sendable {
    /// The most queues of a device.
    public static let queueLimit = 16

    /// What messages call the disk.
    public var name: String
    /// What GET_ID answers, cut to 20 bytes.
    public var identifier: String
    /// 1 to ``queueLimit``.
    public var queueCount: Int
    public var limit: BlockRateLimit
    public var failures: DiskFailurePolicy

    public init(
        name: String = "disk",
        identifier: String = "",
        queueCount: Int = 1,
        limit: BlockRateLimit = BlockRateLimit(),
        failures: DiskFailurePolicy = DiskFailurePolicy()
    ) {
        self.name = name
        self.identifier = identifier
        self.queueCount = min(max(queueCount, 1), Self.queueLimit)
        self.limit = limit
        self.failures = failures
    }
}
