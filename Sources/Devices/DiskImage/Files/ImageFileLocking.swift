internal import CLinux
internal import Glibc
internal import SystemCalls

/// Which other users of an image file are borne.
///
/// Byte locks on the open file (`F_OFD_SETLK`), at the places where QEMU has them, so that both refuse each other's:
/// byte 100 + n says that right n is in use, byte 200 + n that nobody else may use right n. Rights: 0 consistent reading,
/// 1 writing, 3 resizing. Readers share; a writer is alone.
public enum ImageFileLocking: Sendable {
    /// Readers bear readers; a writer bears nobody.
    case usual
    /// Readers bear writers: what is read may be half written.
    case sharing
    /// No locks: an image that this process has open already.
    case none

    private enum Right: Int64 {
        case read = 0
        case write = 1
        case resize = 3
    }
    private static let used: Int64 = 100
    private static let refused: Int64 = 200

    /// - Throws: ``DiskImageError/inUse(path:)``, after a tenth of a second: a process that another thread starts has this one's
    ///   descriptors, and so the locks of files that were just closed, until it runs its own program.
    func take(of descriptor: CInt, path: String, isReadOnly: Bool) throws(DiskImageError) {
        for _ in 0..<20 {
            do throws(DiskImageError) { return try takeNow(of: descriptor, path: path, isReadOnly: isReadOnly) } catch {
                guard case .inUse = error else { throw error }
                usleep(5000)
            }
        }
        try takeNow(of: descriptor, path: path, isReadOnly: isReadOnly)
    }

    private func takeNow(of descriptor: CInt, path: String, isReadOnly: Bool) throws(DiskImageError) {
        let rights: [Right]
        let others: [Right]
        switch self {
        case .none: return
        case .sharing:
            rights = []
            others = []
        case .usual:
            rights = isReadOnly ? [.read] : [.read, .write, .resize]
            others = [.write, .resize]
        }
        for place in rights.map({ Self.used + $0.rawValue }) + others.map({ Self.refused + $0.rawValue }) {
            let result = clinux_lock_byte(descriptor, place, 1)
            // A file system without locks has no protection to give.
            if result == -EINVAL || result == -ENOLCK || result == -EOPNOTSUPP { return }
            guard result == 0 else {
                if result == -EAGAIN || result == -EACCES { throw .inUse(path: path) }
                throw .cannotOpen(path: path, cause: SystemCallError("fcntl", errno: -result))
            }
        }
        for place in rights.map({ Self.refused + $0.rawValue }) + others.map({ Self.used + $0.rawValue })
        where clinux_byte_is_locked(descriptor, place) == 1 { throw .inUse(path: path) }
    }
}
