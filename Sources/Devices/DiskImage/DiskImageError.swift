public import SystemCalls

/// Why a disk image could not be opened, made or used.
public enum DiskImageError: Error, Hashable, Sendable {
    case cannotOpen(path: String, cause: SystemCallError)
    /// The path leads to a directory, a socket or another thing without sectors.
    case notADisk(path: String)
    /// Another process has the image open for writing, or this one is opened for writing while others read it.
    case inUse(path: String)
    case readOnly(path: String)
    case outOfRange(path: String, offset: UInt64, byteCount: UInt64, capacity: UInt64)
    case failed(path: String, cause: SystemCallError)
    /// A field has a value that the format does not allow, or that would harm to believe.
    case malformed(path: String, problem: String)
    /// The image uses something of its format that is not supported here.
    case unsupported(path: String, feature: String)
    /// The images of a chain name each other in a circle.
    case backingLoop(path: String)
    case backingTooDeep(path: String, limit: Int)
    /// The backing or data file lies outside the folder that images may come from.
    case escapes(path: String, folder: String)
    case noSuchSnapshot(path: String, name: String)
    case invalidOption(String)
    /// An operation was ended by the caller.
    case cancelled
}

extension DiskImageError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .cannotOpen(let path, let cause): "cannot open disk image \(path): \(cause)"
        case .notADisk(let path): "cannot open disk image \(path): neither a file nor a block device"
        case .inUse(let path): "cannot open disk image \(path): in use by another process"
        case .readOnly(let path): "disk image \(path) is read-only"
        case .outOfRange(let path, let offset, let byteCount, let capacity):
            "\(byteCount) bytes at \(offset) lie outside disk image \(path) of \(capacity) bytes"
        case .failed(let path, let cause): "disk image \(path) failed: \(cause)"
        case .malformed(let path, let problem): "disk image \(path) is damaged: \(problem)"
        case .unsupported(let path, let feature): "disk image \(path) uses \(feature), which is not supported"
        case .backingLoop(let path): "disk image \(path) is its own backing file"
        case .backingTooDeep(let path, let limit): "disk image \(path) has more than \(limit) backing files below it"
        case .escapes(let path, let folder): "disk image \(path) lies outside \(folder)"
        case .noSuchSnapshot(let path, let name): "disk image \(path) has no snapshot '\(name)'"
        case .invalidOption(let text): text
        case .cancelled: "cancelled"
        }
    }
}
