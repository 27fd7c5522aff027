/// What `--net user` is made with; the words are QEMU's.
public struct UserNetworkConfiguration: Hashable, Sendable {
    /// A port of the host's that leads to one of the guest's.
    public struct Forward: Hashable, Sendable {
        public var isUDP: Bool
        public var hostAddress: IPv4Address
        public var hostPort: UInt16
        /// 0.0.0.0 stands for the first address that DHCP gives.
        public var guestAddress: IPv4Address
        public var guestPort: UInt16
        /// As it was given.
        public var text: String
    }

    public var network = IPv4Network(IPv4Address(0x0A00_0200), prefixLength: 24)
    /// The gateway, behind which the host is; nil takes the network's second address.
    public var host: IPv4Address?
    /// The first address that DHCP gives; nil takes the network's fifteenth.
    public var dhcpStart: IPv4Address?
    /// The name server that the guest is told; nil takes the network's third.
    public var dns: IPv4Address?
    public var prefix6 = IPv6Address.userPrefix
    public var prefix6Length: UInt8 = 64
    public var hasIPv4 = true
    public var hasIPv6 = true
    /// Nothing but the forwarded ports passes.
    public var isRestricted = false
    public var hostName: String?
    public var domainName: String?
    public var searchDomains: [String] = []
    public var forwards: [Forward] = []

    public init() {}

    public var gateway: IPv4Address { host ?? network.host(2) }
    public var nameServer: IPv4Address { dns ?? network.host(3) }
    public var firstLease: IPv4Address { dhcpStart ?? network.host(network.prefixLength > 28 ? 4 : 15) }

    /// Takes one option.
    ///
    /// - Returns: False where there is none of this name.
    mutating func set(_ key: String, _ value: String) throws(NetworkError) -> Bool {
        let option = "\(key)=\(value)"
        func address() throws(NetworkError) -> IPv4Address {
            guard let address = IPv4Address(value) else { throw .badOption(option, reason: "not an IPv4 address") }
            return address
        }
        func isOn() throws(NetworkError) -> Bool {
            switch value {
            case "on", "yes", "y": true
            case "off", "no", "n": false
            default: throw .badOption(option, reason: "on or off is possible")
            }
        }
        switch key {
        case "net":
            guard let network = IPv4Network(value) else {
                throw .badOption(option, reason: "not a network such as 10.0.2.0/24, with 8 to 29 bits")
            }
            self.network = network
        case "host": host = try address()
        case "dhcpstart": dhcpStart = try address()
        case "dns": dns = try address()
        case "ipv4": hasIPv4 = try isOn()
        case "ipv6": hasIPv6 = try isOn()
        case "restrict": isRestricted = try isOn()
        case "ipv6-net":
            let parts = value.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard let address = IPv6Address(parts[0]), parts.count == 1 || UInt8(parts[1]) == 64 else {
                throw .badOption(option, reason: "not a network such as fec0::/64")
            }
            prefix6 = address
        case "hostname": hostName = try Self.name(option, value)
        case "domainname": domainName = try Self.name(option, value)
        case "dnssearch": searchDomains.append(try Self.name(option, value))
        case "hostfwd": forwards.append(try Self.forward(value))
        default: return false
        }
        return true
    }

    /// Checks what only makes sense together.
    func check() throws(NetworkError) {
        guard hasIPv4 || hasIPv6 else { throw .badOption("ipv4=off,ipv6=off", reason: "one of them has to be on") }
        for (key, address) in [("host", gateway), ("dhcpstart", firstLease), ("dns", nameServer)] {
            guard network.contains(address) else {
                throw .badOption(
                    "\(key)=\(address)",
                    reason: "not in the network \(network.address)/\(network.prefixLength)"
                )
            }
        }
        for (key, address) in [("dhcpstart", firstLease), ("dns", nameServer)] where address == gateway {
            throw .badOption("\(key)=\(address)", reason: "this is the gateway's address")
        }
        guard firstLease != nameServer else {
            throw .badOption("dhcpstart=\(firstLease)", reason: "this is the name server's address")
        }
    }

    private static func name(_ option: String, _ value: String) throws(NetworkError) -> String {
        let isName = value.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        guard isName, (1...32).contains(value.utf8.count) else {
            throw .badOption(option, reason: "not a name of 1 to 32 letters, digits, '-' and '.'")
        }
        return value
    }

    /// Reads `tcp:HOSTADDR:PORT-GUESTADDR:PORT`; addresses and `tcp` may be left out.
    private static func forward(_ text: String) throws(NetworkError) -> Forward {
        let option = "hostfwd=\(text)"
        let shape = NetworkError.badOption(option, reason: "not of the form tcp:HOSTADDR:PORT-GUESTADDR:PORT")
        let halves = text.split(separator: "-", omittingEmptySubsequences: false)
        guard halves.count == 2 else { throw shape }
        let host = halves[0].split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let guest = halves[1].split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard host.count == 3, guest.count == 2, ["", "tcp", "udp"].contains(host[0]) else { throw shape }
        func address(_ word: String) throws(NetworkError) -> IPv4Address {
            if word.isEmpty { return IPv4Address(0) }
            guard let address = IPv4Address(word) else {
                throw .badOption(option, reason: "'\(word)' is not an IPv4 address")
            }
            return address
        }
        func port(_ word: String) throws(NetworkError) -> UInt16 {
            guard let port = UInt16(word), port > 0 else {
                throw .badOption(option, reason: "'\(word)' is not a port, 1 to 65535")
            }
            return port
        }
        return Forward(
            isUDP: host[0] == "udp",
            hostAddress: try address(host[1]),
            hostPort: try port(host[2]),
            guestAddress: try address(guest[0]),
            guestPort: try port(guest[1]),
            text: text
        )
    }
}
