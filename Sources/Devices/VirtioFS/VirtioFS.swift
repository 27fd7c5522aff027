internal import Glibc
public import GuestMemory
public import SharedFolder
internal import Synchronization
public import Virtio

/// The file system device (Virtio 1.3 §5.11): carries FUSE requests to a folder of the host's, on the worker thread.
public final class VirtioFS: VirtioDevice {
    /// Bytes of a tag at most.
    public static let tagLimit = 36
    private static let queueCount = 2
    /// The smallest request: its header.
    private static let headerByteCount = 40
    private static let answerHeaderByteCount = 16

    public let deviceID: UInt32 = 26
    public let offeredFeatures: VirtioFeatures = []
    /// Urgent requests, and all others.
    public let queueSizes: [UInt16] = [128, 1024]
    let folder: SharedFolder
    let config: DeviceConfigurationBytes
    private let activation = Mutex<Activation?>(nil)

    /// `tag`: What the guest mounts it by, cut to ``tagLimit`` bytes.
    public init(_ folder: SharedFolder, tag: String) {
        self.folder = folder
        var config = DeviceConfigurationBytes()
        let name = Array(tag.utf8.prefix(Self.tagLimit))
        for byte in name + [UInt8](repeating: 0, count: Self.tagLimit - name.count) { config.append(byte) }  // 00 tag
        config.append(1 as UInt32)  // 24 num_request_queues
        self.config = config
    }

    public func readConfig(at offset: UInt64, width: AccessWidth) -> UInt64 { config.read(at: offset, width: width) }
    public func writeConfig(_ value: UInt64, at offset: UInt64, width: AccessWidth) {}

    public func activate(_ activation: consuming Activation) {
        let new = activation
        self.activation.withLock { $0 = new }
    }

    public func reset() {
        activation.withLock { $0 = nil }
        folder.reset()
    }

    public func process(queue: Int) throws(VirtioQueueError) {
        guard let active = activation.withLock({ $0 }), let target = active.queue(queue) else { return }
        try target.drain { chain throws(VirtioQueueError) in try serve(chain) }
    }

    /// - Returns: The bytes of the answer.
    private func serve(_ chain: DescriptorChain) throws(VirtioQueueError) -> Int {
        guard chain.readableByteCount >= Self.headerByteCount else {
            throw .requestTooShort(byteCount: chain.readableByteCount)
        }
        let opcode = try chain.load(UInt32.self, at: 4)
        let wanted = SharedFolder.wantedByteCount(opcode: opcode, byteCount: chain.readableByteCount)
        let request = try chain.copyOut(at: 0, byteCount: wanted)
        let transfer = ChainTransfer(chain: chain, answerOffset: Self.answerHeaderByteCount)
        switch folder.answer(request, replyByteLimit: chain.writableByteCount, transfer) {
        case .none: return 0
        case .bytes(let bytes): return try chain.copyIn(bytes, at: 0)
        case .data(let header, let byteCount): return try chain.copyIn(header, at: 0) + byteCount
        }
    }
}

/// Moves data between files and the buffers of a request.
struct ChainTransfer: FUSETransfer {
    let chain: DescriptorChain
    let answerOffset: Int

    func fill(byteCount: Int, _ body: (UnsafeMutableRawBufferPointer, Int) -> Int) -> Int {
        guard byteCount <= chain.writableByteCount - answerOffset else { return -Int(EINVAL) }
        return Self.sum { step throws(VirtioQueueError) in
            unsafe try chain.forEachWritable(in: answerOffset..<(answerOffset + byteCount)) { part, position in
                step(unsafe body(part, position), part.count)
            }
        }
    }

    func drain(offset: Int, byteCount: Int, _ body: (UnsafeRawBufferPointer, Int) -> Int) -> Int {
        guard offset <= chain.readableByteCount, byteCount <= chain.readableByteCount - offset else {
            return -Int(EINVAL)
        }
        return Self.sum { step throws(VirtioQueueError) in
            unsafe try chain.forEachReadable(in: offset..<(offset + byteCount)) { part, position in
                step(unsafe body(part, position), part.count)
            }
        }
    }

    /// Adds up what the parts moved; an error counts where nothing was.
    private static func sum(
        _ run: ((_ moved: Int, _ partByteCount: Int) -> Bool) throws(VirtioQueueError) -> Void
    ) -> Int {
        var total = 0
        func step(_ moved: Int, _ partByteCount: Int) -> Bool {
            if moved < 0 {
                if total == 0 { total = moved }
                return false
            }
            total += moved
            return moved == partByteCount
        }
        do throws(VirtioQueueError) { try run(step) } catch { return -Int(EFAULT) }
        return total
    }
}
