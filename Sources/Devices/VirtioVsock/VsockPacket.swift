internal import Virtio

/// The header of a packet between guest and host (Virtio 1.3 §5.10.6).
///
///     00 src_cid · 08 dst_cid · 10 src_port · 14 dst_port · 18 len · 1C type · 1E op · 20 flags · 24 buf_alloc · 28 fwd_cnt
struct VsockPacket: Hashable, Sendable {
    enum Operation: UInt16 {
        case request = 1
        case response = 2
        case reset = 3
        case shutdown = 4
        case data = 5
        case creditUpdate = 6
        case creditRequest = 7
    }
    static let byteCount = 44
    static let stream: UInt16 = 1
    /// The host's address.
    static let hostCID: UInt64 = 2
    /// Flags of a shutdown: no more is received, no more is sent (§5.10.6.5).
    static let endsReceiving: UInt32 = 1
    static let endsSending: UInt32 = 2

    var sourceCID: UInt64
    var destinationCID: UInt64
    var sourcePort: UInt32
    var destinationPort: UInt32
    var dataByteCount: UInt32 = 0
    var type: UInt16 = stream
    /// Nil for one that no specification has.
    var operation: Operation?
    var flags: UInt32 = 0
    /// The sender's room for data, and how much of what it ever got it has passed on, modulo 2^32 (§5.10.6.3).
    var allocated: UInt32 = 0
    var forwarded: UInt32 = 0
}

extension VsockPacket {
    init(_ chain: DescriptorChain) throws(VirtioQueueError) {
        sourceCID = try chain.load(UInt64.self, at: 0)
        destinationCID = try chain.load(UInt64.self, at: 8)
        sourcePort = try chain.load(UInt32.self, at: 16)
        destinationPort = try chain.load(UInt32.self, at: 20)
        dataByteCount = try chain.load(UInt32.self, at: 24)
        type = try chain.load(UInt16.self, at: 28)
        operation = Operation(rawValue: try chain.load(UInt16.self, at: 30))
        flags = try chain.load(UInt32.self, at: 32)
        allocated = try chain.load(UInt32.self, at: 36)
        forwarded = try chain.load(UInt32.self, at: 40)
    }

    var bytes: [UInt8] {
        var fields = DeviceConfigurationBytes()
        fields.append(sourceCID)
        fields.append(destinationCID)
        fields.append(sourcePort)
        fields.append(destinationPort)
        fields.append(dataByteCount)
        fields.append(type)
        fields.append(operation?.rawValue ?? 0)
        fields.append(flags)
        fields.append(allocated)
        fields.append(forwarded)
        return fields.bytes
    }

    /// The refusal of this packet (§5.10.6.6), or nil where it is one itself.
    var refusal: VsockPacket? {
        guard operation != .reset else { return nil }
        return VsockPacket(
            sourceCID: destinationCID,
            destinationCID: sourceCID,
            sourcePort: destinationPort,
            destinationPort: sourcePort,
            type: type,
            operation: .reset
        )
    }
}
