import DiskImage
import Glibc
import SystemCalls
import Testing

/// A file in the temporary directory, removed at the end.
final class TemporaryFile {
    let path: String

    init(byteCount: Int, fill: UInt8 = 0) throws {
        var template = Array("/tmp/viv-image-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        try #require(descriptor >= 0)
        path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        let bytes = [UInt8](repeating: fill, count: byteCount)
        try #require(Glibc.write(descriptor, bytes, byteCount) == byteCount)
        close(descriptor)
    }
    deinit { unlink(path) }

    var byteCount: Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : -1
    }
}

extension DiskImage {
    func bytes(at offset: UInt64, _ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: count)
        try bytes.withUnsafeMutableBytes { try read(into: $0, at: offset) }
        return bytes
    }
    func store(_ bytes: [UInt8], at offset: UInt64) throws {
        try bytes.withUnsafeBytes { try write($0, at: offset) }
    }
}

@Suite struct RawDiskImageTests {
    @Test func `What was written is read back and reaches the file`() throws {
        let file = try TemporaryFile(byteCount: 4096)
        do {
            let image = try RawDiskImage(path: file.path)
            #expect(image.byteCount == 4096)
            try image.store([1, 2, 3], at: 1000)
            try image.flush()
            #expect(try image.bytes(at: 999, 5) == [0, 1, 2, 3, 0])
        }
        let again = try RawDiskImage(path: file.path, isReadOnly: true)
        #expect(try again.bytes(at: 1000, 3) == [1, 2, 3])
    }

    @Test func `A last sector cut short reads as zeros after the file's end and can be written`() throws {
        let file = try TemporaryFile(byteCount: 700, fill: 7)
        let image = try RawDiskImage(path: file.path)
        #expect(image.byteCount == 1024)
        let sector = try image.bytes(at: 512, 512)
        #expect(sector == [UInt8](repeating: 7, count: 188) + [UInt8](repeating: 0, count: 324))
        try image.store([UInt8](repeating: 9, count: 512), at: 512)
        #expect(try image.bytes(at: 1023, 1) == [9])
        #expect(file.byteCount == 1024)
    }

    @Test func `Zeroes are written with and without unmapping, and the size stays`() throws {
        let file = try TemporaryFile(byteCount: 16384, fill: 7)
        let image = try RawDiskImage(path: file.path)
        try image.writeZeroes(at: 100, byteCount: 5000, mayUnmap: false)
        try image.writeZeroes(at: 8192, byteCount: 8192, mayUnmap: true)
        try image.discard(at: 0, byteCount: 512)
        #expect(try image.bytes(at: 5099, 2) == [0, 7])
        #expect(try image.bytes(at: 8191, 2) == [7, 0])
        #expect(try image.bytes(at: 16383, 1) == [0])
        #expect(file.byteCount == 16384)
    }

    @Test(arguments: [(4096, 1), (4095, 2), (UInt64.max, 1), (0, 5000)] as [(UInt64, Int)])
    func `A transfer that leaves the disk is refused`(offset: UInt64, count: Int) throws {
        let file = try TemporaryFile(byteCount: 4096)
        let image = try RawDiskImage(path: file.path)
        let error = DiskImageError.outOfRange(
            path: file.path,
            offset: offset,
            byteCount: UInt64(count),
            capacity: 4096
        )
        #expect(throws: error) { try image.bytes(at: offset, count) }
        #expect(throws: error) { try image.store([UInt8](repeating: 0, count: count), at: offset) }
        #expect(throws: error) { try image.discard(at: offset, byteCount: UInt64(count)) }
    }

    @Test func `A read-only image refuses every change`() throws {
        let file = try TemporaryFile(byteCount: 4096)
        let image = try RawDiskImage(path: file.path, isReadOnly: true)
        #expect(throws: DiskImageError.readOnly(path: file.path)) { try image.store([1], at: 0) }
        #expect(throws: DiskImageError.readOnly(path: file.path)) { try image.discard(at: 0, byteCount: 512) }
        #expect(throws: DiskImageError.readOnly(path: file.path)) {
            try image.writeZeroes(at: 0, byteCount: 512, mayUnmap: true)
        }
    }

    @Test func `A second writer is refused, and so is a reader beside a writer`() throws {
        let file = try TemporaryFile(byteCount: 4096)
        let writer = try RawDiskImage(path: file.path)
        #expect(throws: DiskImageError.inUse(path: file.path)) { _ = try RawDiskImage(path: file.path) }
        #expect(throws: DiskImageError.inUse(path: file.path)) {
            _ = try RawDiskImage(path: file.path, isReadOnly: true)
        }
        withExtendedLifetime(writer) {}
    }

    @Test func `Readers share an image`() throws {
        let file = try TemporaryFile(byteCount: 4096)
        let first = try RawDiskImage(path: file.path, isReadOnly: true)
        let second = try RawDiskImage(path: file.path, isReadOnly: true)
        #expect(first.byteCount == second.byteCount)
    }

    @Test func `Directories, devices without sectors and missing paths are refused by name`() {
        for (path, isReadOnly) in [("/tmp", false), ("/tmp", true), ("/dev/null", false)] {
            #expect(throws: DiskImageError.notADisk(path: path)) {
                _ = try RawDiskImage(path: path, isReadOnly: isReadOnly)
            }
        }
        #expect {
            _ = try RawDiskImage(path: "/tmp/no-such-image")
        } throws: {
            "\($0)" == "cannot open disk image /tmp/no-such-image: open: No such file or directory (2)"
        }
    }
}
