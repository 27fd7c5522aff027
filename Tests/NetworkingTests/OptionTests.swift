import NetworkFrames
import Testing

@testable import Networking

@Suite struct NetworkOptionTests {
    @Test func `A network is what it is connected to, and options`() throws {
        #expect(try NetworkConfiguration("none").kind == .none)
        #expect(try NetworkConfiguration("tap=tap0").kind == .tap(name: "tap0"))
        #expect(try NetworkConfiguration("lan=blue").kind == .lan(name: "blue"))
        let port = try NetworkConfiguration(
            "lan=a,mac=52:54:00:00:00:09,queues=4,mtu=9000,rate=10M,rate-out=1K,packets-in=5,pcap=a,,b"
        )
        #expect(port.address == MACAddress(0x5254_0000_0009))
        #expect(port.queuePairCount == 4 && port.mtu == 9000 && port.capturePath == "a,b")
        #expect(port.receiveLimit == RateLimit(bytesPerSecond: 10 << 20, framesPerSecond: 5))
        #expect(port.transmitLimit == RateLimit(bytesPerSecond: 1 << 10))
    }

    @Test func `The user network has QEMU's words and addresses`() throws {
        guard case .user(let plain) = try NetworkConfiguration("user").kind else { return #expect(Bool(false)) }
        #expect("\(plain.gateway) \(plain.nameServer) \(plain.firstLease)" == "10.0.2.2 10.0.2.3 10.0.2.15")
        #expect(plain.hasIPv4 && plain.hasIPv6 && !plain.isRestricted && plain.forwards.isEmpty)
        let text =
            "user,net=192.168.7.0/24,dhcpstart=192.168.7.40,dns=192.168.7.9,restrict=on,ipv6=off,hostname=vm"
            + ",hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp::53-192.168.7.50:5353,hostfwd=::80-:8080"
        guard case .user(let user) = try NetworkConfiguration(text).kind else { return #expect(Bool(false)) }
        #expect("\(user.gateway) \(user.nameServer) \(user.firstLease)" == "192.168.7.2 192.168.7.9 192.168.7.40")
        #expect(user.isRestricted && !user.hasIPv6)
        #expect(user.forwards.map(\.isUDP) == [false, true, false])
        #expect(user.forwards.map(\.hostPort) == [2222, 53, 80])
        #expect(user.forwards.map { "\($0.hostAddress)" } == ["127.0.0.1", "0.0.0.0", "0.0.0.0"])
        #expect(user.forwards.map { "\($0.guestAddress)" } == ["0.0.0.0", "192.168.7.50", "0.0.0.0"])
    }

    @Test(arguments: [
        ("", "''"), ("usr", "'usr'"), ("user=1", "'user=1'"), ("tap", "'tap'"), ("tap=", "tap="),
        ("tap=a/b", "tap=a/b"),
        ("tap=0123456789abcdef", "tap=0123456789abcdef"), ("lan=", "lan="), ("lan=../x", "lan=../x"),
        ("lan=.x", "lan=.x"),
        ("none,mtu=1500", "mtu=1500"), ("lan=a,net=10.0.0.0/8", "net=10.0.0.0/8"), ("user,bla=1", "bla=1"),
        ("user,restrict", "'restrict'"), ("user,mac=1:2", "mac=1:2"),
        ("user,mac=01:00:00:00:00:00", "mac=01:00:00:00:00:00"),
        ("user,queues=0", "queues=0"), ("user,queues=32", "queues=32"), ("user,mtu=67", "mtu=67"),
        ("user,mtu=65522", "mtu=65522"),
        ("user,rate=0", "rate=0"), ("user,rate=1T", "rate=1T"), ("user,rate=99999999999G", "rate=99999999999G"),
        ("user,net=10.0.2.0/33", "net=10.0.2.0/33"), ("user,net=10.0.2.0/255.0.255.0", "net=10.0.2.0/255.0.255.0"),
        ("user,dhcpstart=10.0.3.15", "dhcpstart=10.0.3.15"), ("user,dns=10.0.2.2", "dns=10.0.2.2"),
        ("user,dns=x", "dns=x"),
        ("user,restrict=maybe", "restrict=maybe"), ("user,ipv4=off,ipv6=off", "ipv4=off,ipv6=off"),
        ("user,hostfwd=tcp:127.0.0.1:80", "hostfwd=tcp:127.0.0.1:80"),
        ("user,hostfwd=icmp::80-:80", "hostfwd=icmp::80-:80"),
        ("user,hostfwd=tcp::0-:80", "hostfwd=tcp::0-:80"), ("user,hostfwd=tcp::80-:65536", "hostfwd=tcp::80-:65536"),
        ("user,hostfwd=tcp:localhost:80-:80", "hostfwd=tcp:localhost:80-:80"), ("user,hostname=a b", "hostname=a b"),
    ])
    func `What makes no sense is refused with the option and its value`(text: String, named: String) {
        do throws(NetworkError) {
            _ = try NetworkConfiguration(text)
            #expect(Bool(false), "\(text) was taken")
        } catch {
            #expect("\(error)".hasPrefix(named + ": "), "\(error)")
            #expect(!"\(error)".contains("\n"))
        }
    }
}
