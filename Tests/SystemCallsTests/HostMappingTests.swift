import Glibc
import SystemCalls
import Testing

@Suite struct HostMappingTests {
    @Test func `An anonymous mapping is zeroed and can be written`() throws {
        let mapping = try HostMapping(anonymous: 8192)
        #expect(mapping.base.load(fromByteOffset: 8184, as: UInt64.self) == 0)
        mapping.base.storeBytes(of: 0x55, toByteOffset: 8191, as: UInt8.self)
        #expect(mapping.base.load(fromByteOffset: 8191, as: UInt8.self) == 0x55)
    }

    @Test func `Two mappings of one memory file share its bytes`() throws {
        let file = try FileDescriptor(memory: "test", byteCount: 4096)
        let first = try HostMapping(sharing: file, byteCount: 4096, access: .readWrite)
        let second = try HostMapping(sharing: file, byteCount: 4096, access: .readOnly)
        first.base.storeBytes(of: 0xDEAD_BEEF, toByteOffset: 128, as: UInt32.self)
        #expect(second.base.load(fromByteOffset: 128, as: UInt32.self) == 0xDEAD_BEEF)
    }

    @Test func `A mapping is gone when its owner is`() throws {
        var address = UnsafeMutableRawPointer(bitPattern: 4096)
        do {
            let mapping = try HostMapping(anonymous: 4096)
            address = mapping.base
            #expect(msync(address, 4096, MS_ASYNC) == 0)
        }
        #expect(msync(address, 4096, MS_ASYNC) == -1)
        #expect(errno == ENOMEM)
    }

    @Test func `A mapping of nothing fails with the call's name and errno`() {
        #expect(throws: SystemCallError("mmap", errno: EINVAL)) { _ = try HostMapping(anonymous: 0) }
    }

    @Test func `A memory file has the size asked for and is closed on exec`() throws {
        let file = try FileDescriptor(memory: "test", byteCount: 12288)
        var status = stat()
        #expect(fstat(file.rawValue, &status) == 0)
        #expect(status.st_size == 12288)
        #expect(fcntl(file.rawValue, F_GETFD) == FD_CLOEXEC)
    }

    @Test func `A descriptor is closed when its owner is`() throws {
        var ends: [CInt] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { close(ends[0]) }
        do { _ = FileDescriptor(owning: ends[1]) }
        // With the writing end closed, the reading end is at its end.
        var byte: UInt8 = 0
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        #expect(read(ends[0], &byte, 1) == 0)
    }

    @Test func `What is written to a pseudo-terminal comes out of its other side unchanged`() throws {
        let terminal = try PseudoTerminal()
        let other = FileDescriptor(owning: open(terminal.path, O_RDWR | O_NOCTTY))
        let sent: [UInt8] = [0x03, 0x0D, 0x0A, 0x41, 0x04]
        #expect(write(terminal.descriptor, sent, sent.count) == sent.count)
        var received = [UInt8](repeating: 0, count: 16)
        #expect(read(other.rawValue, &received, 16) == sent.count)
        #expect(Array(received[..<sent.count]) == sent)
    }

    @Test func `An error names the call, the reason and the number`() {
        #expect(SystemCallError("open", errno: ENOENT).description == "open: No such file or directory (2)")
    }
}
