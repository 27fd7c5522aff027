public import DiskImage
public import GuestMemory
internal import Synchronization
public import Virtio

/// The block device (Virtio 1.3 §5.2): one queue over a disk image.
public final class VirtioBlock: VirtioDevice {
    private enum Feature {
        static let segmentLimit = VirtioFeatures(bit: 2)
        static let readOnly = VirtioFeatures(bit: 5)
        static let blockSize = VirtioFeatures(bit: 6)
        static let flush = VirtioFeatures(bit: 9)
        static let discard = VirtioFeatures(bit: 13)
        static let writeZeroes = VirtioFeatures(bit: 14)
    }
    private static let queueSize: UInt16 = 256
    /// Sectors of one discard or write-zeroes range, and ranges of one request.
    static let rangeSectorLimit: UInt32 = 1 << 22
    static let rangeLimit: UInt32 = 16

    public let deviceID: UInt32 = 2
    public let queueSizes = [VirtioBlock.queueSize]
    public let offeredFeatures: VirtioFeatures
    let image: any DiskImage
    let identifier: [UInt8]
    private let config: DeviceConfigurationBytes
    private let activation = Mutex<Activation?>(nil)

    /// `identifier`: What GET_ID answers (a serial number), cut to 20 bytes.
    public init(_ image: any DiskImage, identifier: String = "") {
        self.image = image
        let bytes = identifier.utf8.prefix(20)
        self.identifier = [UInt8](bytes) + [UInt8](repeating: 0, count: 20 - bytes.count)
        var features: VirtioFeatures = [Feature.segmentLimit, Feature.blockSize, Feature.flush]
        if image.isReadOnly {
            features.insert(Feature.readOnly)
        } else {
            features.formUnion([Feature.discard, Feature.writeZeroes])
        }
        offeredFeatures = features
        config = Self.config(for: image)
    }

    /// The configuration structure (§5.2.4); what no offered feature stands for is 0.
    private static func config(for image: any DiskImage) -> DeviceConfigurationBytes {
        var config = DeviceConfigurationBytes()
        config.append(image.byteCount / BlockRequest.sectorByteCount)  // 00 capacity
        config.append(0 as UInt32)  // 08 size_max
        config.append(UInt32(queueSize) - 2)  // 0C seg_max: all but header and status
        config.append(0 as UInt32)  // 10 geometry
        config.append(UInt32(BlockRequest.sectorByteCount))  // 14 blk_size
        config.append(0 as UInt64)  // 18 topology
        config.append(0 as UInt16)  // 20 writeback, unused
        config.append(1 as UInt16)  // 22 num_queues
        let writable: UInt32 = image.isReadOnly ? 0 : 1
        config.append(rangeSectorLimit * writable)  // 24 max_discard_sectors
        config.append(rangeLimit * writable)  // 28 max_discard_seg
        config.append(writable)  // 2C discard_sector_alignment
        config.append(rangeSectorLimit * writable)  // 30 max_write_zeroes_sectors
        config.append(rangeLimit * writable)  // 34 max_write_zeroes_seg
        config.append(writable)  // 38 write_zeroes_may_unmap, unused
        return config
    }

    public func readConfig(at offset: UInt64, width: AccessWidth) -> UInt64 { config.read(at: offset, width: width) }
    /// No field is writable without VIRTIO_BLK_F_CONFIG_WCE, which is not offered.
    public func writeConfig(_ value: UInt64, at offset: UInt64, width: AccessWidth) {}

    public func activate(_ activation: consuming Activation) {
        let new = activation
        self.activation.withLock { $0 = new }
    }

    public func reset() { activation.withLock { $0 = nil } }

    public func process(queue: Int) throws(VirtioQueueError) {
        guard let active = activation.withLock({ $0 }), let target = active.queue(queue) else { return }
        try target.drain { chain throws(VirtioQueueError) in try serve(chain) }
    }

