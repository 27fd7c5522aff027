internal import CLinux
import Glibc

/// Host memory obtained from `mmap(2)`, returned with `munmap(2)` when the value is destroyed.
///
/// Noncopyable, so exactly one owner exists; everything else borrows ``base`` while that owner lives.
@safe
public struct HostMapping: ~Copyable {
    /// The first byte of the mapping; page aligned.
    public let base: UnsafeMutableRawPointer
    public let byteCount: Int

    /// What may be done with the bytes of a mapping.
    public enum Access: Sendable {
        case readWrite
        case readOnly
        case readExecute

        var protection: CInt {
            switch self {
            case .readWrite: PROT_READ | PROT_WRITE
            case .readOnly: PROT_READ
            case .readExecute: PROT_READ | PROT_EXEC
            }
        }
    }

    /// Maps `byteCount` bytes of zeroed, private, anonymous memory, without reserving swap for it.
    ///
    /// - Parameter byteCount: A positive multiple of the page size.
    /// - Throws: `ENOMEM` where the host cannot back the mapping.
    public init(anonymous byteCount: Int) throws(SystemCallError) {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        let base = unsafe mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, -1, 0)
        guard let base = unsafe base, unsafe base != MAP_FAILED else { throw SystemCallError("mmap", errno: errno) }
        unsafe self.base = base
        self.byteCount = byteCount
    }

    /// Maps the first `byteCount` bytes of `file`, shared with every other mapping of it.
    public init(sharing file: borrowing FileDescriptor, byteCount: Int, access: Access) throws(SystemCallError) {
        let base = unsafe mmap(nil, byteCount, access.protection, MAP_SHARED | MAP_NORESERVE, file.rawValue, 0)
        guard let base = unsafe base, unsafe base != MAP_FAILED else { throw SystemCallError("mmap", errno: errno) }
        unsafe self.base = base
        self.byteCount = byteCount
    }

    /// Maps `byteCount` bytes of zeroed memory that has no name, to be shared with mappings made by ``init(aliasing:access:)``.
    public init(sharedAnonymous byteCount: Int) throws(SystemCallError) {
        let flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE
        let base = unsafe mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, -1, 0)
        guard let base = unsafe base, unsafe base != MAP_FAILED else { throw SystemCallError("mmap", errno: errno) }
        unsafe self.base = base
        self.byteCount = byteCount
    }

    /// Maps the memory of `other`, which must be shared, once more.
    public init(aliasing other: borrowing HostMapping, access: Access) throws(SystemCallError) {
        let base = unsafe clinux_alias(other.base, other.byteCount)
        guard let base = unsafe base, unsafe base != MAP_FAILED else { throw SystemCallError("mremap", errno: errno) }
        guard unsafe mprotect(base, other.byteCount, access.protection) == 0 else {
            let cause = errno
            unsafe munmap(base, other.byteCount)
            throw SystemCallError("mprotect", errno: cause)
        }
        unsafe self.base = base
        byteCount = other.byteCount
    }

    deinit { unsafe munmap(base, byteCount) }
}
