internal import SystemCalls

/// All that the device remembers between two packets.
///
/// Connections are taken out of the table while they change, and put back.
struct VsockState {
    /// Connections at most; further ones are refused.
    static let connectionLimit = 1024
    /// Clients that have not said yet which port they want.
    static let handshakeLimit = 64
    /// Packets that wait for a buffer of the driver's; while there are so many, none of its own are taken.
    static let controlLimit = 1024
    /// Nanoseconds that a client has for its first line, and the guest for its answer.
    static let patience: UInt64 = 10_000_000_000
    private static let firstHostPort: UInt32 = 1 << 30

    let guestCID: UInt64
    /// The path of the host's socket; a guest's connection to port P goes to `path_P`.
    let path: String
    var connections: [VsockConnection.Key: VsockConnection] = [:]
    /// Clients whose first line has not come whole.
    var handshakes: [(socket: VsockSocket, deadline: UInt64)] = []
    private var controls: [VsockPacket] = []
    private var controlStart = 0
    private var ready: [VsockConnection.Key] = []
    private var readyStart = 0
    private var nextHostPort = firstHostPort

    init(guestCID: UInt64, path: String) {
        self.guestCID = guestCID
        self.path = path
    }

    // MARK: What goes to the guest

    var isCongested: Bool { controls.count - controlStart >= Self.controlLimit }
    var hasPackets: Bool { controlStart < controls.count || readyStart < ready.count }

    mutating func send(_ packet: VsockPacket) { controls.append(packet) }

    /// A packet of the connection `key`; its credit is filled in when it is delivered.
    mutating func send(_ operation: VsockPacket.Operation, _ key: VsockConnection.Key, flags: UInt32 = 0) {
        var packet = header(key, operation)
        packet.flags = flags
        send(packet)
    }

    func header(_ key: VsockConnection.Key, _ operation: VsockPacket.Operation) -> VsockPacket {
        VsockPacket(
            sourceCID: VsockPacket.hostCID,
            destinationCID: guestCID,
            sourcePort: key.hostPort,
            destinationPort: key.guestPort,
            operation: operation
        )
    }

    mutating func nextControl() -> VsockPacket? {
        guard controlStart < controls.count else { return nil }
        let packet = controls[controlStart]
        controlStart += 1
        if controlStart == controls.count || controlStart > 4096 {
            controls.removeFirst(controlStart)
            controlStart = 0
        }
        return packet
    }

    /// The next connection with something to deliver, taken out of the table.
    mutating func takeReady() -> VsockConnection? {
        while readyStart < ready.count {
            let key = ready[readyStart]
            readyStart += 1
            if readyStart == ready.count || readyStart > 4096 {
                ready.removeFirst(readyStart)
                readyStart = 0
            }
            guard var connection = connections[key], connection.isListed else { continue }
            connections[key] = nil
            connection.isListed = false
            if connection.canDeliver { return connection }
            connections[key] = connection
        }
        return nil
    }

    /// Puts a connection back, and lists it where it can deliver.
    mutating func keep(_ connection: VsockConnection) {
        var connection = connection
        if connection.canDeliver, !connection.isListed {
            connection.isListed = true
            ready.append(connection.key)
        }
        if connection.owesCreditUpdate, !connection.updateWaits {
            connection.updateWaits = true
            send(.creditUpdate, connection.key)
        }
        connections[connection.key] = connection
    }

    // MARK: Connections

    /// The connection is at an end; the guest is told.
    mutating func drop(_ key: VsockConnection.Key) {
        connections[key] = nil
        send(.reset, key)
    }

    /// A client asked for `port` of the guest's.
    mutating func connect(_ socket: VsockSocket, toGuestPort port: UInt32, now: UInt64) {
        guard connections.count < Self.connectionLimit else { return }
        var key = VsockConnection.Key(guestPort: port, hostPort: nextHostPort)
        while connections[key] != nil {
            nextHostPort = max(Self.firstHostPort, nextHostPort &+ 1)
            key = VsockConnection.Key(guestPort: port, hostPort: nextHostPort)
        }
        nextHostPort = max(Self.firstHostPort, nextHostPort &+ 1)
        var connection = VsockConnection(key: key, socket: socket, phase: .requested)
        connection.deadline = now &+ Self.patience
        keep(connection)
        send(.request, key)
    }

    /// Gives up what has waited for too long.
    mutating func expire(now: UInt64) {
        handshakes.removeAll { $0.deadline <= now }
        for (key, connection) in connections where connection.phase == .requested && connection.deadline <= now {
            drop(key)
        }
    }

    /// The next moment at which ``expire(now:)`` has something to do.
    var nextDeadline: UInt64? {
        let waiting = connections.values.lazy.filter { $0.phase == .requested }.map(\.deadline)
        return (handshakes.map(\.deadline) + waiting).min()
    }
}
