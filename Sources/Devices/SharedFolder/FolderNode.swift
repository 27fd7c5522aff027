internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemCalls

/// An inode of the folder that the guest knows, as an `O_PATH` descriptor: it names the file itself, wherever that is moved to.
final class FolderNode: Sendable {
    /// What makes two names one inode.
    struct Key: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64
    }
    static let rootID: UInt64 = 1

    let id: UInt64
    let key: Key
    /// The type bits of the mode; an inode keeps them for life.
    let type: UInt32
    private let file: FileDescriptor

    init(id: UInt64, status: stat, file: consuming FileDescriptor) {
        self.id = id
        key = Key(status)
        type = status.st_mode & S_IFMT
        self.file = file
    }

    var descriptor: CInt { file.rawValue }
    var isDirectory: Bool { type == S_IFDIR }
    var isRegular: Bool { type == S_IFREG }

    /// A path that is this inode, whatever has become of its names (proc(5)).
    var path: String { "/proc/self/fd/\(file.rawValue)" }

    func status() throws(FUSEError) -> stat { try Self.status(of: file.rawValue) }

    static func status(of descriptor: CInt) throws(FUSEError) -> stat {
        var status = stat()
        try FUSEError.check(unsafe clinux_stat(descriptor, &status))
        return status
    }

    /// Opens the inode that `name` is in this folder, without following it.
    func open(_ name: FileName, flags: CInt = 0, mode: UInt32 = 0) throws(FUSEError) -> FileDescriptor {
        guard isDirectory else { throw FUSEError(ENOTDIR) }
        let flags = flags | (flags == 0 ? clinux_o_path : 0) | O_NOFOLLOW
        var result = unsafe clinux_open_beneath(descriptor, name.text, flags, mode)
        // Kernels and sandboxes without openat2(2): one component that is not followed leads nowhere else either.
        if result == -ENOSYS || result == -EPERM {
            result = unsafe clinux_openat(descriptor, name.text, flags, mode)
        }
        return FileDescriptor(owning: try FUSEError.check(result))
    }
}

extension FolderNode.Key {
    init(_ status: stat) { self.init(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)) }
}

/// A file or folder that the guest has opened.
final class FolderHandle: Sendable {
    private let file: FileDescriptor
    let isDirectory: Bool
    /// Held while a folder's place is set and read from.
    let turn = Mutex<Void>(())

    init(_ file: consuming FileDescriptor, isDirectory: Bool) {
        self.file = file
        self.isDirectory = isDirectory
    }

    var descriptor: CInt { file.rawValue }
}
