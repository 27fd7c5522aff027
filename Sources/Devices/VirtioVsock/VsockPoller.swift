internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import Virtio

/// Watches the host's sockets on a thread of its own, for as long as the driver is there.
final class VsockPoller: Sendable {
    private let listener: VsockListener
    private let state: VsockDeviceState
    private let ready: @Sendable () -> Void
    /// A byte in it ends a wait.
    private let wakeReader: VsockSocket
    private let wakeWriter: VsockSocket
    private let isStopping = Atomic<Bool>(false)
    private let worker = Mutex<DeviceWorker?>(nil)

    /// Starts watching; nil where the host has no thread or descriptor left.
    ///
    /// `ready`: Called, on the thread, when there may be packets for the guest.
    init?(_ listener: VsockListener, _ state: VsockDeviceState, ready: @escaping @Sendable () -> Void) {
        self.listener = listener
        self.state = state
        self.ready = ready
        var pair: [CInt] = [-1, -1]
        guard unsafe socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &pair) == 0 else { return nil }
        wakeReader = VsockSocket(owning: pair[0])
        wakeWriter = VsockSocket(owning: pair[1])
        guard let thread = DeviceWorker(serve: { [weak self] _ in self?.run() }) else { return nil }
        worker.withLock { $0 = thread }
        thread.signal(0)
    }

    /// What is to be watched has changed.
    func wake() {
        let byte: [UInt8] = [0]
        unsafe byte.withUnsafeBytes { _ = unsafe wakeWriter.write($0) }
    }

    /// Ends the thread before it returns.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        wake()
        worker.withLock { worker in
            worker?.stop()
            worker = nil
        }
    }

    private enum Subject {
        case wake
        case listener
        case handshake(VsockSocket)
        case connection(VsockConnection.Key)
    }

    private func run() {
        var restsFromAccepting = false
        while !isStopping.load(ordering: .acquiring) {
            let accepts = !restsFromAccepting
            let (subjects, deadline) = state.withLock { ($0.subjects(accepts: accepts), $0.state.nextDeadline) }
            var entries = [pollfd(fd: wakeReader.descriptor, events: Int16(POLLIN), revents: 0)]
            var names = [Subject.wake]
            for (subject, events) in subjects {
                let descriptor: CInt
                switch subject {
                case .listener: descriptor = listener.descriptor
                case .handshake(let socket): descriptor = socket.descriptor
                case .connection(_, let socket): descriptor = socket.descriptor
                }
                entries.append(pollfd(fd: descriptor, events: events, revents: 0))
                switch subject {
                case .listener: names.append(.listener)
                case .handshake(let socket): names.append(.handshake(socket))
                case .connection(let key, _): names.append(.connection(key))
                }
            }
            let now = HostTime.monotonicClock
            var milliseconds: CInt = restsFromAccepting ? 100 : -1
            if let deadline {
                let left = deadline > now ? (deadline - now) / 1_000_000 + 1 : 0
                milliseconds = CInt(clamping: milliseconds < 0 ? left : min(left, UInt64(milliseconds)))
            }
            restsFromAccepting = false
            guard unsafe poll(&entries, nfds_t(entries.count), milliseconds) >= 0 || errno == EINTR else { return }
            for (entry, name) in zip(entries, names) where entry.revents != 0 {
                if case .listener = name {
                    restsFromAccepting = !acceptAll()
                } else {
                    react(name, entry.revents)
                }
            }
            let hasPackets = state.withLock { state in
                state.state.expire(now: HostTime.monotonicClock)
                return state.state.hasPackets
            }
            if hasPackets { ready() }
        }
    }

    private func react(_ subject: Subject, _ events: Int16) {
        switch subject {
        case .wake:
            var bytes = [UInt8](repeating: 0, count: 64)
            unsafe bytes.withUnsafeMutableBytes { bytes in
                while case .moved = unsafe wakeReader.read(into: bytes) {}
            }
        case .listener: break
        case .handshake(let socket):
            state.withLock { state in
                guard let index = state.state.handshakes.firstIndex(where: { $0.socket === socket }) else { return }
                if !state.state.shakeHands(socket, now: HostTime.monotonicClock) {
                    state.state.handshakes.remove(at: index)
                }
            }
        case .connection(let key):
            state.withLock { state in
                state.state.react(
                    key,
                    canRead: events & Int16(POLLIN) != 0,
                    canWrite: events & Int16(POLLOUT) != 0,
                    isGone: events & Int16(POLLHUP | POLLERR | POLLNVAL) != 0
                )
            }
        }
    }

    /// - Returns: False where the host lets no more in for now.
    private func acceptAll() -> Bool {
        while true {
            let client = accept(listener.descriptor, nil, nil)
            guard client >= 0 else { return [EAGAIN, EINTR, ECONNABORTED].contains(errno) }
            let socket = VsockSocket(owning: client)
            let isFull = state.withLock { state in
                let deadline = HostTime.monotonicClock &+ VsockState.patience
                state.state.handshakes.append((socket, deadline))
                return state.state.handshakes.count >= VsockState.handshakeLimit
            }
            if isFull { return true }
        }
    }
}

/// The device's state behind its lock, which the worker and the poller take in turns.
final class VsockDeviceState: Sendable {
    struct Guarded {
        var state: VsockState
    }
    /// What a poll watches, beside its own wake-up.
    enum Watched {
        case listener
        case handshake(VsockSocket)
        case connection(VsockConnection.Key, VsockSocket)
    }

    private let guarded: Mutex<Guarded>

    init(_ state: VsockState) { guarded = Mutex(Guarded(state: state)) }

    func withLock<Result, Failure: Error>(
        _ body: (inout Guarded) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try guarded.withLock { guarded throws(Failure) in try body(&guarded) }
    }
}

extension VsockDeviceState.Guarded {
    /// All sockets that something is awaited from, with the events.
    func subjects(accepts: Bool) -> [(VsockDeviceState.Watched, Int16)] {
        var result: [(VsockDeviceState.Watched, Int16)] = []
        if accepts, state.handshakes.count < VsockState.handshakeLimit,
            state.connections.count < VsockState.connectionLimit
        {
            result.append((.listener, Int16(POLLIN)))
        }
        for (socket, _) in state.handshakes { result.append((.handshake(socket), Int16(POLLIN))) }
        for (key, connection) in state.connections {
            let input = connection.wantsInput ? Int16(POLLIN) : 0
            let output = connection.waitingByteCount > 0 ? Int16(POLLOUT) : 0
            guard input | output != 0 || connection.wantsEnd else { continue }
            result.append((.connection(key, connection.socket), input | output))
        }
        return result
    }
}
