internal import DiskImage
internal import Synchronization
internal import Virtio

/// Carries out requests on an image; from several threads at once.
///
/// Requests that are under way at the same time have no order (Virtio 1.3 §5.2.6):
/// a flush covers the writes that were given back before it was made, and these are in the image.
final class BlockExecutor: Sendable {
    /// Why a request was not carried out.
    private enum Fault: Error {
        case driver(VirtioQueueError)
        case host(DiskImageError, offset: UInt64, byteCount: UInt64)
    }
    enum Result {
        /// `written`: The bytes written to the chain, its status included.
        case done(written: Int)
        case held(DiskFailure)
    }
    /// How many failures of the host are told of.
    private static let reportLimit = 8

    let image: any DiskImage
    let identifier: [UInt8]
    /// Whether writes may be given back before they are on stable storage.
    let isWriteback = Atomic<Bool>(true)
    private let name: String
    private let policy: DiskFailurePolicy
    private let reported = Atomic<Int>(0)

    init(_ image: any DiskImage, _ configuration: VirtioBlockConfiguration) {
        self.image = image
        let bytes = configuration.identifier.utf8.prefix(20)
        identifier = [UInt8](bytes) + [UInt8](repeating: 0, count: 20 - bytes.count)
        name = configuration.name
        policy = configuration.failures
    }

    /// - Throws: What the driver did wrong.
    func serve(_ request: BlockRequest, _ scratch: ByteBuffer) throws(VirtioQueueError) -> Result {
        var status: BlockRequest.Status
        let chain = request.chain
        var written = request.kind == .read ? request.dataByteCount : 0
        do throws(Fault) {
            switch request.kind {
            case .read: status = try read(request, scratch)
            case .write: status = try write(request, scratch)
            case .flush:
                try host { () throws(DiskImageError) in try image.flush() }
                status = .ok
            case .identify:
                written = min(identifier.count, request.dataByteCount)
                try driver { () throws(VirtioQueueError) in
                    try chain.copyIn([UInt8](identifier[..<written]), at: 0)
                }
                status = .ok
            case .discard, .writeZeroes: status = try forEachRange(of: request)
            case nil: status = .unsupported
            }
            let changes = request.kind == .write || request.kind == .writeZeroes
            if status == .ok, changes, !isWriteback.load(ordering: .relaxed) {
                try host { () throws(DiskImageError) in try image.flush() }
            }
        } catch {
            switch error {
            case .driver(let error): throw error
            case .host(let cause, let offset, let byteCount):
                let failure = DiskFailure(
                    disk: name,
                    operation: request.kind?.verb ?? "",
                    offset: offset,
                    byteCount: byteCount,
                    cause: cause
                )
                if policy.holds(failure) { return .held(failure) }
                if reported.add(1, ordering: .relaxed).newValue <= Self.reportLimit { policy.tell(.reported(failure)) }
                status = .ioError
            }
        }
        try chain.copyIn([status.rawValue], at: chain.writableByteCount - 1)
        return .done(written: written + 1)
    }

    // MARK: Transfers

    private func read(_ request: BlockRequest, _ scratch: ByteBuffer) throws(Fault) -> BlockRequest.Status {
        let count = request.dataByteCount
        guard let start = validOffset(of: request) else { return .ioError }
        var done = 0
        while done < count {
            let window = done..<min(done + scratch.count, count)
            let offset = start + UInt64(done)
            var isWhole = false
            var failure: DiskImageError?
            // One buffer is filled in its place; several at once, by way of one of our own.
            try driver { () throws(VirtioQueueError) in
                unsafe try request.chain.forEachWritable(in: window) { part, _ in
                    isWhole = part.count == window.count
                    if isWhole {
                        do throws(DiskImageError) { unsafe try image.read(into: part, at: offset) } catch {
                            failure = error
                        }
                    }
                    return false
                }
            }
            if !isWhole {
                let bytes = unsafe scratch.bytes(0..<window.count)
                do throws(DiskImageError) { unsafe try image.read(into: bytes, at: offset) } catch { failure = error }
                if failure == nil {
                    try driver { () throws(VirtioQueueError) in
                        unsafe try request.chain.forEachWritable(in: window) { part, position in
                            unsafe part.copyMemory(
                                from: UnsafeRawBufferPointer(rebasing: bytes[position..<(position + part.count)])
                            )
                            return true
                        }
                    }
                }
            }
            if let failure { throw .host(failure, offset: offset, byteCount: UInt64(window.count)) }
            done = window.upperBound
        }
        return .ok
    }