    /// - Returns: The bytes written to the chain: data and the status byte, which is the last writable one.
    private func serve(_ chain: DescriptorChain) throws(VirtioQueueError) -> Int {
        guard chain.readableByteCount >= BlockRequest.byteCount, chain.writableByteCount >= 1 else {
            throw .requestTooShort(byteCount: chain.readableByteCount)
        }
        let request = try BlockRequest(chain)
        var status = BlockRequest.Status.ok
        var written = 0
        switch request.kind {
        case .read:
            written = chain.writableByteCount - 1
            status = try read(request, written, chain)
        case .write: status = try write(request, chain)
        case .flush: status = outcome { () throws(DiskImageError) in try image.flush() }
        case .identify:
            written = min(identifier.count, chain.writableByteCount - 1)
            try chain.copyIn([UInt8](identifier[..<written]), at: 0)
        case .discard, .writeZeroes: status = try forEachRange(of: request, chain)
        case nil: status = .unsupported
        }
        try chain.copyIn([status.rawValue], at: chain.writableByteCount - 1)
        return written + 1
    }

    private func read(
        _ request: BlockRequest,
        _ count: Int,
        _ chain: DescriptorChain
    ) throws(VirtioQueueError)
        -> BlockRequest.Status
    {
        guard let offset = validOffset(of: request, byteCount: count) else { return .ioError }
        var status = BlockRequest.Status.ok
        unsafe try chain.forEachWritable(in: 0..<count) { part, position in
            status = outcome { () throws(DiskImageError) in
                unsafe try image.read(into: part, at: offset + UInt64(position))
            }
            return status == .ok
        }
        return status
    }

    private func write(
        _ request: BlockRequest,
        _ chain: DescriptorChain
    ) throws(VirtioQueueError)
        -> BlockRequest.Status
    {
        let count = chain.readableByteCount - BlockRequest.byteCount
        guard !image.isReadOnly, let offset = validOffset(of: request, byteCount: count) else { return .ioError }
        var status = BlockRequest.Status.ok
        unsafe try chain.forEachReadable(in: BlockRequest.byteCount..<chain.readableByteCount) { part, position in
            status = outcome { () throws(DiskImageError) in
                unsafe try image.write(part, at: offset + UInt64(position))
            }
            return status == .ok
        }
        return status
    }

    private func forEachRange(
        of request: BlockRequest,
        _ chain: DescriptorChain
    ) throws(VirtioQueueError)
        -> BlockRequest.Status
    {
        let count = chain.readableByteCount - BlockRequest.byteCount
        guard !image.isReadOnly else { return .ioError }
        guard count > 0, count % BlockRange.byteCount == 0, count / BlockRange.byteCount <= Int(Self.rangeLimit) else {
            return .ioError
        }
        for index in 0..<(count / BlockRange.byteCount) {
            let range = try BlockRange(chain, at: BlockRequest.byteCount + index * BlockRange.byteCount)
            // Unmap is for write-zeroes only, other bits for neither (§5.2.6.2).
            guard range.flags & ~(request.kind == .writeZeroes ? BlockRange.unmap : 0) == 0 else { return .unsupported }
            let capacity = image.byteCount / BlockRequest.sectorByteCount
            guard range.sectorCount <= Self.rangeSectorLimit, range.sector <= capacity,
                UInt64(range.sectorCount) <= capacity - range.sector
            else { return .ioError }
            let offset = range.sector * BlockRequest.sectorByteCount
            let byteCount = UInt64(range.sectorCount) * BlockRequest.sectorByteCount
            let status = outcome { () throws(DiskImageError) in
                if request.kind == .discard {
                    try image.discard(at: offset, byteCount: byteCount)
                } else {
                    let mayUnmap = range.flags & BlockRange.unmap != 0
                    try image.writeZeroes(at: offset, byteCount: byteCount, mayUnmap: mayUnmap)
                }
            }
            guard status == .ok else { return status }
        }
        return .ok
    }

    /// Where a transfer starts, or nil where it is no whole number of sectors inside the disk.
    private func validOffset(of request: BlockRequest, byteCount: Int) -> UInt64? {
        guard let offset = request.byteOffset, byteCount % Int(BlockRequest.sectorByteCount) == 0,
            offset <= image.byteCount, UInt64(byteCount) <= image.byteCount - offset
        else { return nil }
        return offset
    }

    private func outcome(_ body: () throws(DiskImageError) -> Void) -> BlockRequest.Status {
        do throws(DiskImageError) {
            try body()
            return .ok
        } catch {
            return .ioError
        }
    }
}
