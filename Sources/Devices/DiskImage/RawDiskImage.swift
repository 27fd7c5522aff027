internal import Glibc
internal import SystemCalls

/// A file or block device that holds a disk byte for byte.
///
/// A file whose size is no multiple of 512 reads as if zeros followed; it grows to the sector's end when that sector is
/// written. The descriptor is locked (`flock(2)`): shared by readers, exclusive to one writer.
public final class RawDiskImage: DiskImage {
    public static let sectorByteCount: UInt64 = 512

    public let path: String
    public let byteCount: UInt64
    public let isReadOnly: Bool
    private let file: FileDescriptor

    /// - Throws: ``DiskImageError/cannotOpen(path:cause:)``, ``DiskImageError/notADisk(path:)``,
    ///   ``DiskImageError/inUse(path:)``.
    public init(path: String, isReadOnly: Bool = false) throws(DiskImageError) {
        // Non-blocking, so that a FIFO is refused rather than waited for.
        let descriptor = unsafe open(path, (isReadOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            let cause = errno
            if cause == EISDIR || cause == ENXIO { throw .notADisk(path: path) }
            throw .cannotOpen(path: path, cause: SystemCallError("open", errno: cause))
        }
        file = FileDescriptor(owning: descriptor)
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else {
            throw .cannotOpen(path: path, cause: SystemCallError("fstat", errno: errno))
        }
        let kind = status.st_mode & S_IFMT
        guard kind == S_IFREG || kind == S_IFBLK else { throw .notADisk(path: path) }
        guard flock(descriptor, (isReadOnly ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 else {
            if errno == EWOULDBLOCK { throw .inUse(path: path) }
            throw .cannotOpen(path: path, cause: SystemCallError("flock", errno: errno))
        }
        let end = lseek(descriptor, 0, SEEK_END)
        guard end >= 0 else { throw .cannotOpen(path: path, cause: SystemCallError("lseek", errno: errno)) }
        self.path = path
        self.isReadOnly = isReadOnly
        byteCount = (UInt64(end) + Self.sectorByteCount - 1) / Self.sectorByteCount * Self.sectorByteCount
    }

    public func read(into bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(DiskImageError) {
        try check(offset, UInt64(bytes.count))
        guard let base = bytes.baseAddress else { return }
        var done = 0
        while done < bytes.count {
            let count = unsafe pread(file.rawValue, base + done, bytes.count - done, off_t(offset) + done)
            if count > 0 {
                done += count
            } else if count == 0 {
                // The file ends within its last sector, or was cut since.
                unsafe (base + done).initializeMemory(as: UInt8.self, repeating: 0, count: bytes.count - done)
                return
            } else if errno != EINTR {
                throw failure("pread")
            }
        }
    }

    public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskImageError) {
        try checkWrite(offset, UInt64(bytes.count))
        guard let base = bytes.baseAddress else { return }
        var done = 0
        while done < bytes.count {
            let count = unsafe pwrite(file.rawValue, base + done, bytes.count - done, off_t(offset) + done)
            if count > 0 {
                done += count
            } else if count == 0 {
                throw .failed(path: path, cause: SystemCallError("pwrite", errno: ENOSPC))
            } else if errno != EINTR {
                throw failure("pwrite")
            }
        }
    }

    public func flush() throws(DiskImageError) {
        guard fdatasync(file.rawValue) == 0 else { throw failure("fdatasync") }
    }

    public func discard(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) {
        try checkWrite(offset, byteCount)
        _ = try punchHole(at: offset, byteCount: byteCount)
    }

    public func writeZeroes(at offset: UInt64, byteCount: UInt64, mayUnmap: Bool) throws(DiskImageError) {
        try checkWrite(offset, byteCount)
        if mayUnmap, try punchHole(at: offset, byteCount: byteCount) { return }
        let zeros = [UInt8](repeating: 0, count: Int(min(byteCount, 1 << 20)))
        var done: UInt64 = 0
        while done < byteCount {
            let count = Int(min(byteCount - done, UInt64(zeros.count)))
            let result = unsafe zeros.withUnsafeBytes { part -> DiskImageError? in
                do throws(DiskImageError) {
                    unsafe try write(UnsafeRawBufferPointer(rebasing: part[..<count]), at: offset + done)
                    return nil
                } catch { return error }
            }
            if let result { throw result }
            done += UInt64(count)
        }
    }

    /// - Returns: Whether the file system could.
    private func punchHole(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) -> Bool {
        guard byteCount > 0 else { return true }
        do throws(SystemCallError) {
            try file.punchHole(at: offset, byteCount: byteCount)
            return true
        } catch {
            if error.errno == EOPNOTSUPP || error.errno == ENOSYS || error.errno == ENODEV { return false }
            throw .failed(path: path, cause: error)
        }
    }

    private func check(_ offset: UInt64, _ count: UInt64) throws(DiskImageError) {
        guard offset <= byteCount, count <= byteCount - offset else {
            throw .outOfRange(path: path, offset: offset, byteCount: count, capacity: byteCount)
        }
    }

    private func checkWrite(_ offset: UInt64, _ count: UInt64) throws(DiskImageError) {
        guard !isReadOnly else { throw .readOnly(path: path) }
        try check(offset, count)
    }

    private func failure(_ call: String) -> DiskImageError {
        .failed(path: path, cause: SystemCallError(call, errno: errno))
    }
}
