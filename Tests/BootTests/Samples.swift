import Boot
import Glibc
import GuestMemory
import X86

/// Files made for the tests, and the Debian files that some tests need.
enum Samples {
    /// A bzImage of protocol 2.15 with two setup sectors and `kernel` as its protected-mode part.
    static func linux(
        kernel: [UInt8] = (0..<4096).map { UInt8(truncatingIfNeeded: $0) },
        version: UInt16 = 0x020F
    ) -> [UInt8] {
        var file = [UInt8](repeating: 0, count: 3 * 512)
        file[0x1F1] = 2
        file.put(UInt32((kernel.count + 15) / 16), 0x1F4)
        file.put(UInt16(0xAA55), 0x1FE)
        file[0x200] = 0xEB
        file[0x201] = 0x6A
        file.put(Array("HdrS".utf8), 0x202)
        file.put(version, 0x206)
        file[0x211] = 1
        file.put(UInt32(0x10_0000), 0x214)
        file.put(UInt32(0x7FFF_FFFF), 0x22C)
        file.put(UInt32(0x20_0000), 0x230)
        file[0x234] = 1
        file[0x235] = 21
        file.put(UInt16(1), 0x236)
        file.put(UInt32(0x7FF), 0x238)
        file.put(UInt64(0x100_0000), 0x258)
        file.put(UInt32(0x20_0000), 0x260)
        return file + kernel
    }

    /// An ELF file with one loadable segment of `content` at `address`, and the given notes.
    static func elf(
        wide: Bool = true,
        content: [UInt8] = [0xF4, 0xEB, 0xFD, 0x90],
        at address: UInt64 = 0x20_0000,
        memoryByteCount: UInt64 = 0x2000,
        notes: [UInt8] = []
    ) -> [UInt8] {
        let headByteCount = wide ? 64 : 52
        let entryByteCount = wide ? 56 : 32
        var file = [UInt8](repeating: 0, count: headByteCount + 2 * entryByteCount)
        file.put([0x7F, 0x45, 0x4C, 0x46, wide ? 2 : 1, 1, 1], 0)
        file.put(UInt16(2), 16)
        file.put(UInt16(wide ? 62 : 3), 18)
        func word(_ value: UInt64, _ offset: Int) {
            if wide { file.put(value, offset) } else { file.put(UInt32(value), offset) }
        }
        word(address, 24)
        word(UInt64(headByteCount), wide ? 32 : 28)
        file.put(UInt16(entryByteCount), wide ? 54 : 42)
        file.put(UInt16(2), wide ? 56 : 44)
        let contentOffset = UInt64(file.count)
        let segments: [(UInt32, UInt64, [UInt8], UInt64)] = [
            (1, address, content, memoryByteCount), (4, 0, notes, UInt64(notes.count)),
        ]
        var offset = contentOffset
        for (index, segment) in segments.enumerated() {
            let base = headByteCount + index * entryByteCount
            file.put(segment.0, base)
            word(offset, base + (wide ? 8 : 4))
            word(segment.1, base + (wide ? 24 : 12))
            word(UInt64(segment.2.count), base + (wide ? 32 : 16))
            word(segment.3, base + (wide ? 40 : 20))
            word(4, base + (wide ? 48 : 28))
            offset += UInt64(segment.2.count)
        }
        return file + content + notes
    }

    /// The note that makes an ELF file a PVH kernel, after a note of somebody else.
    static func pvhNotes(entry: UInt32) -> [UInt8] {
        var notes: [UInt8] = []
        notes.put32(4, 5, 1)
        notes += Array("GNU\0".utf8) + [1, 2, 3, 4, 5, 0, 0, 0]
        notes.put32(4, 4, 18)
        notes += Array("Xen\0".utf8)
        notes.put32(entry)
        return notes
    }

    static func multibootHeader(flags: UInt32 = 3, _ more: UInt32...) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.put32(0x1BAD_B002, flags, 0 &- 0x1BAD_B002 &- flags)
        for word in more { bytes.put32(word) }
        return bytes
    }

    static func file(_ name: String, _ bytes: [UInt8]) -> HostFile { HostFile(name: name, bytes: bytes) }

    /// A guest of 64 MiB.
    static func machine(mebibytes: Int = 64) throws -> (map: MemoryMap, memory: GuestMemory) {
        let map = try MemoryMap(memoryByteCount: mebibytes << 20)
        return (map, try GuestMemory(layout: map.regions))
    }

    /// The newest Debian kernel, from VIV_TEST_KERNEL or /boot.
    static var debianKernel: String? {
        if let path = unsafe getenv("VIV_TEST_KERNEL") { return unsafe String(cString: path) }
        guard let directory = unsafe opendir("/boot") else { return nil }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasPrefix("vmlinuz-") { names.append("/boot/" + name) }
        }
        return names.max()
    }

    static func exists(_ path: String) -> Bool { unsafe access(path, R_OK) == 0 }

    /// A fresh directory below the host's temporary one.
    static func temporaryDirectory() -> String {
        var template = Array("/tmp/viv-boot-XXXXXX".utf8CString)
        return template.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress, let path = unsafe mkdtemp(base) else { return "/tmp" }
            return unsafe String(cString: path)
        }
    }

    static func write(_ bytes: [UInt8], to path: String) {
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            rest = rest.dropFirst(count)
        }
        close(file)
    }

    /// Runs a shell command and returns its output, standard error included.
    static func shell(_ command: String) -> String {
        guard let pipe = unsafe popen("(\(command)) 2>&1", "r") else { return "" }
        defer { unsafe pclose(pipe) }
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe fread($0.baseAddress, 1, $0.count, pipe) }
            if count == 0 { break }
            output += chunk[..<count]
        }
        return String(decoding: output, as: UTF8.self)
    }
}

extension [UInt8] {
    mutating func put<T: FixedWidthInteger>(_ value: T, _ offset: Int) {
        for index in 0..<(T.bitWidth / 8) { self[offset + index] = UInt8(truncatingIfNeeded: value >> T(8 * index)) }
    }

    mutating func put(_ bytes: [UInt8], _ offset: Int) { replaceSubrange(offset..<(offset + bytes.count), with: bytes) }

    mutating func put32(_ values: UInt32...) {
        for value in values { for index in 0..<4 { append(UInt8(truncatingIfNeeded: value >> UInt32(8 * index))) } }
    }
}

extension GuestMemory {
    func value<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, _ address: UInt64) throws -> T {
        try load(type, at: GuestAddress(address))
    }

    func bytes(_ address: UInt64, _ byteCount: Int) throws -> [UInt8] {
        try copyOut(at: GuestAddress(address), byteCount: byteCount)
    }
}
