import CLinux
import Glibc
import GuestMemory
import SharedFolder
import Testing
import Virtio
import VirtioFS

@Suite struct VirtioFSTests {
    let memory: GuestMemory
    let ring: DriverRing
    let urgent: DriverRing
    let device: VirtioFS
    let path: String

    init() throws {
        var name = Array("/tmp/virtiofs.XXXXXX".utf8CString)
        _ = mkdtemp(&name)
        path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        memory = try GuestMemory(byteCount: 0x40_0000)
        urgent = DriverRing(memory, base: 0x1000)
        ring = DriverRing(memory, base: 0x4000, size: 16)
        device = VirtioFS(try SharedFolder(path: path, descriptorLimit: 100), tag: "name")
        device.activate(
            Activation(memory: memory, features: .version1, queues: [try urgent.queue(), try ring.queue()])
        )
    }

    private static func bytes<T>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

    /// Sends a request cut into buffers at `cuts`, and gives the answer's bytes from buffers of the sizes in `rooms`.
    private func call(
        _ opcode: fuse_opcode,
        _ node: UInt64,
        _ arguments: [UInt8],
        cuts: [Int] = [40],
        rooms: [Int] = [16, 4096]
    ) throws -> [UInt8] {
        var header = fuse_in_header()
        header.len = UInt32(40 + arguments.count)
        header.opcode = opcode.rawValue
        header.nodeid = node
        header.uid = getuid()
        header.gid = getgid()
        let request = Self.bytes(header) + arguments
        try memory.copyIn(request, at: GuestAddress(0x10_0000))
        var buffers: [(address: UInt64, byteCount: Int, isWritable: Bool)] = []
        var start = 0
        for cut in cuts.filter({ $0 < request.count }) + [request.count] {
            buffers.append((0x10_0000 + UInt64(start), cut - start, false))
            start = cut
        }
        var place: UInt64 = 0x20_0000
        for room in rooms {
            buffers.append((place, room, true))
            place += UInt64(room)
        }
        try ring.offer(buffers)
        try device.process(queue: 1)
        let used = try #require(try ring.takeUsed())
        return try memory.copyOut(at: GuestAddress(0x20_0000), byteCount: Int(used.byteCount))
    }

    private func take<T>(_ type: T.Type, _ bytes: [UInt8], at offset: Int) throws -> T {
        try #require(bytes.count >= offset + MemoryLayout<T>.size)
        return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) }
    }

    @Test func `The tag and the number of queues are told`() {
        var tag: [UInt8] = []
        for offset in 0..<5 as Range<UInt64> { tag.append(UInt8(device.readConfig(at: offset, width: .byte))) }
        #expect(tag == Array("name".utf8) + [0])
        #expect(device.readConfig(at: 36, width: .dword) == 1)
    }

    @Test func `Data goes between files and buffers however these are cut`() throws {
        defer { _ = system("rm -rf '\(path)'") }
        var create = fuse_create_in()
        create.flags = UInt32(O_RDWR | O_CREAT)
        create.mode = 0o644
        let made = try call(FUSE_CREATE, 1, Self.bytes(create) + Array("file".utf8) + [0])
        #expect(try take(Int32.self, made, at: 4) == 0)
        let handle = try take(UInt64.self, made, at: 16 + 128)
        let data = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var write = fuse_write_in()
        write.fh = handle
        write.size = UInt32(data.count)
        let written = try call(FUSE_WRITE, 1, Self.bytes(write) + data, cuts: [10, 40, 90, 4176, 4177])
        #expect(try take(UInt32.self, written, at: 16) == 10_000)
        var read = fuse_read_in()
        read.fh = handle
        read.size = 20_000
        let answer = try call(FUSE_READ, 1, Self.bytes(read), rooms: [16, 1, 4095, 4096, 4096])
        #expect(answer.count == 16 + 10_000)
        #expect(Array(answer[16...]) == data)
        #expect(try take(UInt32.self, answer, at: 0) == 10_016)
    }

    @Test func `A write that says more than it holds is an error`() throws {
        defer { _ = system("rm -rf '\(path)'") }
        var write = fuse_write_in()
        write.fh = 1
        write.size = 5000
        let answer = try call(FUSE_WRITE, 1, Self.bytes(write) + [1, 2, 3])
        #expect(try take(Int32.self, answer, at: 4) < 0)
    }

    @Test func `A request without a header is the driver's fault`() throws {
        defer { _ = system("rm -rf '\(path)'") }
        try ring.offer([(0x10_0000, 39, false), (0x20_0000, 100, true)])
        #expect(throws: VirtioQueueError.requestTooShort(byteCount: 39)) { try device.process(queue: 1) }
    }
}
