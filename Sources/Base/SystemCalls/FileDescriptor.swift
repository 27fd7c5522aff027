internal import CLinux
import Glibc

/// An open file, closed with `close(2)` when the value is destroyed.
public struct FileDescriptor: ~Copyable, Sendable {
    public let rawValue: CInt

    /// Takes over `rawValue`: nobody else closes it.
    public init(owning rawValue: CInt) { self.rawValue = rawValue }

    /// Makes an anonymous memory file of `byteCount` zero bytes (`memfd_create(2)`), closed on exec.
    public init(memory name: String, byteCount: Int) throws(SystemCallError) {
        self.init(owning: try Self.memoryFile(name: name, byteCount: byteCount))
    }

    private static func memoryFile(name: String, byteCount: Int) throws(SystemCallError) -> CInt {
        var file = unsafe clinux_memfd_create(name)
        // vm.memfd_noexec is 2.
        if file == -EACCES { file = unsafe clinux_memfd_create_sealed(name) }
        guard file >= 0 else { throw SystemCallError("memfd_create", errno: -file) }
        guard ftruncate(file, byteCount) == 0 else {
            let cause = errno
            close(file)
            throw SystemCallError("ftruncate", errno: cause)
        }
        return file
    }

    deinit { close(rawValue) }
}
