/// Work on a frame that its sender left to somebody further on: `struct virtio_net_hdr` (Virtio 1.3 §5.1.6) as a value.
///
///     00 flags · 01 gso_type · 02 hdr_len · 04 gso_size · 06 csum_start · 08 csum_offset · 0A num_buffers
///
/// Little-endian, 12 bytes; taps and the guest LAN carry the same bytes.
public struct FrameOffload: Hashable, Sendable {
    public static let byteCount = 12

    private enum Flag {
        static let needsChecksum: UInt8 = 1
        static let isVerified: UInt8 = 2
    }
    private static let congestionBit: UInt8 = 0x80

    /// Where a checksum is to be completed: over everything from `start` on, stored `offset` bytes further.
    ///
    /// The field holds the sum of the pseudo-header, not complemented.
    public struct Checksum: Hashable, Sendable {
        public let start: Int
        public let offset: Int

        public init(start: Int, offset: Int) {
            self.start = start
            self.offset = offset
        }
    }

    /// What kind of segments the frame is to be cut into.
    public enum Segmentation: UInt8, Sendable {
        case none = 0
        case tcp4 = 1
        case tcp6 = 4
    }

    public var checksum: Checksum?
    /// Whether the checksum of the frame's transport is known to be right.
    public var isVerified: Bool
    public var segmentation: Segmentation
    /// The payload of each segment but the last.
    public var segmentByteCount: Int
    /// The bytes of all headers; a hint.
    public var headerByteCount: Int
    /// Whether the first segment alone is to have CWR (RFC 3168 §6.1.2).
    public var hasCongestionNotice: Bool

    public init(
        checksum: Checksum? = nil,
        isVerified: Bool = false,
        segmentation: Segmentation = .none,
        segmentByteCount: Int = 0,
        headerByteCount: Int = 0,
        hasCongestionNotice: Bool = false
    ) {
        self.checksum = checksum
        self.isVerified = isVerified
        self.segmentation = segmentation
        self.segmentByteCount = segmentByteCount
        self.headerByteCount = headerByteCount
        self.hasCongestionNotice = hasCongestionNotice
    }

    /// Reads the 12 bytes of a stranger, before a frame of `frameByteCount` bytes.
    ///
    /// Nil where a place lies outside the frame, or a kind of segmentation is not known.
    public init?(_ bytes: [UInt8], frameByteCount: Int) {
        guard bytes.count >= Self.byteCount else { return nil }
        func word(_ offset: Int) -> Int { Int(bytes[offset]) | Int(bytes[offset + 1]) << 8 }
        self.init()
        if bytes[0] & Flag.needsChecksum != 0 {
            let place = Checksum(start: word(6), offset: word(8))
            guard place.start >= Frame.headerByteCount, place.start + place.offset + 2 <= frameByteCount else {
                return nil
            }
            checksum = place
        }
        isVerified = bytes[0] & Flag.isVerified != 0
        guard let kind = Segmentation(rawValue: bytes[1] & ~Self.congestionBit) else { return nil }
        guard kind != .none else { return }
        segmentation = kind
        segmentByteCount = word(4)
        headerByteCount = word(2)
        hasCongestionNotice = bytes[1] & Self.congestionBit != 0
        guard segmentByteCount > 0, checksum != nil else { return nil }
    }

    /// The 12 bytes; `bufferCount` counts the receive buffers that the frame was spread over.
    public func encoded(bufferCount: Int = 0) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        func set(_ value: Int, _ offset: Int) {
            bytes[offset] = UInt8(truncatingIfNeeded: value)
            bytes[offset + 1] = UInt8(truncatingIfNeeded: value >> 8)
        }
        if let checksum {
            bytes[0] |= Flag.needsChecksum
            set(checksum.start, 6)
            set(checksum.offset, 8)
        } else if isVerified {
            bytes[0] |= Flag.isVerified
        }
        if segmentation != .none {
            bytes[1] = segmentation.rawValue | (hasCongestionNotice ? Self.congestionBit : 0)
            set(headerByteCount, 2)
            set(segmentByteCount, 4)
        }
        set(bufferCount, 10)
        return bytes
    }
}
