/// The feature bits of a device or driver (Virtio 1.3 §2.2).
public struct VirtioFeatures: OptionSet, Hashable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The set with feature bit `bit` alone.
    public init(bit: Int) { rawValue = 1 << UInt64(bit & 63) }

    /// Descriptors may refer to a table of descriptors (§2.7.5.3).
    public static let indirectDescriptors = VirtioFeatures(bit: 28)
    /// `used_event` and `avail_event` say when to notify (§2.7.7.1).
    public static let eventIndex = VirtioFeatures(bit: 29)
    /// Not a legacy device or driver (§6).
    public static let version1 = VirtioFeatures(bit: 32)

    /// What every device offers through its transport.
    static let ofTransport: VirtioFeatures = [.indirectDescriptors, .eventIndex, .version1]
}
