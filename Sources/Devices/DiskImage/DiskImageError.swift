public import SystemCalls

/// Why a disk image could not be opened or used.
public enum DiskImageError: Error, Hashable, Sendable {
    case cannotOpen(path: String, cause: SystemCallError)
    /// The path leads to a directory, a socket or another thing without sectors.
    case notADisk(path: String)
    /// Another process has the image open for writing, or this one is opened for writing while others read it.
    case inUse(path: String)
    case readOnly(path: String)
    case outOfRange(path: String, offset: UInt64, byteCount: UInt64, capacity: UInt64)
    case failed(path: String, cause: SystemCallError)
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
        }
    }
}
