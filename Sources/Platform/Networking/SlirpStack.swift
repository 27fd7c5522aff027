internal import CSlirp
internal import Glibc
internal import NetworkFrames
internal import SystemCalls

/// One TCP/IP stack of libslirp's, with the callbacks that it wants.
///
/// For one thread at a time: ``UserNetwork`` calls with its lock held, and libslirp calls back within such calls only.
@safe
final class SlirpStack: @unchecked Sendable {
    // SAFETY: every use is under UserNetwork's lock; the pointers are made in init and freed in deinit.
    /// A deadline of libslirp's, which it knows by the address of the object.
    @safe
    private final class Timer {
        let id: SlirpTimerId
        let argument: UnsafeMutableRawPointer?
        /// Milliseconds of the monotonic clock.
        var deadline: Int64?

        init(_ id: SlirpTimerId, _ argument: UnsafeMutableRawPointer?) {
            self.id = id
            unsafe self.argument = unsafe argument
        }
    }

    private let callbacks: UnsafeMutablePointer<SlirpCb>
    private var slirp: OpaquePointer?
    private var timers: [Timer] = []
    /// What is to be sent to the guest.
    var output = SegmentCoalescer()
    /// What the thread waits for; the first is its own event.
    private(set) var polled: [pollfd] = []
    /// What it found.
    private var answers: [pollfd] = []
    /// The next thing that ``polled`` does not show should be looked at: called by libslirp on any of its calls.
    var wake: () -> Void = {}

    /// - Throws: ``NetworkError/host(option:cause:)`` where a port cannot be forwarded.
    init(_ configuration: UserNetworkConfiguration, mtu: UInt16?) throws(NetworkError) {
        unsafe callbacks = .allocate(capacity: 1)
        unsafe callbacks.initialize(to: Self.makeCallbacks())
        var config = unsafe SlirpConfig()
        unsafe config.version = 4
        unsafe config.restricted = configuration.isRestricted ? 1 : 0
        unsafe config.in_enabled = configuration.hasIPv4
        unsafe config.vnetwork = configuration.network.address.inNetworkOrder
        unsafe config.vnetmask = configuration.network.mask.inNetworkOrder
        unsafe config.vhost = configuration.gateway.inNetworkOrder
        unsafe config.in6_enabled = configuration.hasIPv6
        unsafe config.vprefix_addr6 = configuration.prefix6.inNetworkOrder
        unsafe config.vprefix_len = configuration.prefix6Length
        unsafe config.vhost6 = configuration.prefix6.host(2).inNetworkOrder
        unsafe config.vdhcp_start = configuration.firstLease.inNetworkOrder
        unsafe config.vnameserver = configuration.nameServer.inNetworkOrder
        unsafe config.vnameserver6 = configuration.prefix6.host(3).inNetworkOrder
        unsafe config.if_mtu = Int(mtu ?? 1500)
        unsafe config.if_mru = Int(mtu ?? 1500)
        // libslirp copies the strings.
        let name = unsafe strdup(configuration.hostName ?? "")
        let domain = unsafe configuration.domainName.flatMap { unsafe strdup($0) }
        var searched = unsafe configuration.searchDomains.map { unsafe UnsafePointer(strdup($0)) } + [nil]
        defer {
            unsafe free(name)
            unsafe free(domain)
            while let word = unsafe searched.popLast() { unsafe free(UnsafeMutableRawPointer(mutating: word)) }
        }
        if configuration.hostName != nil { unsafe config.vhostname = UnsafePointer(name) }
        unsafe config.vdomainname = UnsafePointer(domain)
        let hasSearch = !configuration.searchDomains.isEmpty
        let selfPointer = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe searched.withUnsafeMutableBufferPointer { words in
            if hasSearch { unsafe config.vdnssearch = words.baseAddress }
            unsafe slirp = slirp_new(&config, callbacks, selfPointer)
        }
        guard unsafe slirp != nil else {
            throw .host(option: "user", cause: SystemCallError("slirp_new", errno: EINVAL))
        }
        for forward in configuration.forwards {
            let result = unsafe slirp_add_hostfwd(
                slirp,
                forward.isUDP ? 1 : 0,
                forward.hostAddress.inNetworkOrder,
                CInt(forward.hostPort),
                forward.guestAddress.inNetworkOrder,
                CInt(forward.guestPort)
            )
            guard result == 0 else {
                let cause = errno
                throw .host(option: "user,hostfwd=\(forward.text)", cause: SystemCallError("bind", errno: cause))
            }
        }
        letClientsWait()
    }

