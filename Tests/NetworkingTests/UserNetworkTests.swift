import Glibc
import NetworkFrames
import Testing

@testable import Networking

@Suite struct UserNetworkTests {
    static let guest: [UInt8] = [0x52, 0x54, 0, 0x12, 0x34, 0x56]

    static func words(_ values: [UInt16]) -> [UInt8] { values.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] } }

    /// An IPv4 packet in a frame to everybody.
    static func packet(_ proto: UInt8, from source: [UInt8], to destination: [UInt8], _ payload: [UInt8]) -> Frame {
        var header: [UInt8] = [0x45, 0] + words([UInt16(20 + payload.count), 1, 0]) + [64, proto, 0, 0]
        header += source + destination
        var sum = InternetChecksum()
        sum.add(header[...])
        header.replaceSubrange(10..<12, with: words([sum.value]))
        return Frame([UInt8](repeating: 0xFF, count: 6) + guest + [8, 0] + header + payload)
    }

    /// A DHCP message (RFC 2131) of type 1, discover, or 3, request.
    static func dhcp(_ type: UInt8) -> Frame {
        var message: [UInt8] = [1, 1, 6, 0, 1, 2, 3, 4] + [UInt8](repeating: 0, count: 20) + guest
        message += [UInt8](repeating: 0, count: 10 + 64 + 128) + [99, 130, 83, 99, 53, 1, type]
        if type == 3 { message += [50, 4, 10, 0, 2, 15] }
        message += [255] + [UInt8](repeating: 0, count: 60)
        let udp = words([68, 67, UInt16(8 + message.count), 0]) + message
        return packet(17, from: [0, 0, 0, 0], to: [255, 255, 255, 255], udp)
    }

    /// The type of a DHCP answer: 2 is an offer, 5 an acknowledgement.
    static func dhcpType(_ frame: Frame) -> UInt8? {
        let bytes = frame.bytes
        guard bytes.count > 290, bytes[12...13] == [8, 0], bytes[23] == 17, bytes[36...37] == [0, 68] else {
            return nil
        }
        guard bytes[278..<284] == [99, 130, 83, 99, 53, 1] else { return nil }
        return bytes[284]
    }

    private func user(_ text: String = "user") throws -> UserNetworkConfiguration {
        guard case .user(let configuration) = try NetworkConfiguration(text).kind else {
            return UserNetworkConfiguration()
        }
        return configuration
    }

    @Test func `The guest gets an address, and an answer from its gateway`() throws {
        let network = try UserNetwork(try user())
        let port = GuestPort(.all)
        network.attach(port)
        network.transmit([Self.dhcp(1)])
        let offer = port.first { Self.dhcpType($0) == 2 }
        #expect(offer.map { Array($0.bytes[58..<62]) } == [10, 0, 2, 15])
        network.transmit([Self.dhcp(3)])
        #expect(port.first { Self.dhcpType($0) == 5 } != nil)
        // An echo request to the gateway (RFC 792); it asks for our address first.
        var echo: [UInt8] = [8, 0, 0, 0, 0, 7, 0, 1] + Array("vivarium".utf8)
        var sum = InternetChecksum()
        sum.add(echo[...])
        echo.replaceSubrange(2..<4, with: Self.words([sum.value]))
        network.transmit([Self.packet(1, from: [10, 0, 2, 15], to: [10, 0, 2, 2], echo)])
        let reply = port.first { $0.bytes[12...13] == [8, 0] && $0.bytes[23] == 1 && $0.bytes[34] == 0 }
        #expect(reply.map { Array($0.bytes.suffix(8)) } == Array("vivarium".utf8))
        #expect(reply?.offload.isVerified == true)
        network.attach(nil)
    }

    @Test func `A port that is taken is refused with its option`() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(listener, $0, length)
                _ = listen(listener, 1)
                _ = getsockname(listener, $0, &length)
            }
        }
        let option = "hostfwd=tcp:127.0.0.1:\(UInt16(bigEndian: address.sin_port))-:80"
        let configuration = try user("user," + option)
        do throws(NetworkError) {
            _ = try UserNetwork(configuration)
            #expect(Bool(false), "the port was taken twice")
        } catch {
            #expect("\(error)".hasPrefix("--net user,\(option): "), "\(error)")
        }
    }

    @Test func `A crowd of clients may wait at a forwarded port`() throws {
        let place = try #require(freePort())
        let network = try UserNetwork(try user("user,hostfwd=tcp:127.0.0.1:\(place)-:80"))
        // tcp_info (linux/tcp.h) of a listening socket has at offset 28 how many connections may wait.
        var rooms: [UInt32] = []
        for descriptor in 3..<1024 as Range<CInt> where listeningPort(descriptor) == place {
            var info = [UInt8](repeating: 0, count: 104)
            var size = socklen_t(info.count)
            guard getsockopt(descriptor, CInt(IPPROTO_TCP), TCP_INFO, &info, &size) == 0 else { continue }
            rooms.append(info[28..<32].reversed().reduce(0) { $0 << 8 | UInt32($1) })
        }
        #expect(rooms.count == 1)
        #expect(rooms.allSatisfy { $0 >= 64 }, "\(rooms)")
        network.attach(nil)
    }

    private func freePort() -> UInt16? {
        let probe = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        defer { close(probe) }
        guard listen(probe, 1) == 0 else { return nil }
        return listeningPort(probe)
    }

    /// The port that a socket listens at, or nil.
    private func listeningPort(_ descriptor: CInt) -> UInt16? {
        var listens: CInt = 0
        var size = socklen_t(MemoryLayout<CInt>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0, listens != 0 else { return nil }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        return result == 0 && address.sin_family == AF_INET ? UInt16(bigEndian: address.sin_port) : nil
    }

    @Test func `Frames of any length and content do not end the stack`() throws {
        let network = try UserNetwork(try user())
        let port = GuestPort(.all)
        network.attach(port)
        let whole = Self.dhcp(1).bytes
        network.transmit((0...whole.count).map { Frame(Array(whole[..<$0])) })
        for kind in [0x0800, 0x0806, 0x86DD] as [UInt16] {
            for count in [14, 15, 30, 60, 1514, 65_000] {
                let bytes = Array(whole[..<12]) + Self.words([kind]) + [UInt8](repeating: 0x45, count: count - 14)
                network.transmit([Frame(bytes)])
            }
        }
        var large = FrameOffload(checksum: FrameOffload.Checksum(start: 34, offset: 16), segmentation: .tcp4)
        large.segmentByteCount = 1460
        network.transmit([Frame(Array(whole[..<60]), offload: large)])
        network.transmit([Self.dhcp(1)])
        #expect(port.first { Self.dhcpType($0) == 2 } != nil)
        network.attach(nil)
    }

    @Test func `A capture holds the frames in the format of libpcap`() throws {
        let path = makeFolder() + "/frames.pcap"
        let capture = try PacketCapture(path: path)
        capture.observe([Frame([1, 2, 3]), Frame([UInt8](repeating: 9, count: 20))])
        let file = open(path, O_RDONLY)
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1000)
        let count = read(file, &bytes, bytes.count)
        #expect(count == 24 + 16 + 3 + 16 + 20)
        #expect(bytes[..<8] == [0x4D, 0x3C, 0xB2, 0xA1, 2, 0, 4, 0])
        #expect(bytes[20..<24] == [1, 0, 0, 0])
        #expect(bytes[32..<43] == [3, 0, 0, 0, 3, 0, 0, 0, 1, 2, 3])
        #expect(throws: NetworkError.self) { try PacketCapture(path: "/nonexistent/frames.pcap") }
    }
}
