/// Where a vCPU's thread was when it was looked at.
public struct ProfileSample: Hashable, Sendable {
    /// Guest addresses, the innermost first: the instruction, then those of the calls that led to it.
    public var stack: [UInt64]
    /// What the engine did for the guest, such as `translated code`.
    public var activity: String

    public init(stack: [UInt64], activity: String) {
        self.stack = stack
        self.activity = activity
    }
}

/// Takes the samples of a profile.
public protocol ProfileSink: AnyObject, Sendable {
    /// How many samples a second are wanted.
    var rate: Int { get }
    /// Called on the vCPU's thread.
    func record(_ sample: ProfileSample)
    /// So many samples found no room.
    func noteLost(_ count: UInt64)
}
