internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemCalls

extension SharedFolder {
    /// Tells the guest of an inode of the folder `parent`, which it then knows until it forgets it.
    func entry(_ parent: FolderNode, _ name: FileName) throws(FUSEError) -> fuse_entry_out {
        try entry(of: try parent.open(name))
    }

    func entry(of file: consuming FileDescriptor) throws(FUSEError) -> fuse_entry_out {
        let status = try FolderNode.status(of: file.rawValue)
        let holder = DescriptorHolder(file)
        let id = try state.withLock { state throws(FUSEError) in
            guard let file = holder.take() else { throw FUSEError(EBADF) }
            return try state.intern(file, status)
        }
        var entry = fuse_entry_out()
        entry.nodeid = id
        entry.entry_valid = Self.validity
        entry.attr_valid = Self.validity
        entry.attr = attributes(status)
        return entry
    }

    /// Forgets an inode that was looked up for an answer that is not given after all.
    func takeBack(_ entry: fuse_entry_out) { state.withLock { $0.forget(entry.nodeid, lookups: 1) } }

    func attributes(_ status: stat) -> fuse_attr {
        var result = fuse_attr()
        result.ino = inode(status)
        result.size = UInt64(bitPattern: Int64(status.st_size))
        result.blocks = UInt64(bitPattern: Int64(status.st_blocks))
        result.atime = UInt64(bitPattern: Int64(status.st_atim.tv_sec))
        result.mtime = UInt64(bitPattern: Int64(status.st_mtim.tv_sec))
        result.ctime = UInt64(bitPattern: Int64(status.st_ctim.tv_sec))
        result.atimensec = UInt32(truncatingIfNeeded: status.st_atim.tv_nsec)
        result.mtimensec = UInt32(truncatingIfNeeded: status.st_mtim.tv_nsec)
        result.ctimensec = UInt32(truncatingIfNeeded: status.st_ctim.tv_nsec)
        result.mode = status.st_mode
        result.nlink = UInt32(truncatingIfNeeded: status.st_nlink)
        result.uid = status.st_uid
        result.gid = status.st_gid
        result.rdev = UInt32(truncatingIfNeeded: status.st_rdev)
        result.blksize = UInt32(truncatingIfNeeded: status.st_blksize)
        return result
    }

    /// The inode's number; those of file systems mounted inside the folder are kept apart from the folder's own.
    private func inode(_ status: stat) -> UInt64 {
        let device = UInt64(status.st_dev)
        let number = UInt64(status.st_ino)
        return device == root.key.device ? number : number ^ (device &* 0x9E37_79B9_7F4A_7C15 & 0xFFFF_FF00_0000_0000)
    }

    func attributes(_ header: fuse_in_header) throws(FUSEError) -> FUSEBody {
        var result = fuse_attr_out()
        result.attr_valid = Self.validity
        result.attr = attributes(try node(header).status())
        return FUSEBody(result)
    }

