internal import Virtio

extension VsockState {
    // MARK: From the guest

    /// Acts on a packet of the guest's.
    ///
    /// What it must not do is answered by a reset (Virtio 1.3 §5.10.6.6).
    mutating func take(_ packet: VsockPacket, _ chain: DescriptorChain) throws(VirtioQueueError) {
        guard packet.type == VsockPacket.stream, packet.sourceCID == guestCID,
            packet.destinationCID == VsockPacket.hostCID, let operation = packet.operation
        else {
            refuse(packet)
            return
        }
        let key = VsockConnection.Key(guestPort: packet.sourcePort, hostPort: packet.destinationPort)
        if operation == .request {
            open(packet, key)
            return
        }
        guard var connection = connections.removeValue(forKey: key) else {
            refuse(packet)
            return
        }
        connection.peerAllocated = packet.allocated
        connection.peerForwarded = packet.forwarded
        connection.awaitsCredit = false
        let goesOn: Bool
        switch operation {
        case .response: goesOn = Self.establish(&connection)
        case .shutdown: goesOn = Self.shutDown(&connection, packet.flags)
        case .data: goesOn = try Self.receive(&connection, packet, chain)
        case .creditUpdate: goesOn = true
        case .creditRequest:
            if !connection.updateWaits { send(.creditUpdate, key) }
            connection.updateWaits = true
            goesOn = true
        case .reset: return
        case .request: goesOn = false
        }
        if goesOn { keep(connection) } else { drop(key) }
    }

    private mutating func refuse(_ packet: VsockPacket) {
        if let refusal = packet.refusal { send(refusal) }
    }

    /// The guest connects to a port of the host's: somebody listens at its path, or not.
    private mutating func open(_ packet: VsockPacket, _ key: VsockConnection.Key) {
        guard connections[key] == nil else {
            drop(key)
            return
        }
        guard connections.count < Self.connectionLimit, let socket = VsockSocket(path: "\(path)_\(key.hostPort)") else {
            refuse(packet)
            return
        }
        var connection = VsockConnection(key: key, socket: socket, phase: .established)
        connection.peerAllocated = packet.allocated
        connection.peerForwarded = packet.forwarded
        send(.response, key)
        keep(connection)
    }

    /// The guest accepts a client's connection.
    private static func establish(_ connection: inout VsockConnection) -> Bool {
        guard connection.phase == .requested else { return false }
        connection.phase = .established
        let line = Array("OK \(connection.key.hostPort)\n".utf8)
        return unsafe line.withUnsafeBytes { unsafe connection.socket.write($0) } == .moved(line.count)
    }

    private static func shutDown(_ connection: inout VsockConnection, _ flags: UInt32) -> Bool {
        if flags & VsockPacket.endsReceiving != 0, !connection.guestReceivesNoMore {
            connection.guestReceivesNoMore = true
            connection.socket.stopReceiving()
        }
        if flags & VsockPacket.endsSending != 0 { connection.guestSendsNoMore = true }
        return connection.flush() && !connection.isFinished
    }

    private static func receive(
        _ connection: inout VsockConnection,
        _ packet: VsockPacket,
        _ chain: DescriptorChain
    ) throws(VirtioQueueError) -> Bool {
        guard connection.phase == .established, !connection.guestSendsNoMore,
            connection.hasRoom(for: packet.dataByteCount),
            Int(packet.dataByteCount) <= chain.readableByteCount - VsockPacket.byteCount
        else { return false }
        connection.append(try chain.copyOut(at: VsockPacket.byteCount, byteCount: Int(packet.dataByteCount)))
        return connection.flush()
    }

    // MARK: To the guest

    /// Bytes of data in one packet at most.
    private static var packetLimit: Int { 64 << 10 }

    /// Writes the next packet for the guest to `chain`.
    ///
    /// - Returns: The bytes written, or nil where there is no packet after all.
    mutating func fill(_ chain: DescriptorChain) throws(VirtioQueueError) -> Int? {
        guard chain.writableByteCount > VsockPacket.byteCount else {
            throw .requestTooShort(byteCount: chain.writableByteCount)
        }
        while true {
            if var packet = nextControl() {
                let key = VsockConnection.Key(guestPort: packet.destinationPort, hostPort: packet.sourcePort)
                if packet.operation != .reset { stamp(&packet, key) }
                return try chain.copyIn(packet.bytes, at: 0)
            }
            guard let connection = takeReady() else { return nil }
            if let count = try fill(chain, from: connection) { return count }
        }
    }

