public import NetworkFrames

/// One network port of a guest, as `--net` names it: what it is connected to, then options, separated by commas.
public struct NetworkConfiguration: Hashable, Sendable {
    /// What the port is connected to.
    public enum Kind: Hashable, Sendable {
        /// There is no port.
        case none
        case user(UserNetworkConfiguration)
        /// A tap interface of the host's.
        case tap(name: String)
        /// A guest LAN of this name.
        case lan(name: String)
    }

    public var kind: Kind
    /// Nil lets the machine choose.
    public var address: MACAddress?
    public var queuePairCount = 1
    /// Nil leaves the driver its own.
    public var mtu: UInt16?
    public var transmitLimit = RateLimit()
    public var receiveLimit = RateLimit()
    /// Where every frame is written to.
    public var capturePath: String?
    /// As it was given.
    public let text: String

    static let queueLimit = 31
    static let mtuRange: ClosedRange<UInt16> = 68...65_521

    /// A network of the guest's own that needs no privileges.
    public static let user = NetworkConfiguration(kind: .user(UserNetworkConfiguration()), text: "user")

    private init(kind: Kind, text: String) {
        self.kind = kind
        self.text = text
    }

    public init(_ text: String) throws(NetworkError) {
        self.text = text
        var words = Self.words(text)[...]
        let first = words.removeFirst()
        let (word, name) = Self.halves(first)
        var user = UserNetworkConfiguration()
        switch (word, name) {
        case ("none", nil): kind = .none
        case ("user", nil): kind = .user(user)
        case ("tap", let name?): kind = .tap(name: try Self.interface(name))
        case ("lan", let name?): kind = .lan(name: try Self.lanName(name))
        default:
            throw .badOption("'\(first)'", reason: "user, tap=NAME, lan=NAME or none is possible")
        }
        var rates = Rates()
        for word in words {
            let (key, value) = Self.halves(word)
            guard let value, !value.isEmpty else { throw .badOption("'\(word)'", reason: "not of the form NAME=VALUE") }
            if case .none = kind { throw .badOption(word, reason: "none has no options") }
            if try setCommon(key, value, &rates) { continue }
            if case .user = kind, try user.set(key, value) { continue }
            throw .badOption(word, reason: "\(first) has no option '\(key)'")
        }
        transmitLimit = RateLimit(bytesPerSecond: rates.bytesOut, framesPerSecond: rates.packetsOut)
        receiveLimit = RateLimit(bytesPerSecond: rates.bytesIn, framesPerSecond: rates.packetsIn)
        if case .user = kind {
            try user.check()
            kind = .user(user)
        }
    }

    private struct Rates {
        var bytesIn: UInt64?
        var bytesOut: UInt64?
        var packetsIn: UInt64?
        var packetsOut: UInt64?
    }

    /// Takes one of the options that every port has.
    private mutating func setCommon(_ key: String, _ value: String, _ rates: inout Rates) throws(NetworkError) -> Bool {
        let option = "\(key)=\(value)"
        switch key {
        case "mac":
            guard let address = MACAddress(value), !address.isMulticast, address.rawValue != 0 else {
                throw .badOption(option, reason: "not an address of one station such as 52:54:00:12:34:56")
            }
            self.address = address
        case "queues":
            guard let count = Int(value), (1...Self.queueLimit).contains(count) else {
                throw .badOption(option, reason: "1 to \(Self.queueLimit) are possible")
            }
            queuePairCount = count
        case "mtu":
            guard let mtu = UInt16(value), Self.mtuRange.contains(mtu) else {
                throw .badOption(
                    option,
                    reason: "\(Self.mtuRange.lowerBound) to \(Self.mtuRange.upperBound) are possible"
                )
            }
            self.mtu = mtu
        case "rate":
            rates.bytesIn = try Self.rate(option, value)
            rates.bytesOut = rates.bytesIn
        case "rate-in": rates.bytesIn = try Self.rate(option, value)
        case "rate-out": rates.bytesOut = try Self.rate(option, value)
        case "packets":
            rates.packetsIn = try Self.rate(option, value)
            rates.packetsOut = rates.packetsIn
        case "packets-in": rates.packetsIn = try Self.rate(option, value)
        case "packets-out": rates.packetsOut = try Self.rate(option, value)
        case "pcap": capturePath = value
        default: return false
        }
        return true
    }

    /// Splits at commas; two of them stand for one that is part of a word.
    private static func words(_ text: String) -> [String] {
        var words = [""]
        var rest = text[...]
        while let character = rest.popFirst() {
            if character != "," {
                words[words.count - 1].append(character)
            } else if rest.first == "," {
                rest.removeFirst()
                words[words.count - 1].append(",")
            } else {
                words.append("")
            }
        }
        return words
    }

    private static func halves(_ word: String) -> (String, String?) {
        guard let place = word.firstIndex(of: "=") else { return (word, nil) }
        return (String(word[..<place]), String(word[word.index(after: place)...]))
    }

    /// A number a second, with K, M or G for powers of 1024.
    private static func rate(_ option: String, _ value: String) throws(NetworkError) -> UInt64 {
        let units: [Character: UInt64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30]
        let unit = value.last.flatMap { units[Character($0.uppercased())] }
        let number = UInt64(unit == nil ? value : String(value.dropLast()))
        let (rate, overflow) = (number ?? 0).multipliedReportingOverflow(by: unit ?? 1)
        guard rate > 0, !overflow, rate < 1 << 50 else {
            throw .badOption(option, reason: "not a number a second such as 10M")
        }
        return rate
    }

    /// The kernel's own rule for interfaces: up to 15 bytes without '/' and space.
    private static func interface(_ name: String) throws(NetworkError) -> String {
        let isName = name.utf8.allSatisfy {
            $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "%")
        }
        guard isName, (1...15).contains(name.utf8.count), name != ".", name != ".." else {
            throw .badOption("tap=\(name)", reason: "not the name of an interface, 1 to 15 characters")
        }
        return name
    }

    private static func lanName(_ name: String) throws(NetworkError) -> String {
        guard LANPlace.isName(name) else {
            throw .badOption("lan=\(name)", reason: "not a name of 1 to 32 letters, digits, '-', '_' and '.'")
        }
        return name
    }
}
