internal import GuestMemory

/// The fields of the common configuration structure (Virtio 1.3 §4.1.4.3), as a table of places.
enum VirtioCommonField: CaseIterable {
    case deviceFeatureSelect
    case deviceFeature
    case driverFeatureSelect
    case driverFeature
    case configurationVector
    case queueCount
    case deviceStatus
    case configurationGeneration
    case queueSelect
    case queueSize
    case queueVector
    case queueEnable
    case queueNotifyOffset
    case queueDescriptors
    case queueDriver
    case queueDevice

    /// The bytes of the structure; those after the fields above read as 0 (no queue reset, no admin queues).
    static let byteCount: UInt64 = 0x40

    /// Offset and size in bytes.
    var place: (offset: UInt64, byteCount: UInt64) {
        switch self {
        case .deviceFeatureSelect: (0x00, 4)
        case .deviceFeature: (0x04, 4)
        case .driverFeatureSelect: (0x08, 4)
        case .driverFeature: (0x0C, 4)
        case .configurationVector: (0x10, 2)
        case .queueCount: (0x12, 2)
        case .deviceStatus: (0x14, 1)
        case .configurationGeneration: (0x15, 1)
        case .queueSelect: (0x16, 2)
        case .queueSize: (0x18, 2)
        case .queueVector: (0x1A, 2)
        case .queueEnable: (0x1C, 2)
        case .queueNotifyOffset: (0x1E, 2)
        case .queueDescriptors: (0x20, 8)
        case .queueDriver: (0x28, 8)
        case .queueDevice: (0x30, 8)
        }
    }

    /// The field that holds the byte at `offset`.
    static func holding(_ offset: UInt64) -> VirtioCommonField? {
        allCases.first { offset >= $0.place.offset && offset - $0.place.offset < $0.place.byteCount }
    }
}