    /// Says in `packet` how much of the guest's data was passed on.
    private mutating func stamp(_ packet: inout VsockPacket, _ key: VsockConnection.Key) {
        guard let forwarded = connections[key]?.forwarded else { return }
        packet.allocated = VsockConnection.allocation
        packet.forwarded = forwarded
        connections[key]?.toldForwarded = forwarded
        connections[key]?.updateWaits = false
    }

    /// Moves what the client has sent to `chain`, or notes that it is at its end.
    private mutating func fill(
        _ chain: DescriptorChain,
        from taken: VsockConnection
    ) throws(VirtioQueueError) -> Int? {
        var connection = taken
        let room = min(chain.writableByteCount - VsockPacket.byteCount, connection.credit, Self.packetLimit)
        var count = 0
        var last = VsockSocket.Transfer.wouldBlock
        let socket = connection.socket
        unsafe try chain.forEachWritable(in: VsockPacket.byteCount..<(VsockPacket.byteCount + room)) { part, _ in
            last = unsafe socket.read(into: part)
            guard case .moved(let moved) = last else { return false }
            count += moved
            return moved == part.count
        }
        if last == .wouldBlock { connection.isReadable = false }
        guard count > 0 else {
            switch last {
            case .failed: drop(connection.key)
            case .ended:
                connection.hostSendsNoMore = true
                connection.hostIsGone = socket.isGone
                keep(connection)
                sayEnd(connection)
            case .wouldBlock, .moved: keep(connection)
            }
            return nil
        }
        connection.sent &+= UInt32(truncatingIfNeeded: count)
        var packet = header(connection.key, .data)
        packet.dataByteCount = UInt32(truncatingIfNeeded: count)
        if connection.credit == 0, !connection.awaitsCredit {
            connection.awaitsCredit = true
            send(.creditRequest, connection.key)
        }
        keep(connection)
        stamp(&packet, connection.key)
        try chain.copyIn(packet.bytes, at: 0)
        return VsockPacket.byteCount + count
    }

    private mutating func sayEnd(_ connection: VsockConnection) {
        let gone = connection.hostIsGone ? VsockPacket.endsReceiving : 0
        send(.shutdown, connection.key, flags: VsockPacket.endsSending | gone)
    }

    // MARK: From the host

    /// What polling found out about the socket of a connection.
    mutating func react(_ key: VsockConnection.Key, canRead: Bool, canWrite: Bool, isGone: Bool) {
        guard var connection = connections.removeValue(forKey: key) else { return }
        if connection.phase == .requested {
            if isGone { drop(key) } else { connections[key] = connection }
            return
        }
        if canWrite || isGone && connection.waitingByteCount > 0 {
            guard connection.flush(), !connection.isFinished else {
                drop(key)
                return
            }
        }
        if connection.wantsInput, canRead || isGone { connection.isReadable = true }
        if isGone, connection.hostSendsNoMore, !connection.hostIsGone {
            connection.hostIsGone = true
            sayEnd(connection)
        }
        keep(connection)
    }

    /// Reads a client's first line, `CONNECT` and a port in decimal.
    ///
    /// - Returns: Whether the client still has to say more.
    mutating func shakeHands(_ socket: VsockSocket, now: UInt64) -> Bool {
        let (bytes, transfer) = socket.peek(byteCount: 32)
        if transfer == .wouldBlock { return true }
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else {
            if case .moved(let count) = transfer { return count < 32 && !socket.isGone }
            return false
        }
        var line = [UInt8](repeating: 0, count: end + 1)
        guard unsafe line.withUnsafeMutableBytes({ unsafe socket.read(into: $0) }) == .moved(end + 1) else {
            return false
        }
        let words = String(decoding: line[..<end], as: UTF8.self).split(separator: " ")
        guard words.count == 2, words[0].uppercased() == "CONNECT", let port = UInt32(words[1]) else { return false }
        connect(socket, toGuestPort: port, now: now)
        return false
    }
}