    private func write(_ request: BlockRequest, _ scratch: ByteBuffer) throws(Fault) -> BlockRequest.Status {
        let count = request.dataByteCount
        guard !image.isReadOnly, let start = validOffset(of: request) else { return .ioError }
        var done = 0
        while done < count {
            let window = done..<min(done + scratch.count, count)
            let offset = start + UInt64(done)
            let places =
                (BlockRequest.headerByteCount + window.lowerBound)..<(BlockRequest.headerByteCount + window.upperBound)
            var isWhole = false
            var failure: DiskImageError?
            try driver { () throws(VirtioQueueError) in
                unsafe try request.chain.forEachReadable(in: places) { part, position in
                    if position == 0, part.count == window.count {
                        isWhole = true
                        do throws(DiskImageError) { unsafe try image.write(part, at: offset) } catch {
                            failure = error
                        }
                    } else {
                        unsafe scratch.bytes(position..<(position + part.count)).copyMemory(from: part)
                    }
                    return true
                }
            }
            if !isWhole {
                let bytes = unsafe UnsafeRawBufferPointer(scratch.bytes(0..<window.count))
                do throws(DiskImageError) { unsafe try image.write(bytes, at: offset) } catch { failure = error }
            }
            if let failure { throw .host(failure, offset: offset, byteCount: UInt64(window.count)) }
            done = window.upperBound
        }
        return .ok
    }

    private func forEachRange(of request: BlockRequest) throws(Fault) -> BlockRequest.Status {
        let count = request.dataByteCount
        let capacity = image.byteCount / BlockRequest.sectorByteCount
        guard !image.isReadOnly, count > 0, count % BlockRange.byteCount == 0,
            count / BlockRange.byteCount <= Int(BlockRange.countLimit)
        else { return .ioError }
        for index in 0..<(count / BlockRange.byteCount) {
            var read: BlockRange?
            try driver { () throws(VirtioQueueError) in
                read = try BlockRange(
                    request.chain,
                    at: BlockRequest.headerByteCount + index * BlockRange.byteCount
                )
            }
            guard let range = read else { return .ioError }
            // Unmap is for write-zeroes only, other bits for neither (§5.2.6.2).
            guard range.flags & ~(request.kind == .writeZeroes ? BlockRange.unmap : 0) == 0 else { return .unsupported }
            guard range.sectorCount <= BlockRange.sectorLimit, range.sector <= capacity,
                UInt64(range.sectorCount) <= capacity - range.sector
            else { return .ioError }
            let offset = range.sector * BlockRequest.sectorByteCount
            let byteCount = UInt64(range.sectorCount) * BlockRequest.sectorByteCount
            try host(offset, byteCount) { () throws(DiskImageError) in
                if request.kind == .discard {
                    try image.discard(at: offset, byteCount: byteCount)
                } else {
                    let mayUnmap = range.flags & BlockRange.unmap != 0
                    try image.writeZeroes(at: offset, byteCount: byteCount, mayUnmap: mayUnmap)
                }
            }
        }
        return .ok
    }

    /// Where a transfer starts, or nil where it is no whole number of sectors inside the disk.
    func validOffset(of request: BlockRequest) -> UInt64? {
        let count = UInt64(request.dataByteCount)
        guard let offset = request.byteOffset, count % BlockRequest.sectorByteCount == 0,
            offset <= image.byteCount, count <= image.byteCount - offset
        else { return nil }
        return offset
    }

    // MARK: Faults

    private func driver(_ body: () throws(VirtioQueueError) -> Void) throws(Fault) {
        do throws(VirtioQueueError) { try body() } catch { throw .driver(error) }
    }

    private func host(
        _ offset: UInt64 = 0,
        _ byteCount: UInt64 = 0,
        _ body: () throws(DiskImageError) -> Void
    ) throws(Fault) {
        do throws(DiskImageError) { try body() } catch { throw .host(error, offset: offset, byteCount: byteCount) }
    }
}

extension BlockRequest.Kind {
    fileprivate var verb: String {
        switch self {
        case .read: "read"
        case .write: "write"
        case .flush: "flush"
        case .identify: "identify"
        case .discard: "discard"
        case .writeZeroes: "zero"
        }
    }
}
