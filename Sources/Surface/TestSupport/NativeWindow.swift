import Glibc
internal import HostCode
import SystemCalls

/// The host addresses that a ``NativeExecutor`` gives to the code it runs: code and data below 2 GiB, so that 32-bit
/// addressing and RIP-relative operands reach both.
///
/// The place is the same in every run of a process that makes one.
///
/// ```
/// 0x00000  inaccessible       0x10000  code, 8 KiB       0x12000  inaccessible
/// 0x20000  data               then 64 KiB inaccessible
/// ```
final class NativeWindow {
    static let codeByteCount = 0x2000
    static let codeStart = 0x1_0000
    static let dataStart = 0x2_0000
    static let guardByteCount = 0x1_0000
    /// HLT.
    static let fill: UInt8 = 0xF4

    private let base: UnsafeMutableRawPointer
    private let totalByteCount: Int
    private let writable: HostMapping
    let memory: UnsafeMutableRawBufferPointer

    var codeAddress: UInt64 { UInt64(UInt(bitPattern: base)) + UInt64(Self.codeStart) }
    /// The code's bytes, through a mapping that may be written.
    var writableCode: UnsafeMutableRawPointer { writable.base }

    init(memoryByteCount: Int) throws(HostCodeError) {
        totalByteCount = Self.dataStart + memoryByteCount + Self.guardByteCount
        guard let place = Self.reserve(totalByteCount) else {
            throw .mapping(byteCount: totalByteCount, cause: SystemCallError("mmap", errno: errno))
        }
        base = place
        memory = UnsafeMutableRawBufferPointer(start: place + Self.dataStart, count: memoryByteCount)
        do throws(SystemCallError) {
            let file = try FileDescriptor(memory: "vivarium-native-code", byteCount: Self.codeByteCount)
            writable = try HostMapping(sharing: file, byteCount: Self.codeByteCount, access: .readWrite)
            writable.base.initializeMemory(as: UInt8.self, repeating: Self.fill, count: Self.codeByteCount)
            let code = mmap(
                place + Self.codeStart,
                Self.codeByteCount,
                PROT_READ | PROT_EXEC,
                MAP_SHARED | MAP_FIXED,
                file.rawValue,
                0
            )
            guard code != MAP_FAILED, mprotect(memory.baseAddress, memoryByteCount, PROT_READ | PROT_WRITE) == 0 else {
                throw SystemCallError("mmap", errno: errno)
            }
        } catch {
            munmap(place, totalByteCount)
            throw .mapping(byteCount: totalByteCount, cause: error)
        }
    }

    deinit { munmap(base, totalByteCount) }

    /// Inaccessible memory at the first free one of a few fixed places.
    private static func reserve(_ byteCount: Int) -> UnsafeMutableRawPointer? {
        // MAP_FIXED_NOREPLACE
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | 0x10_0000
        for number in 0..<64 {
            let wanted = UnsafeMutableRawPointer(bitPattern: 0x1000_0000 + number * 0x20_0000)
            let place = mmap(wanted, byteCount, PROT_NONE, flags, -1, 0)
            guard place != MAP_FAILED else { continue }
            if place == wanted { return place }
            // A kernel that does not know the flag puts it elsewhere.
            munmap(place, byteCount)
        }
        return nil
    }
}
