internal import CLinux
internal import Glibc
internal import SystemCalls

/// A file or block device of the host, with the locks that keep two writers apart.
public final class HostImageFile: ImageFile {
    public let name: String
    public let isReadOnly: Bool
    let isBlockDevice: Bool
    /// The device and inode, by which loops in chains are seen.
    let identity: FileIdentity
    private let file: FileDescriptor

    public struct FileIdentity: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64
    }

    /// `locking`: Who else may have the file open.
    /// - Throws: ``DiskImageError/cannotOpen(path:cause:)``, ``DiskImageError/notADisk(path:)``,
    ///   ``DiskImageError/inUse(path:)``.
    public convenience init(
        path: String,
        isReadOnly: Bool = false,
        locking: ImageFileLocking = .usual
    ) throws(DiskImageError) {
        // Non-blocking, so that a FIFO is refused rather than waited for.
        let descriptor = unsafe open(path, (isReadOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            let cause = errno
            if cause == EISDIR || cause == ENXIO { throw .notADisk(path: path) }
            throw .cannotOpen(path: path, cause: SystemCallError("open", errno: cause))
        }
        try self.init(
            taking: FileDescriptor(owning: descriptor),
            path: path,
            isReadOnly: isReadOnly,
            locking: locking
        )
    }

    /// Makes a file, or empties the one that is there unless another process uses it.
    public convenience init(creating path: String, locking: ImageFileLocking = .usual) throws(DiskImageError) {
        let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o644)
        guard descriptor >= 0 else {
            let cause = errno
            if cause == EISDIR || cause == ENXIO { throw .notADisk(path: path) }
            throw .cannotOpen(path: path, cause: SystemCallError("open", errno: cause))
        }
        try self.init(taking: FileDescriptor(owning: descriptor), path: path, isReadOnly: false, locking: locking)
        if !isBlockDevice { try resize(to: 0) }
    }

    private init(
        taking file: consuming FileDescriptor,
        path: String,
        isReadOnly: Bool,
        locking: ImageFileLocking
    ) throws(DiskImageError) {
        name = path
        self.isReadOnly = isReadOnly
        self.file = file
        var status = stat()
        guard unsafe fstat(self.file.rawValue, &status) == 0 else {
            throw .cannotOpen(path: path, cause: SystemCallError("fstat", errno: errno))
        }
        let kind = status.st_mode & S_IFMT
        guard kind == S_IFREG || kind == S_IFBLK else { throw .notADisk(path: path) }
        isBlockDevice = kind == S_IFBLK
        identity = FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        try locking.take(of: self.file.rawValue, path: path, isReadOnly: isReadOnly)
    }

    public var fileDescriptor: CInt { file.rawValue }

    /// The same for two ways to the same file.
    public var identityText: String { "\(identity.device):\(identity.inode)" }

    /// What the path leads to; nil where it leads nowhere.
    static func identity(of path: String) -> FileIdentity? {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        return FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }

    /// The bytes that the file takes on its file system.
    public var allocatedByteCount: UInt64 {
        var status = stat()
        guard unsafe fstat(file.rawValue, &status) == 0 else { return 0 }
        return UInt64(max(0, status.st_blocks)) * 512
    }

    public var byteCount: UInt64 {
        get throws(DiskImageError) {
            if isBlockDevice {
                let end = lseek(file.rawValue, 0, SEEK_END)
                guard end >= 0 else { throw failure("lseek") }
                return UInt64(end)
            }
            var status = stat()
            guard unsafe fstat(file.rawValue, &status) == 0 else { throw failure("fstat") }
            return UInt64(max(0, status.st_size))
        }
    }

    public func read(into bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(DiskImageError) {
        guard let base = bytes.baseAddress else { return }
        guard offset <= UInt64(Int64.max) - UInt64(bytes.count) else { return unsafe bytes.fillWithZeroes() }
        var done = 0
        while done < bytes.count {
            let count = unsafe pread(file.rawValue, base + done, bytes.count - done, off_t(offset) + done)
            if count > 0 {
                done += count
            } else if count == 0 {
                return unsafe bytes.part(done..<bytes.count).fillWithZeroes()
            } else if errno != EINTR {
                throw failure("pread")
            }
        }
    }

    public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskImageError) {
        guard let base = bytes.baseAddress else { return }
        guard offset <= UInt64(Int64.max) - UInt64(bytes.count) else {
            throw .failed(path: name, cause: SystemCallError("pwrite", errno: EFBIG))
        }
        var done = 0
        while done < bytes.count {
            let count = unsafe pwrite(file.rawValue, base + done, bytes.count - done, off_t(offset) + done)
            if count > 0 {
                done += count
            } else if count == 0 {
                throw .failed(path: name, cause: SystemCallError("pwrite", errno: ENOSPC))
            } else if errno != EINTR {
                throw failure("pwrite")
            }
        }
    }

    public func flush() throws(DiskImageError) {
        guard fdatasync(file.rawValue) == 0 else { throw failure("fdatasync") }
    }

    public func resize(to byteCount: UInt64) throws(DiskImageError) {
        if isBlockDevice {
            guard try self.byteCount >= byteCount else {
                throw .failed(path: name, cause: SystemCallError("resize", errno: ENOSPC))
            }
            return
        }
        guard ftruncate(file.rawValue, off_t(clamping: byteCount)) == 0 else { throw failure("ftruncate") }
    }

    public func punchHole(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) -> Bool {
        guard byteCount > 0 else { return true }
        do throws(SystemCallError) {
            try file.punchHole(at: offset, byteCount: byteCount)
            return true
        } catch {
            if error.errno == EOPNOTSUPP || error.errno == ENOSYS || error.errno == ENODEV { return false }
            throw .failed(path: name, cause: error)
        }
    }

    /// Reserves the space of bytes, which then read as zeros if nothing was there.
    public func allocate(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) {
        guard byteCount > 0 else { return }
        let result = clinux_allocate(file.rawValue, Int64(clamping: offset), Int64(clamping: byteCount))
        if result == -EOPNOTSUPP || result == -ENOSYS {
            return try writeZeroBytes(at: offset, byteCount: byteCount)
        }
        guard result == 0 else { throw .failed(path: name, cause: SystemCallError("fallocate", errno: -result)) }
    }

    /// Makes bytes read as zeros and keeps their space reserved.
    func zeroRange(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) {
        guard byteCount > 0 else { return }
        if clinux_zero_range(file.rawValue, Int64(clamping: offset), Int64(clamping: byteCount)) != 0 {
            try writeZeroBytes(at: offset, byteCount: byteCount)
        }
    }

    public func span(at offset: UInt64) throws(DiskImageError) -> FileSpan {
        let data = clinux_next_data(file.rawValue, Int64(clamping: offset))
        if data < 0 {
            // Nothing but a hole up to the end; other errors: a file system without holes.
            return FileSpan(isData: data != Int64(-ENXIO), end: .max)
        }
        if UInt64(data) > offset { return FileSpan(isData: false, end: UInt64(data)) }
        let hole = clinux_next_hole(file.rawValue, Int64(clamping: offset))
        return FileSpan(isData: true, end: hole > 0 ? UInt64(hole) : .max)
    }

    private func failure(_ call: String) -> DiskImageError {
        .failed(path: name, cause: SystemCallError(call, errno: errno))
    }
}
