public import GuestMemory
public import SystemCalls

/// Why a guest cannot be started from the files and values given.
///
/// Every message is one line and names the file, or the value where there is no file.
public enum BootError: Error, Hashable, Sendable {
    case missing(path: String)
    case directory(path: String)
    /// Neither a regular file nor a pipe.
    case notAFile(path: String)
    case unreadable(path: String, cause: SystemCallError)
    case empty(path: String)
    /// The file is longer than anything of its kind can be; `limit` is in bytes.
    case tooLarge(path: String, limit: Int)
    /// `field` reaches to byte `needed` of a file that has only `found` bytes.
    case truncated(path: String, field: String, needed: UInt64, found: Int)
    case wrongMagic(path: String, field: String, found: UInt64, expected: UInt64)
    /// A value that the format does not allow.
    case badField(path: String, field: String, value: UInt64)
    /// A value that the format allows and we do not take; `wanted` says what is.
    case unsupported(path: String, field: String, value: String, wanted: String)
    /// None of the kernel formats.
    case notAKernel(path: String)
    /// An ELF file with neither a PVH note nor a multiboot header.
    case elfProgram(path: String)
    /// `byteCount` bytes at `address` are not free RAM of this guest.
    case occupied(path: String, address: UInt64, byteCount: UInt64)
    /// No room in RAM for `byteCount` bytes.
    case doesNotFit(path: String, byteCount: UInt64, memoryByteCount: Int)
    case commandLineTooLong(path: String, byteCount: Int, limit: Int)
    case commandLineHasNUL(path: String)
    case badMemorySize(byteCount: Int)
    /// The ACPI tables need more than the machine keeps free for them.
    case tablesTooLarge(byteCount: Int, limit: Int)
    /// A name inside an archive that cpio cannot hold.
    case badArchiveName(name: String)
    /// The archive member `name` is larger than the format allows.
    case memberTooLarge(name: String, byteCount: Int)
    case memory(path: String, cause: GuestMemoryError)
}

extension BootError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .missing(let path): "\(path): no such file"
        case .directory(let path): "\(path): is a directory"
        case .notAFile(let path): "\(path): is neither a regular file nor a pipe"
        case .unreadable(let path, let cause): "\(path): cannot be read: \(cause)"
        case .empty(let path): "\(path): is empty"
        case .tooLarge(let path, let limit): "\(path): is larger than \(limit) bytes"
        case .truncated(let path, let field, let needed, let found):
            "\(path): is truncated: \(field) reaches to byte \(needed), the file has \(found)"
        case .wrongMagic(let path, let field, let found, let expected):
            "\(path): \(field) is \(hex(found)), not \(hex(expected))"
        case .badField(let path, let field, let value): "\(path): \(field) is \(hex(value)), which is not possible"
        case .unsupported(let path, let field, let value, let wanted):
            "\(path): \(field) is \(value), \(wanted) is needed"
        case .notAKernel(let path): "\(path): is not a kernel: neither a Linux bzImage, nor ELF, nor multiboot"
        case .elfProgram(let path):
            "\(path): is an ELF program, not a kernel: it has neither a PVH note nor a multiboot header"
        case .occupied(let path, let address, let byteCount):
            "\(path): wants \(byteCount) bytes at \(hex(address)), which is not free RAM of this guest"
        case .doesNotFit(let path, let byteCount, let memory):
            "\(path): needs \(byteCount) bytes of RAM in one piece, which a guest of \(memory >> 20) MiB has not"
        case .commandLineTooLong(let path, let byteCount, let limit):
            "\(path): takes a command line of at most \(limit) bytes, this one has \(byteCount)"
        case .commandLineHasNUL(let path): "\(path): the command line holds a NUL character"
        case .badMemorySize(let byteCount):
            "a guest cannot have \(byteCount) bytes of RAM: a multiple of 4096 from 2 MiB to 1 TiB is needed"
        case .tablesTooLarge(let byteCount, let limit):
            "the ACPI tables need \(byteCount) bytes, \(limit) are kept for them"
        case .badArchiveName(let name): "initramfs: '\(name)' cannot be a member's name"
        case .memberTooLarge(let name, let byteCount): "initramfs: '\(name)' is too large with \(byteCount) bytes"
        case .memory(let path, let cause): "\(path): \(cause)"
        }
    }
}

func hex(_ value: some BinaryInteger) -> String { "0x" + String(value, radix: 16) }
