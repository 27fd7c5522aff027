/// Unfinished frames that somebody takes as they are.
public struct Offloads: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Frames whose transport checksum is still to be completed.
    public static let checksum = Offloads(rawValue: 1)
    /// TCP over IPv4 that is still to be cut into segments.
    public static let tcp4 = Offloads(rawValue: 2)
    /// TCP over IPv6 that is still to be cut into segments.
    public static let tcp6 = Offloads(rawValue: 4)
    /// Segments to be cut with a congestion notice in the first of them.
    public static let congestionNotice = Offloads(rawValue: 8)

    public static let all: Offloads = [.checksum, .tcp4, .tcp6, .congestionNotice]

    /// Whether the frame may stay in one piece.
    public func allow(_ offload: FrameOffload) -> Bool {
        switch offload.segmentation {
        case .none: true
        case .tcp4: contains(.tcp4) && (contains(.congestionNotice) || !offload.hasCongestionNotice)
        case .tcp6: contains(.tcp6) && (contains(.congestionNotice) || !offload.hasCongestionNotice)
        }
    }
}
