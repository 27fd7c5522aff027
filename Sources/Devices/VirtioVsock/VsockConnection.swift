/// One stream between a port of the guest's and one of the host's.
struct VsockConnection: Sendable {
    struct Key: Hashable, Sendable {
        let guestPort: UInt32
        let hostPort: UInt32
    }
    enum Phase: Hashable, Sendable {
        /// The host's client waits for the guest's answer.
        case requested
        case established
    }

    /// Room for data from the guest, in bytes: what it may send before it is told that some was passed on.
    static let allocation: UInt32 = 256 << 10

    let key: Key
    let socket: VsockSocket
    var phase: Phase

    // From the guest to the host.
    /// What the host's client has not taken yet; at most ``allocation`` bytes.
    var outgoing: [UInt8] = []
    var outgoingStart = 0
    /// Bytes that came from the guest, and those of them that were passed on, modulo 2^32; and what the guest knows of that.
    var received: UInt32 = 0
    var forwarded: UInt32 = 0
    var toldForwarded: UInt32 = 0
    var guestSendsNoMore = false

    // From the host to the guest.
    var peerAllocated: UInt32 = 0
    var peerForwarded: UInt32 = 0
    /// Bytes that were sent to the guest, modulo 2^32.
    var sent: UInt32 = 0
    var guestReceivesNoMore = false
    /// The client's end of data was seen and told to the guest; so was that it takes no more either.
    var hostSendsNoMore = false
    var hostIsGone = false
    /// The socket has something to read that the guest has not got; it is not polled for more.
    var isReadable = false
    /// The connection is in the list of those to deliver from.
    var isListed = false
    /// The guest was asked for credit, and has not answered; an update of its credit waits to be sent.
    var awaitsCredit = false
    var updateWaits = false
    /// When a client that waits for the guest's answer is given up, on the host's monotonic clock.
    var deadline: UInt64 = .max

    init(key: Key, socket: VsockSocket, phase: Phase) {
        self.key = key
        self.socket = socket
        self.phase = phase
    }

    var waitingByteCount: Int { outgoing.count - outgoingStart }

    /// How many bytes the guest has room for.
    var credit: Int {
        let used = sent &- peerForwarded
        return used >= peerAllocated ? 0 : Int(peerAllocated - used)
    }

    /// Whether data of so many bytes keeps within what the guest was told.
    func hasRoom(for byteCount: UInt32) -> Bool {
        let used = received &- toldForwarded
        return used <= Self.allocation && byteCount <= Self.allocation - used
    }

    /// Whether the guest should be told what was passed on, for else it might stop for want of credit.
    var owesCreditUpdate: Bool { forwarded &- toldForwarded >= Self.allocation / 4 }

    /// Whether the socket is to be polled for input.
    var wantsInput: Bool {
        phase == .established && !isReadable && !hostSendsNoMore && !guestReceivesNoMore
    }
    /// Whether the socket is to be polled for the client's end alone.
    var wantsEnd: Bool { phase == .requested || hostSendsNoMore && !hostIsGone }
    /// Whether data, or its end, can be moved to the guest.
    var canDeliver: Bool {
        phase == .established && isReadable && !hostSendsNoMore && !guestReceivesNoMore && credit > 0
    }
    /// Whether both sides have said that they send no more, and all is passed on.
    var isFinished: Bool { guestSendsNoMore && guestReceivesNoMore && waitingByteCount == 0 }

    mutating func append(_ bytes: [UInt8]) {
        if outgoingStart > 1 << 16 {
            outgoing.removeFirst(outgoingStart)
            outgoingStart = 0
        }
        outgoing.append(contentsOf: bytes)
        received &+= UInt32(truncatingIfNeeded: bytes.count)
    }

    /// Passes on to the socket what it takes.
    ///
    /// - Returns: False where the client is gone.
    mutating func flush() -> Bool {
        while waitingByteCount > 0 {
            let start = outgoingStart
            let result = unsafe outgoing.withUnsafeBytes { bytes in
                unsafe socket.write(UnsafeRawBufferPointer(rebasing: bytes[start...]))
            }
            switch result {
            case .moved(let count):
                outgoingStart += count
                forwarded &+= UInt32(truncatingIfNeeded: count)
            case .wouldBlock: return true
            case .ended, .failed: return false
            }
        }
        outgoing.removeAll(keepingCapacity: outgoing.capacity <= 1 << 16)
        outgoingStart = 0
        if guestSendsNoMore { socket.stopSending() }
        return true
    }
}
