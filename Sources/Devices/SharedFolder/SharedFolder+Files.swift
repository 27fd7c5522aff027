internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemCalls

extension SharedFolder {
    func handle(_ id: UInt64, isDirectory: Bool = false) throws(FUSEError) -> FolderHandle {
        try state.withLock { state throws(FUSEError) in try state.handle(id, isDirectory: isDirectory) }
    }

    /// What a guest may ask of an open file on the host; whether it appends is the guest's to compute, and the host's to do.
    private func flags(_ asked: UInt32) throws(FUSEError) -> CInt {
        let asked = CInt(bitPattern: asked)
        if isReadOnly, asked & O_ACCMODE != O_RDONLY || asked & O_TRUNC != 0 { throw FUSEError(EROFS) }
        return asked & (O_ACCMODE | O_APPEND | O_TRUNC | O_SYNC | O_DSYNC) | O_NONBLOCK | O_NOCTTY
    }

    /// Opens an inode.
    ///
    /// Pipes, sockets and devices are the guest's own business, and would make this thread wait.
    private func file(_ node: FolderNode, flags: CInt) throws(FUSEError) -> FileDescriptor {
        guard node.isRegular else { throw FUSEError(node.isDirectory ? EISDIR : ENXIO) }
        return FileDescriptor(owning: try FUSEError.check(unsafe clinux_openat(AT_FDCWD, node.path, flags, 0)))
    }

    private func answer(_ handle: FolderHandle) throws(FUSEError) -> fuse_open_out {
        var result = fuse_open_out()
        result.fh = try state.withLock { state throws(FUSEError) in try state.add(handle) }
        return result
    }

    func open(_ header: fuse_in_header, _ arguments: inout FUSEArguments) throws(FUSEError) -> FUSEBody {
        let request = try arguments.take(fuse_open_in.self)
        let file = try file(try node(header), flags: try flags(request.flags))
        return FUSEBody(try answer(FolderHandle(file, isDirectory: false)))
    }

    /// Makes a file and opens it, or opens the one that has come to be there where the guest does not insist.
    func create(_ header: fuse_in_header, _ arguments: inout FUSEArguments) throws(FUSEError) -> FUSEBody {
        let request = try arguments.take(fuse_create_in.self)
        let name = try arguments.takeName()
        let parent = try folder(header.nodeid)
        let flags = try flags(request.flags)
        var entry: fuse_entry_out
        let handle: FolderHandle
        do throws(FUSEError) {
            let file = try parent.open(name, flags: flags & ~O_TRUNC | O_CREAT | O_EXCL, mode: request.mode & 0o777)
            let path = "/proc/self/fd/\(file.rawValue)"
            let attributes = try adopt(file.rawValue, path: path, mode: S_IFREG | request.mode & 0o7777, header)
            let place = try FUSEError.check(unsafe clinux_openat(AT_FDCWD, path, clinux_o_path, 0))
            entry = try self.entry(of: FileDescriptor(owning: place))
            entry.attr = attributes
            handle = FolderHandle(file, isDirectory: false)
        } catch {
            guard error.errno == EEXIST, CInt(bitPattern: request.flags) & O_EXCL == 0 else { throw error }
            entry = try self.entry(parent, name)
            do throws(FUSEError) {
                let node = try state.withLock { state throws(FUSEError) in try state.node(entry.nodeid) }
                handle = FolderHandle(try file(node, flags: flags), isDirectory: false)
            } catch {
                takeBack(entry)
                throw error
            }
        }
        do throws(FUSEError) {
            var body = FUSEBody(entry)
            body.append(try answer(handle))
            return body
        } catch {
            takeBack(entry)
            throw error
        }
    }

    func release(_ arguments: inout FUSEArguments) throws(FUSEError) -> FUSEBody {
        let id = try arguments.take(fuse_release_in.self).fh
        state.withLock { $0.release(id) }
        return FUSEBody()
    }