    /// Mode, owner, size and times, whichever the request names.
    func setAttributes(_ header: fuse_in_header, _ arguments: inout FUSEArguments) throws(FUSEError) -> FUSEBody {
        let node = try node(header)
        let change = try arguments.take(fuse_setattr_in.self)
        func has(_ bit: CInt) -> Bool { change.valid & UInt32(bitPattern: bit) != 0 }
        if has(FATTR_MODE) {
            guard node.type != S_IFLNK else { throw FUSEError(EOPNOTSUPP) }
            try FUSEError.check(unsafe clinux_chmod(node.path, change.mode & 0o7777))
        }
        if has(FATTR_UID) || has(FATTR_GID) {
            let user = has(FATTR_UID) ? change.uid : .max
            let group = has(FATTR_GID) ? change.gid : .max
            try FUSEError.check(clinux_chown(node.descriptor, user, group))
        }
        if has(FATTR_SIZE) {
            guard node.isRegular else { throw FUSEError(node.isDirectory ? EISDIR : EINVAL) }
            let size = try Self.offset(change.size)
            if has(FATTR_FH) {
                let handle = try handle(change.fh)
                try FUSEError.check(clinux_ftruncate(handle.descriptor, size))
            } else {
                try FUSEError.check(unsafe clinux_truncate(node.path, size))
            }
        }
        if has(FATTR_ATIME) || has(FATTR_MTIME) {
            func time(_ bit: CInt, _ now: CInt, _ seconds: UInt64, _ nanoseconds: UInt32) -> timespec {
                guard has(bit) else { return timespec(tv_sec: 0, tv_nsec: Self.omitsTime) }
                if has(now) { return timespec(tv_sec: 0, tv_nsec: Self.takesNow) }
                return timespec(tv_sec: Int(truncatingIfNeeded: seconds), tv_nsec: Int(min(nanoseconds, 999_999_999)))
            }
            let times = [
                time(FATTR_ATIME, FATTR_ATIME_NOW, change.atime, change.atimensec),
                time(FATTR_MTIME, FATTR_MTIME_NOW, change.mtime, change.mtimensec),
            ]
            try FUSEError.check(unsafe clinux_set_times(node.descriptor, times))
        }
        return try attributes(header)
    }

    /// UTIME_OMIT and UTIME_NOW (utimensat(2)).
    private static var omitsTime: Int { (1 << 30) - 2 }
    private static var takesNow: Int { (1 << 30) - 1 }

    /// A place in a file, as system calls have it.
    static func offset(_ value: UInt64) throws(FUSEError) -> Int64 {
        guard let offset = Int64(exactly: value) else { throw FUSEError(EINVAL) }
        return offset
    }

    func access(_ header: fuse_in_header, _ arguments: inout FUSEArguments) throws(FUSEError) -> FUSEBody {
        let mask = try arguments.take(fuse_access_in.self).mask
        guard mask & ~UInt32(R_OK | W_OK | X_OK) == 0 else { throw FUSEError(EINVAL) }
        if isReadOnly, mask & UInt32(W_OK) != 0 { throw FUSEError(EROFS) }
        try FUSEError.check(unsafe clinux_access(try node(header).path, CInt(mask)))
        return FUSEBody()
    }

    func readLink(_ header: fuse_in_header) throws(FUSEError) -> FUSEBody {
        let node = try node(header)
        guard node.type == S_IFLNK else { throw FUSEError(EINVAL) }
        var text = [UInt8](repeating: 0, count: 4096)
        let count = try FUSEError.check(unsafe clinux_readlink(node.descriptor, &text, text.count))
        var body = FUSEBody()
        body.append(text.prefix(Int(count)))
        return body
    }

    func fileSystemStatus(_ header: fuse_in_header) throws(FUSEError) -> FUSEBody {
        var status = statvfs()
        try FUSEError.check(unsafe clinux_statvfs(try node(header).descriptor, &status))
        var result = fuse_statfs_out()
        result.st.blocks = UInt64(status.f_blocks)
        result.st.bfree = UInt64(status.f_bfree)
        result.st.bavail = UInt64(status.f_bavail)
        result.st.files = UInt64(status.f_files)
        result.st.ffree = UInt64(status.f_ffree)
        result.st.bsize = UInt32(truncatingIfNeeded: status.f_bsize)
        result.st.frsize = UInt32(truncatingIfNeeded: status.f_frsize)
        result.st.namelen = UInt32(FileName.limit)
        return FUSEBody(result)
    }

    /// Everything of the folder's file system reaches its disk.
    func synchronize() throws(FUSEError) -> FUSEBody {
        let folder = FileDescriptor(
            owning: try FUSEError.check(unsafe clinux_openat(root.descriptor, ".", O_RDONLY | O_DIRECTORY, 0))
        )
        try FUSEError.check(clinux_syncfs(folder.rawValue))
        return FUSEBody()
    }
}

/// Hands a descriptor into a closure.
private final class DescriptorHolder {
    private var file: FileDescriptor?
    init(_ file: consuming FileDescriptor) { self.file = consume file }
    func take() -> FileDescriptor? { file.take() }
}