    /// Lets more clients wait to be accepted than the one that libslirp allows: the host resets some of a larger crowd.
    private func letClientsWait() {
        _ = prepare(event: -1)
        for entry in polled {
            var listens: CInt = 0
            var size = socklen_t(MemoryLayout<CInt>.size)
            guard unsafe getsockopt(entry.fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0, listens != 0 else {
                continue
            }
            listen(entry.fd, SOMAXCONN)
        }
    }

    deinit {
        if let slirp = unsafe slirp { unsafe slirp_cleanup(slirp) }
        unsafe callbacks.deinitialize(count: 1)
        unsafe callbacks.deallocate()
    }

    /// Takes a finished frame of the guest's; libslirp copies it.
    func input(_ frame: [UInt8]) {
        unsafe frame.withUnsafeBufferPointer { unsafe slirp_input(slirp, $0.baseAddress, CInt($0.count)) }
    }

    // MARK: Waiting

    /// Fills ``polled`` with `event` and libslirp's sockets.
    ///
    /// - Returns: How long to wait, in milliseconds; -1 for as long as it takes.
    func prepare(event: CInt) -> CInt {
        polled.removeAll(keepingCapacity: true)
        polled.append(pollfd(fd: event, events: Int16(POLLIN), revents: 0))
        var timeout = UInt32.max
        unsafe slirp_pollfds_fill(
            slirp,
            &timeout,
            { descriptor, wanted, opaque in unsafe SlirpStack.of(opaque).watch(descriptor, wanted) },
            Unmanaged.passUnretained(self).toOpaque()
        )
        var wait = timeout > UInt32(Int32.max) ? -1 : CInt(timeout)
        let now = Self.milliseconds
        for case let deadline? in timers.map(\.deadline) {
            let left = CInt(clamping: max(0, deadline - now))
            wait = wait < 0 ? left : min(wait, left)
        }
        return wait
    }

    /// Works on what the wait found.
    func finish(_ found: [pollfd], failed: Bool) {
        answers = found
        let now = Self.milliseconds
        for timer in timers {
            guard let deadline = timer.deadline, deadline <= now else { continue }
            timer.deadline = nil
            unsafe slirp_handle_timer(slirp, timer.id, timer.argument)
        }
        unsafe slirp_pollfds_poll(
            slirp,
            failed ? 1 : 0,
            { index, opaque in unsafe SlirpStack.of(opaque).answer(Int(index)) },
            Unmanaged.passUnretained(self).toOpaque()
        )
    }

    /// libslirp's event bits beside poll(2)'s.
    private static let events: [(CInt, CInt)] = [
        (CInt(SLIRP_POLL_IN), POLLIN), (CInt(SLIRP_POLL_OUT), POLLOUT), (CInt(SLIRP_POLL_PRI), POLLPRI),
        (CInt(SLIRP_POLL_ERR), POLLERR), (CInt(SLIRP_POLL_HUP), POLLHUP),
    ]

    private func watch(_ descriptor: CInt, _ wanted: CInt) -> CInt {
        var bits: CInt = 0
        for (slirp, host) in Self.events where wanted & slirp != 0 { bits |= host }
        polled.append(pollfd(fd: descriptor, events: Int16(bits), revents: 0))
        return CInt(polled.count - 1)
    }

    private func answer(_ index: Int) -> CInt {
        guard answers.indices.contains(index) else { return 0 }
        var bits: CInt = 0
        for (slirp, host) in Self.events where CInt(answers[index].revents) & host != 0 { bits |= slirp }
        return bits
    }

    // MARK: Called by libslirp

    private static var milliseconds: Int64 { Int64(monotonicTime() / 1_000_000) }

    private static func of(_ opaque: UnsafeMutableRawPointer?) -> SlirpStack {
        guard let opaque = unsafe opaque else { preconditionFailure("libslirp lost its opaque pointer") }
        return unsafe Unmanaged<SlirpStack>.fromOpaque(opaque).takeUnretainedValue()
    }

    private func makeTimer(_ id: SlirpTimerId, _ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer {
        let timer = unsafe Timer(id, argument)
        timers.append(timer)
        return unsafe Unmanaged.passUnretained(timer).toOpaque()
    }

    private func timer(_ handle: UnsafeMutableRawPointer?) -> Int? {
        timers.firstIndex { unsafe Unmanaged.passUnretained($0).toOpaque() == handle }
    }

    private static func makeCallbacks() -> SlirpCb {
        var table = SlirpCb()
        unsafe table.send_packet = { bytes, count, opaque in
            let frame = unsafe Array(UnsafeRawBufferPointer(start: bytes, count: count))
            unsafe SlirpStack.of(opaque).output.add(frame)
            return count
        }
        unsafe table.guest_error = { _, _ in }
        unsafe table.clock_get_ns = { _ in Int64(monotonicTime()) }
        unsafe table.timer_new_opaque = { id, argument, opaque in unsafe SlirpStack.of(opaque).makeTimer(id, argument) }
        unsafe table.timer_free = { handle, opaque in
            let stack = unsafe SlirpStack.of(opaque)
            if let index = unsafe stack.timer(handle) { stack.timers.remove(at: index) }
        }
        unsafe table.timer_mod = { handle, deadline, opaque in
            let stack = unsafe SlirpStack.of(opaque)
            if let index = unsafe stack.timer(handle) { stack.timers[index].deadline = deadline }
            stack.wake()
        }
        unsafe table.register_poll_fd = { _, _ in }
        unsafe table.unregister_poll_fd = { _, _ in }
        unsafe table.notify = { opaque in unsafe SlirpStack.of(opaque).wake() }
        unsafe table.init_completed = { _, _ in }
        return table
    }
}
