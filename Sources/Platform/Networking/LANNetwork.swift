internal import Glibc
public import NetworkFrames
internal import Synchronization
internal import SystemCalls

/// A guest LAN: guests of one user's `viv` processes that name it see each other, and nothing else.
///
/// Every port is a connection to the LAN's switch. The switch is served by the process that holds the lock of the LAN's name; when it goes,
/// its kernel gives the lock back, and one of those that are cut off takes it.
public final class LANNetwork: NetworkBackend {
    private final class Core: Sendable {
        private struct Link {
            var socket: Connection?
            /// The switch, where this port serves it.
            var server: SwitchServer?
        }

        let thread: NetworkThread
        let receiver = Mutex<(any FrameReceiver)?>(nil)
        /// The guest has no room.
        let isPaused = Atomic(false)
        private let place: LANPlace
        private let name: String
        private let link = Mutex(Link())
        private static let batchCount = 64
        /// How long a new switch may take, in steps of a hundredth of a second.
        private static let joinSteps = 500

        init(_ place: LANPlace, _ name: String) throws(SystemCallError) {
            self.place = place
            self.name = name
            thread = try NetworkThread()
        }

        var socket: Connection? { link.withLock { $0.socket } }
        var isServing: Bool { link.withLock { $0.server != nil } }

        /// Connects to the switch, or becomes it.
        func join() throws(SystemCallError) {
            var cause = SystemCallError("connect", errno: ETIMEDOUT)
            for _ in 0..<Self.joinSteps {
                do throws(SystemCallError) {
                    let connection = Connection(try PacketSocket.connect(to: place.socketPath(name)))
                    link.withLock { $0.socket = connection }
                    return
                } catch {
                    guard [ENOENT, ECONNREFUSED, EAGAIN].contains(error.errno) else { throw error }
                    cause = error
                }
                if let server = try elect() {
                    link.withLock { $0.server = server }
                } else {
                    // Somebody else is about to serve.
                    if thread.isOver { break }
                    usleep(10_000)
                }
            }
            throw cause
        }

        /// Serves the switch, if nobody holds the lock.
        private func elect() throws(SystemCallError) -> SwitchServer? {
            let descriptor = unsafe open(place.lockPath(name), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard descriptor >= 0 else { throw SystemCallError("open", errno: errno) }
            let lock = FileDescriptor(owning: descriptor)
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return nil }
            let path = place.socketPath(name)
            unsafe unlink(path)
            return try SwitchServer(try PacketSocket.listen(at: path), lock: lock)
        }

        func leave() {
            let server = link.withLock { link in
                defer { link = Link() }
                return link.server
            }
            _ = server
        }

        func run() {
            var buffer = [UInt8](repeating: 0, count: SwitchServer.messageByteLimit + 1)
            while !thread.isOver {
                guard let connection = socket else {
                    // The switch went away: its LAN goes on with another, or this port is it.
                    do throws(SystemCallError) { try join() } catch { usleep(100_000) }
                    continue
                }
                let wanted = isPaused.load(ordering: .acquiring) ? 0 : Int16(POLLIN)
                var polled = [
                    pollfd(fd: thread.wake.descriptor, events: Int16(POLLIN), revents: 0),
                    pollfd(fd: connection.descriptor, events: wanted, revents: 0),
                ]
                unsafe poll(&polled, 2, -1)
                if thread.isOver { return }
                if polled[0].revents != 0 { thread.wake.clear() }
                guard polled[1].revents != 0 else { continue }
                var frames: [Frame] = []
                var isClosed = false
                while frames.count < Self.batchCount, !isClosed {
                    let outcome = PacketSocket.receive(&buffer, from: connection.descriptor)
                    if case .wouldWait = outcome { break }
                    guard case .done(let count) = outcome else {
                        isClosed = true
                        break
                    }
                    if let frame = Self.frame(buffer, count) { frames.append(frame) }
                }
                if !frames.isEmpty, let receiver = receiver.withLock({ $0 }), !receiver.receive(frames) {
                    isPaused.store(true, ordering: .releasing)
                }
                if isClosed { link.withLock { $0.socket = nil } }
            }
        }

        /// A message of the switch's; what a stranger says of its checksum is not believed.
        private static func frame(_ buffer: [UInt8], _ count: Int) -> Frame? {
            let frameByteCount = count - FrameOffload.byteCount
            guard count <= SwitchServer.messageByteLimit, frameByteCount >= Frame.headerByteCount,
                var offload = FrameOffload(buffer, frameByteCount: frameByteCount)
            else { return nil }
            offload.isVerified = false
            return Frame(Array(buffer[FrameOffload.byteCount..<count]), offload: offload)
        }
    }

    /// A socket that is closed when nobody uses it any more.
    private final class Connection: Sendable {
        private let file: FileDescriptor
        init(_ file: consuming FileDescriptor) { self.file = file }
        var descriptor: CInt { file.rawValue }
    }

    /// Guests hand their frames to each other as they are.
    public let offloads = Offloads.all
    private let core: Core
    /// How long a switch that does not read is waited for, in milliseconds.
    private static let sendWait: CInt = 100

    public convenience init(name: String) throws(NetworkError) { try self.init(name: name, place: try LANPlace()) }

    init(name: String, place: LANPlace) throws(NetworkError) {
        do throws(SystemCallError) {
            let core = try Core(place, name)
            self.core = core
            try core.join()
            try core.thread.start { core.run() }
        } catch {
            throw .host(option: "lan=\(name)", cause: error)
        }
    }

    deinit {
        core.thread.stop()
        core.leave()
    }

    /// Whether this port's process serves the LAN's switch on its behalf.
    var isServing: Bool { core.isServing }

    public func attach(_ receiver: (any FrameReceiver)?) {
        core.receiver.withLock { $0 = receiver }
        resume()
    }

    public func transmit(_ frames: [Frame]) {
        guard let connection = core.socket else { return }
        for frame in frames {
            var message = frame.offload.encoded()
            message += frame.bytes
            while true {
                guard case .wouldWait = PacketSocket.send(message, to: connection.descriptor) else { break }
                var polled = pollfd(fd: connection.descriptor, events: Int16(POLLOUT), revents: 0)
                // A switch that hangs loses the guest's frames and no more.
                guard unsafe poll(&polled, 1, Self.sendWait) > 0 else { return }
            }
        }
    }

    public func resume() {
        core.isPaused.store(false, ordering: .releasing)
        core.thread.wake.signal()
    }
}
