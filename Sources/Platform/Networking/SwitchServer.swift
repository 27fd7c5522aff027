internal import Glibc
internal import NetworkFrames
internal import SystemCalls

/// The switch of a guest LAN: a listening socket, and a port for each guest that has connected.
///
/// Belongs to its thread. Nothing that a port sends can do more than reach the other ports: a message is bounded, checked, and lost where
/// its receiver does not take it.
final class SwitchServer: Sendable {
    static let portLimit = 256
    /// What waits for a port that does not read.
    static let backlogByteLimit = 4 << 20
    /// Messages that one port gets in before the others' turn.
    private static let turnCount = 32
    /// One byte above the largest message tells one that is too long.
    static let messageByteLimit = FrameOffload.byteCount + Frame.byteLimit

    /// A guest's connection.
    private final class Port {
        let socket: FileDescriptor
        var backlog: [[UInt8]] = []
        var position = 0
        var backlogByteCount = 0

        init(_ socket: consuming FileDescriptor) { self.socket = socket }
        var isWaiting: Bool { position < backlog.count }
    }

    private let thread: NetworkThread

    /// `lock`: The file whose lock says that this is the LAN's switch; given back when the switch ends.
    init(_ listener: consuming FileDescriptor, lock: consuming FileDescriptor) throws(SystemCallError) {
        thread = try NetworkThread()
        let thread = thread
        let parts = Parts(listener, lock)
        try thread.start { Self.run(parts, thread) }
    }

    deinit { thread.stop() }

    private final class Parts: Sendable {
        let listener: FileDescriptor
        let lock: FileDescriptor
        init(_ listener: consuming FileDescriptor, _ lock: consuming FileDescriptor) {
            self.listener = listener
            self.lock = lock
        }
    }

    private static func run(_ parts: Parts, _ thread: NetworkThread) {
        var ports: [Int: Port] = [:]
        var table = LearningSwitch()
        var nextNumber = 0
        var buffer = [UInt8](repeating: 0, count: messageByteLimit + 1)
        while !thread.isOver {
            let numbers = ports.keys.sorted()
            var polled = [
                pollfd(fd: thread.wake.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: parts.listener.rawValue, events: ports.count < portLimit ? Int16(POLLIN) : 0, revents: 0),
            ]
            for number in numbers {
                guard let port = ports[number] else { continue }
                let events = port.isWaiting ? POLLIN | POLLOUT : POLLIN
                polled.append(pollfd(fd: port.socket.rawValue, events: Int16(events), revents: 0))
            }
            unsafe poll(&polled, nfds_t(polled.count), -1)
            if thread.isOver { return }
            if polled[0].revents != 0 { thread.wake.clear() }
            if polled[1].revents != 0 {
                let client = accept(parts.listener.rawValue, nil, nil)
                if client >= 0 {
                    _ = fcntl(client, F_SETFD, FD_CLOEXEC)
                    _ = fcntl(client, F_SETFL, O_NONBLOCK)
                    PacketSocket.enlarge(client)
                    ports[nextNumber] = Port(FileDescriptor(owning: client))
                    table.add(nextNumber)
                    nextNumber += 1
                }
            }
            for (number, found) in zip(numbers, polled.dropFirst(2)) where found.revents != 0 {
                guard let port = ports[number] else { continue }
                var isClosed = flush(port)
                if !isClosed, found.revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 {
                    isClosed = serve(number, port, ports, &table, &buffer)
                }
                if isClosed {
                    ports[number] = nil
                    table.remove(number)
                }
            }
        }
    }

    /// Takes some messages of a port's to where they belong.
    ///
    /// - Returns: Whether the port is gone.
    private static func serve(
        _ number: Int,
        _ port: Port,
        _ ports: [Int: Port],
        _ table: inout LearningSwitch,
        _ buffer: inout [UInt8]
    ) -> Bool {
        for _ in 0..<turnCount {
            let count: Int
            switch PacketSocket.receive(&buffer, from: port.socket.rawValue) {
            case .done(let received): count = received
            case .wouldWait: return false
            case .closed: return true
            }
            let start = FrameOffload.byteCount
            guard count <= messageByteLimit, count >= start + Frame.headerByteCount,
                FrameOffload(buffer, frameByteCount: count - start) != nil,
                let destination = MACAddress(buffer, at: start),
                let source = MACAddress(buffer, at: start + MACAddress.byteCount)
            else { continue }
            let message = Array(buffer[..<count])
            let targets = table.forward(
                source: source,
                destination: destination,
                from: number,
                now: monotonicTime()
            )
            for target in targets { if let other = ports[target] { send(message, to: other) } }
        }
        return false
    }

    private static func send(_ message: [UInt8], to port: Port) {
        if !port.isWaiting {
            // A closed port is found closed when it is its turn.
            guard case .wouldWait = PacketSocket.send(message, to: port.socket.rawValue) else { return }
        }
        guard port.backlogByteCount + message.count <= backlogByteLimit else { return }
        port.backlog.append(message)
        port.backlogByteCount += message.count
    }

    /// Sends what waits, as far as the port takes it.
    ///
    /// - Returns: Whether the port is gone.
    private static func flush(_ port: Port) -> Bool {
        while port.isWaiting {
            let message = port.backlog[port.position]
            switch PacketSocket.send(message, to: port.socket.rawValue) {
            case .wouldWait: return false
            case .closed: return true
            case .done: break
            }
            port.backlogByteCount -= message.count
            port.position += 1
            if !port.isWaiting {
                port.backlog.removeAll(keepingCapacity: true)
                port.position = 0
            }
        }
        return false
    }
}
