internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemCalls

extension SharedFolder {
    static var removesDirectory: CInt { 0x200 }  // AT_REMOVEDIR

    /// A new inode is the guest's, as far as the process may give files away, and has the mode that the guest said, which the
    /// process's umask may have narrowed.
    ///
    /// Another process of the host's may have put something else at its name meanwhile: only what looks like ours is changed.
    private func finish(
        _ parent: FolderNode,
        _ name: FileName,
        mode: UInt32,
        _ header: fuse_in_header
    ) throws(FUSEError) -> fuse_entry_out {
        var entry = try entry(parent, name)
        do throws(FUSEError) {
            if entry.nodeid != FolderNode.rootID {
                let node = try state.withLock { state throws(FUSEError) in try state.node(entry.nodeid) }
                entry.attr = try adopt(node.descriptor, path: node.path, mode: mode, header)
            }
        } catch {
            takeBack(entry)
            throw error
        }
        return entry
    }

    /// As above, for the inode behind a descriptor.
    func adopt(_ descriptor: CInt, path: String, mode: UInt32, _ header: fuse_in_header) throws(FUSEError) -> fuse_attr
    {
        let status = try FolderNode.status(of: descriptor)
        let type = mode & S_IFMT
        let isNew =
            status.st_mode & S_IFMT == type && status.st_uid == geteuid()
            && (type == S_IFDIR || status.st_nlink == 1)
        guard isNew else { return attributes(status) }
        if givesOwnership, status.st_uid != header.uid || status.st_gid != header.gid {
            try FUSEError.check(clinux_chown(descriptor, header.uid, header.gid))
        }
        if type != S_IFLNK, status.st_mode & 0o777 != mode & 0o777 {
            try FUSEError.check(unsafe clinux_chmod(path, status.st_mode & 0o7000 | mode & 0o777))
        }
        return attributes(try FolderNode.status(of: descriptor))
    }

    func makeDirectory(_ header: fuse_in_header, _ arguments: inout FUSEArguments) throws(FUSEError) -> FUSEBody {
        let request = try arguments.take(fuse_mkdir_in.self)
        let name = try arguments.takeName()
        let parent = try folder(header.nodeid)
        try FUSEError.check(unsafe clinux_mkdirat(parent.descriptor, name.text, request.mode & 0o1777))
        return FUSEBody(try finish(parent, name, mode: S_IFDIR | request.mode & 0o7777, header))
    }

    /// Files, sockets and pipes; the guest makes no devices on the host.
    func makeNode(_ header: fuse_in_header, _ arguments: inout FUSEArguments) throws(FUSEError) -> FUSEBody {
        let request = try arguments.take(fuse_mknod_in.self)
        let name = try arguments.takeName()
        let type = request.mode & S_IFMT
        guard [S_IFREG, S_IFIFO, S_IFSOCK].contains(type) else { throw FUSEError(EPERM) }
        let parent = try folder(header.nodeid)
        try FUSEError.check(unsafe clinux_mknodat(parent.descriptor, name.text, type | request.mode & 0o777))
        return FUSEBody(try finish(parent, name, mode: type | request.mode & 0o7777, header))
    }

    func makeLink(_ header: fuse_in_header, _ arguments: inout FUSEArguments) throws(FUSEError) -> FUSEBody {
        let name = try arguments.takeName()
        let target = try arguments.takeText(limit: 4095)
        let parent = try folder(header.nodeid)
        try FUSEError.check(unsafe clinux_symlinkat(target, parent.descriptor, name.text))
        return FUSEBody(try finish(parent, name, mode: S_IFLNK, header))
    }

    func link(_ header: fuse_in_header, _ arguments: inout FUSEArguments) throws(FUSEError) -> FUSEBody {
        let request = try arguments.take(fuse_link_in.self)
        let name = try arguments.takeName()
        let parent = try folder(header.nodeid)
        let node = try state.withLock { state throws(FUSEError) in try state.node(request.oldnodeid) }
        guard !node.isDirectory else { throw FUSEError(EPERM) }
        try FUSEError.check(unsafe clinux_link(node.path, parent.descriptor, name.text))
        return FUSEBody(try entry(parent, name))
    }

    func remove(_ header: fuse_in_header, _ arguments: inout FUSEArguments, flags: CInt) throws(FUSEError) -> FUSEBody {
        let name = try arguments.takeName()
        try FUSEError.check(unsafe clinux_unlinkat(try folder(header.nodeid).descriptor, name.text, flags))
        return FUSEBody()
    }

    func rename(
        _ header: fuse_in_header,
        _ arguments: inout FUSEArguments,
        hasFlags: Bool
    ) throws(FUSEError) -> FUSEBody {
        let target: UInt64
        var flags: UInt32 = 0
        if hasFlags {
            let request = try arguments.take(fuse_rename2_in.self)
            target = request.newdir
            flags = request.flags
        } else {
            target = try arguments.take(fuse_rename_in.self).newdir
        }
        // RENAME_NOREPLACE and RENAME_EXCHANGE (renameat2(2)); a whiteout would be a device.
        guard flags & ~3 == 0 else { throw FUSEError(EINVAL) }
        let old = try arguments.takeName()
        let new = try arguments.takeName()
        let from = try folder(header.nodeid)
        let to = try folder(target)
        try FUSEError.check(
            unsafe clinux_renameat2(from.descriptor, old.text, to.descriptor, new.text, flags)
        )
        return FUSEBody()
    }

    /// - Throws: `ENOTDIR`: names are found in folders only.
    func folder(_ id: UInt64) throws(FUSEError) -> FolderNode {
        let node = try state.withLock { state throws(FUSEError) in try state.node(id) }
        guard node.isDirectory else { throw FUSEError(ENOTDIR) }
        return node
    }
}
