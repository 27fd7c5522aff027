import Glibc
import GuestMemory
import Virtio
import VirtioVsock

/// A driver of the socket device, and a place on the host for its sockets.
final class VsockGuest {
    struct Packet: Equatable {
        var operation: UInt16
        var guestPort: UInt32
        var hostPort: UInt32
        var flags: UInt32 = 0
        var allocated: UInt32 = 1 << 16
        var forwarded: UInt32 = 0
        var data: [UInt8] = []
    }
    static let request: UInt16 = 1
    static let response: UInt16 = 2
    static let reset: UInt16 = 3
    static let shutdown: UInt16 = 4
    static let data: UInt16 = 5
    static let creditUpdate: UInt16 = 6
    static let creditRequest: UInt16 = 7

    let memory: GuestMemory
    let receiveRing: DriverRing
    let transmitRing: DriverRing
    let device: VirtioVsock
    let folder: String
    private var isBufferOffered = false

    init() throws {
        memory = try GuestMemory(byteCount: 0x40_0000)
        receiveRing = DriverRing(memory, base: 0x1000)
        transmitRing = DriverRing(memory, base: 0x4000)
        var name = Array("/tmp/vsock.XXXXXX".utf8CString)
        _ = mkdtemp(&name)
        folder = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let path = folder + "/v"
        device = VirtioVsock(guestCID: 3, listener: VsockListener(owning: HostSocket.listen(path), path: path))
        try activate()
    }

    deinit {
        device.reset()
        for name in ["/v", "/v_80"] { unlink(folder + name) }
        rmdir(folder)
    }

    func activate() throws {
        device.activate(
            Activation(
                memory: memory,
                features: .version1,
                queues: [try receiveRing.queue(), try transmitRing.queue(), nil]
            )
        )
    }

    var path: String { folder + "/v" }

    /// Sends raw header fields; `length` stands in the header in place of the data's own.
    func send(
        _ packet: Packet,
        source: UInt64 = 3,
        destination: UInt64 = 2,
        type: UInt16 = 1,
        length: UInt32? = nil
    ) throws {
        let base: UInt64 = 0x10_0000
        var header = DeviceConfigurationBytes()
        header.append(source)
        header.append(destination)
        header.append(packet.guestPort)
        header.append(packet.hostPort)
        header.append(length ?? UInt32(packet.data.count))
        header.append(type)
        header.append(packet.operation)
        header.append(packet.flags)
        header.append(packet.allocated)
        header.append(packet.forwarded)
        try memory.copyIn(header.bytes + packet.data, at: GuestAddress(base))
        try transmitRing.offer([(base, 44 + packet.data.count, false)])
        try device.process(queue: 1)
    }

    /// The next packet for the guest, or nil where none comes within some seconds.
    func receive(patience: Int = 500, room: Int = 0x1_0000) throws -> Packet? {
        let base: UInt64 = 0x20_0000
        if !isBufferOffered { try receiveRing.offer([(base, 44, true), (base + 0x1000, room, true)]) }
        isBufferOffered = true
        for _ in 0..<patience {
            try device.process(queue: 0)
            if let used = try receiveRing.takeUsed() {
                isBufferOffered = false
                func word<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, _ offset: UInt64) throws -> T {
                    try memory.load(type, at: GuestAddress(base + offset))
                }
                return Packet(
                    operation: try word(UInt16.self, 30),
                    guestPort: try word(UInt32.self, 20),
                    hostPort: try word(UInt32.self, 16),
                    flags: try word(UInt32.self, 32),
                    allocated: try word(UInt32.self, 36),
                    forwarded: try word(UInt32.self, 40),
                    data: try memory.copyOut(at: GuestAddress(base + 0x1000), byteCount: Int(used.byteCount) - 44)
                )
            }
            usleep(10_000)
        }
        return nil
    }
}

/// Plain blocking Unix sockets.
enum HostSocket {
    private static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    static func listen(_ path: String) -> CInt {
        let socket = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        _ = withAddress(path) { bind(socket, $0, $1) }
        _ = Glibc.listen(socket, 16)
        return socket
    }

    static func connect(_ path: String) -> CInt {
        let socket = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        _ = withAddress(path) { Glibc.connect(socket, $0, $1) }
        // A test that waits for nothing ends.
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        return socket
    }

    static func send(_ socket: CInt, _ bytes: [UInt8]) -> Int {
        Glibc.send(socket, bytes, bytes.count, CInt(MSG_NOSIGNAL))
    }

    static func receive(_ socket: CInt, _ count: Int) -> [UInt8] {
        var result: [UInt8] = []
        while result.count < count {
            var part = [UInt8](repeating: 0, count: count - result.count)
            let got = recv(socket, &part, part.count, 0)
            guard got > 0 else { break }
            result += part[..<got]
        }
        return result
    }
}
