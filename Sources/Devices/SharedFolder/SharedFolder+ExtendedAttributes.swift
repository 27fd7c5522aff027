internal import CLinux
internal import Glibc

/// Extended attributes of regular files and folders, of the namespace `user.` only: the others mean something to the host's kernel.
extension SharedFolder {
    /// The kernel's own limit of a value and of a list (xattr(7)).
    private static var valueLimit: Int { 1 << 16 }
    private static var prefix: [CChar] { "user.".utf8.map { CChar(bitPattern: $0) } }

    private func named(_ header: fuse_in_header) throws(FUSEError) -> FolderNode {
        let node = try node(header)
        guard node.isRegular || node.isDirectory else { throw FUSEError(EOPNOTSUPP) }
        return node
    }

    private func name(_ arguments: inout FUSEArguments) throws(FUSEError) -> [CChar] {
        let name = try arguments.takeText(limit: 255)
        guard name.starts(with: Self.prefix), name.count > Self.prefix.count + 1 else { throw FUSEError(EOPNOTSUPP) }
        return name
    }

    /// A value, or its size alone where the guest has no room.
    private func sized(_ bytes: some Collection<UInt8>, room: UInt32) throws(FUSEError) -> FUSEBody {
        if room == 0 {
            var result = fuse_getxattr_out()
            result.size = UInt32(truncatingIfNeeded: bytes.count)
            return FUSEBody(result)
        }
        guard bytes.count <= Int(room) else { throw FUSEError(ERANGE) }
        var body = FUSEBody()
        body.append(bytes)
        return body
    }

    func extendedAttribute(_ header: fuse_in_header, _ arguments: inout FUSEArguments) throws(FUSEError) -> FUSEBody {
        let request = try arguments.take(fuse_getxattr_in.self)
        let name = try name(&arguments)
        let path = try named(header).path
        var value = [UInt8](repeating: 0, count: Self.valueLimit)
        let count = try FUSEError.check(unsafe clinux_getxattr(path, name, &value, value.count))
        return try sized(value.prefix(Int(count)), room: request.size)
    }

    func listExtendedAttributes(
        _ header: fuse_in_header,
        _ arguments: inout FUSEArguments
    ) throws(FUSEError) -> FUSEBody {
        let request = try arguments.take(fuse_getxattr_in.self)
        let path = try named(header).path
        var list = [UInt8](repeating: 0, count: Self.valueLimit)
        let count = try FUSEError.check(unsafe clinux_listxattr(path, &list, list.count))
        let prefix = Self.prefix.map { UInt8(bitPattern: $0) }
        let shown = list.prefix(Int(count)).split(separator: 0).filter { $0.starts(with: prefix) }
        return try sized(shown.flatMap { $0 + [0] }, room: request.size)
    }

    func setExtendedAttribute(_ header: fuse_in_header, _ arguments: inout FUSEArguments) throws(FUSEError) -> FUSEBody
    {
        let size = try arguments.take(UInt32.self)
        let flags = try arguments.take(UInt32.self)
        let name = try name(&arguments)
        // XATTR_CREATE and XATTR_REPLACE.
        guard flags & ~3 == 0, Int(size) <= Self.valueLimit else { throw FUSEError(EINVAL) }
        let value = try arguments.takeBytes(Int(size))
        let path = try named(header).path
        try FUSEError.check(unsafe clinux_setxattr(path, name, value, value.count, CInt(flags)))
        return FUSEBody()
    }

    func removeExtendedAttribute(
        _ header: fuse_in_header,
        _ arguments: inout FUSEArguments
    ) throws(FUSEError) -> FUSEBody {
        let name = try name(&arguments)
        try FUSEError.check(unsafe clinux_removexattr(try named(header).path, name))
        return FUSEBody()
    }
}
