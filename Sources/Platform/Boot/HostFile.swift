internal import Glibc
internal import SystemCalls

/// A whole file of the host in memory, with the name that error messages use.
public struct HostFile: Hashable, Sendable {
    public let path: String
    public let bytes: [UInt8]

    /// The largest file that can be loaded below 4 GiB.
    public static let loadLimit = 0xB000_0000

    /// A file that never was on the host, such as an initramfs made in memory; `name` stands for its path in messages.
    public init(name: String, bytes: [UInt8]) {
        path = name
        self.bytes = bytes
    }

    /// Reads the regular file or pipe at `path` to its end.
    ///
    /// A file of more than `limit` bytes is an error, found before reading where its length is known.
    public static func read(_ path: String, limit: Int = loadLimit) throws(BootError) -> HostFile {
        let raw = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard raw >= 0 else {
            let cause = errno
            if cause == ENOENT || cause == ENOTDIR || path.isEmpty { throw .missing(path: path) }
            throw .unreadable(path: path, cause: SystemCallError("open", errno: cause))
        }
        let file = FileDescriptor(owning: raw)
        var status = stat()
        guard unsafe fstat(file.rawValue, &status) == 0 else {
            throw .unreadable(path: path, cause: SystemCallError("fstat", errno: errno))
        }
        let kind = status.st_mode & S_IFMT
        if kind == S_IFDIR { throw .directory(path: path) }
        guard kind == S_IFREG || kind == S_IFIFO else { throw .notAFile(path: path) }
        guard status.st_size <= limit else { throw .tooLarge(path: path, limit: limit) }

        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(status.st_size))
        var chunk = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { buffer in
                unsafe Glibc.read(file.rawValue, buffer.baseAddress, buffer.count)
            }
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw .unreadable(path: path, cause: SystemCallError("read", errno: errno))
            }
            guard bytes.count + count <= limit else { throw .tooLarge(path: path, limit: limit) }
            bytes.append(contentsOf: chunk[..<count])
        }
        guard !bytes.isEmpty else { throw .empty(path: path) }
        return HostFile(name: path, bytes: bytes)
    }
}