    /// - Returns: How many bytes were put into `transfer`.
    func read(_ arguments: inout FUSEArguments, room: Int, _ transfer: any FUSETransfer) throws(FUSEError) -> Int {
        let request = try arguments.take(fuse_read_in.self)
        let descriptor = try handle(request.fh)
        let start = try Self.offset(request.offset)
        let count = min(Int(request.size), room, Self.dataLimit)
        guard start <= Int64.max - Int64(count) else { throw FUSEError(EINVAL) }
        let result = unsafe transfer.fill(byteCount: count) { part, position in
            Int(unsafe clinux_pread(descriptor.descriptor, part.baseAddress, part.count, start + Int64(position)))
        }
        return try FUSEError.check(result)
    }

    func write(_ arguments: inout FUSEArguments, _ transfer: any FUSETransfer) throws(FUSEError) -> FUSEBody {
        let request = try arguments.take(fuse_write_in.self)
        let descriptor = try handle(request.fh)
        let start = try Self.offset(request.offset)
        let count = min(Int(request.size), Self.dataLimit)
        guard start <= Int64.max - Int64(count) else { throw FUSEError(EINVAL) }
        let offset = Self.headerByteCount + MemoryLayout<fuse_write_in>.size
        let written = unsafe transfer.drain(offset: offset, byteCount: count) { part, position in
            Int(unsafe clinux_pwrite(descriptor.descriptor, part.baseAddress, part.count, start + Int64(position)))
        }
        var result = fuse_write_out()
        result.size = UInt32(truncatingIfNeeded: try FUSEError.check(written))
        return FUSEBody(result)
    }

    func flush(_ arguments: inout FUSEArguments, isDirectory: Bool) throws(FUSEError) -> FUSEBody {
        let request = try arguments.take(fuse_fsync_in.self)
        let handle = try handle(request.fh, isDirectory: isDirectory)
        let isDataOnly = request.fsync_flags & UInt32(bitPattern: FUSE_FSYNC_FDATASYNC) != 0
        try FUSEError.check(clinux_fsync(handle.descriptor, isDataOnly ? 1 : 0))
        return FUSEBody()
    }

    func allocate(_ arguments: inout FUSEArguments) throws(FUSEError) -> FUSEBody {
        let request = try arguments.take(fuse_fallocate_in.self)
        // Keep the size, punch a hole, make zeros (fallocate(2)).
        guard request.mode & ~0x13 == 0 else { throw FUSEError(EOPNOTSUPP) }
        let handle = try handle(request.fh)
        let start = try Self.offset(request.offset)
        let length = try Self.offset(request.length)
        try FUSEError.check(clinux_fallocate(handle.descriptor, CInt(request.mode), start, length))
        return FUSEBody()
    }

    /// The next data or hole; all other seeking is the guest's own.
    func seek(_ arguments: inout FUSEArguments) throws(FUSEError) -> FUSEBody {
        let request = try arguments.take(fuse_lseek_in.self)
        let whence = CInt(bitPattern: request.whence)
        guard whence == clinux_whence_data || whence == clinux_whence_hole else { throw FUSEError(EINVAL) }
        let handle = try handle(request.fh)
        let place = try FUSEError.check(clinux_lseek(handle.descriptor, try Self.offset(request.offset), whence))
        var result = fuse_lseek_out()
        result.offset = UInt64(place)
        return FUSEBody(result)
    }

    /// Bytes copied at once; the guest asks again for the rest.
    private static var copyLimit: UInt64 { 16 << 20 }

    func copyRange(_ arguments: inout FUSEArguments) throws(FUSEError) -> FUSEBody {
        let request = try arguments.take(fuse_copy_file_range_in.self)
        guard request.flags == 0 else { throw FUSEError(EINVAL) }
        let from = try handle(request.fh_in)
        let to = try handle(request.fh_out)
        let count = try FUSEError.check(
            clinux_copy_file_range(
                from.descriptor,
                try Self.offset(request.off_in),
                to.descriptor,
                try Self.offset(request.off_out),
                Int(min(request.len, Self.copyLimit))
            )
        )
        var result = fuse_write_out()
        result.size = UInt32(truncatingIfNeeded: count)
        return FUSEBody(result)
    }
}
