/// What a network device has moved, since it was made.
public struct VirtioNetCounters: Hashable, Sendable {
    public var sentFrames: UInt64 = 0
    public var sentBytes: UInt64 = 0
    public var receivedFrames: UInt64 = 0
    public var receivedBytes: UInt64 = 0
    /// Frames of the guest's with headers that make no sense.
    public var malformedFrames: UInt64 = 0
    /// Frames for the guest that found no room.
    public var lostFrames: UInt64 = 0
    /// Frames for the guest that its filter keeps out.
    public var filteredFrames: UInt64 = 0

    public init() {}
}
