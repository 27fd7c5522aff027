internal import NetworkFrames

/// Which ports of a switch a frame goes to, learned from the frames before it (IEEE 802.1Q §8.7, §8.8).
struct LearningSwitch {
    /// How long an address is remembered, in nanoseconds.
    static let memoryTime: UInt64 = 300_000_000_000
    /// The most addresses behind one port: one that makes up more does not crowd out the others.
    static let addressLimit = 256

    private struct Entry {
        var port: Int
        var seenAt: UInt64
    }
    private var table: [MACAddress: Entry] = [:]
    private var counts: [Int: Int] = [:]
    private(set) var ports: Set<Int> = []

    mutating func add(_ port: Int) { ports.insert(port) }

    mutating func remove(_ port: Int) {
        ports.remove(port)
        counts[port] = nil
        table = table.filter { $0.value.port != port }
    }

    /// The ports that a frame from `port` leaves by, at `now` nanoseconds.
    mutating func forward(source: MACAddress, destination: MACAddress, from port: Int, now: UInt64) -> [Int] {
        guard ports.contains(port) else { return [] }
        learn(source, port, now)
        if !destination.isMulticast, let entry = table[destination], now &- entry.seenAt < Self.memoryTime {
            return entry.port == port ? [] : [entry.port]
        }
        return ports.filter { $0 != port }.sorted()
    }

    private mutating func learn(_ source: MACAddress, _ port: Int, _ now: UInt64) {
        // A group cannot be a source.
        guard !source.isMulticast else { return }
        if let known = table[source] {
            if known.port == port {
                table[source]?.seenAt = now
                return
            }
            counts[known.port, default: 1] -= 1
            table[source] = nil
        }
        if counts[port, default: 0] >= Self.addressLimit {
            // The port's oldest address makes room.
            guard let oldest = table.filter({ $0.value.port == port }).min(by: { $0.value.seenAt < $1.value.seenAt })
            else { return }
            table[oldest.key] = nil
            counts[port, default: 1] -= 1
        }
        table[source] = Entry(port: port, seenAt: now)
        counts[port, default: 0] += 1
    }
}
