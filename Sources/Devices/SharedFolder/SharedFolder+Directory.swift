internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemCalls

extension SharedFolder {
    func openDirectory(_ header: fuse_in_header) throws(FUSEError) -> FUSEBody {
        let node = try folder(header.nodeid)
        let folder = FileDescriptor(
            owning: try FUSEError.check(unsafe clinux_openat(node.descriptor, ".", O_RDONLY | O_DIRECTORY, 0))
        )
        let handle = FolderHandle(folder, isDirectory: true)
        var result = fuse_open_out()
        result.fh = try state.withLock { state throws(FUSEError) in try state.add(handle) }
        return FUSEBody(result)
    }

    /// Entries of a folder from a place that an entry before has named; an empty answer is the end.
    func readDirectory(
        _ header: fuse_in_header,
        _ arguments: inout FUSEArguments,
        room: Int,
        withAttributes: Bool
    ) throws(FUSEError) -> FUSEBody {
        let request = try arguments.take(fuse_read_in.self)
        let node = try folder(header.nodeid)
        let handle = try handle(request.fh, isDirectory: true)
        let limit = min(Int(request.size), room, Self.dataLimit)
        var body = FUSEBody()
        let entries = try handle.entries(
            from: try Self.offset(request.offset),
            byteLimit: withAttributes ? limit / 4 : limit
        )
        for entry in entries {
            let fixed = 24 + (withAttributes ? MemoryLayout<fuse_entry_out>.size : 0)
            guard body.bytes.count + (fixed + entry.name.count + 7) & ~7 <= limit else { break }
            if withAttributes { body.append(described(entry, in: node)) }
            // struct fuse_dirent
            body.append(entry.inode)
            body.append(entry.next)
            body.append(UInt32(entry.name.count))
            body.append(entry.type)
            body.append(entry.name)
            body.align()
        }
        return body
    }

    /// What a lookup of the entry would say; node 0 means that the guest has to look it up itself.
    private func described(_ entry: FolderHandle.Entry, in node: FolderNode) -> fuse_entry_out {
        let text = entry.name.map { CChar(bitPattern: $0) } + [0]
        if let name = try? FileName(text), let found = try? self.entry(node, name) { return found }
        var result = fuse_entry_out()
        result.attr.ino = entry.inode
        result.attr.mode = entry.type << 12
        return result
    }
}

extension FolderHandle {
    /// An entry as getdents64(2) tells it.
    struct Entry {
        let inode: UInt64
        /// Where the one behind it is found.
        let next: UInt64
        let type: UInt32
        /// Without a zero byte.
        let name: [UInt8]
    }

    /// The entries from `offset` on, as many as the host gives at once.
    ///
    ///     00 d_ino · 08 d_off · 10 d_reclen · 12 d_type · 13 d_name
    func entries(from offset: Int64, byteLimit: Int) throws(FUSEError) -> [Entry] {
        var buffer = [UInt8](repeating: 0, count: min(max(byteLimit, 1 << 10), 1 << 16))
        let count = try turn.withLock { _ throws(FUSEError) in
            try FUSEError.check(clinux_lseek(descriptor, offset, SEEK_SET))
            return Int(try FUSEError.check(unsafe clinux_getdents(descriptor, &buffer, buffer.count)))
        }
        var entries: [Entry] = []
        var arguments = FUSEArguments(buffer[..<count])
        while arguments.byteCount > 0 {
            let inode = try arguments.take(UInt64.self)
            let next = try arguments.take(UInt64.self)
            let length = try arguments.take(UInt16.self)
            let type = try arguments.take(UInt8.self)
            let name = try arguments.takeBytes(Int(length) - 19).prefix { $0 != 0 }
            entries.append(
                Entry(inode: inode, next: next, type: UInt32(type), name: Array(name))
            )
        }
        return entries
    }
}
