internal import Synchronization
public import SystemCalls

/// The RAM and ROM of a guest: regions of its physical address space backed by one memory file.
///
/// Shared by every vCPU and device thread. The guest may write any byte at any time, so a value read here is
/// input: read it once, check it, use the checked copy. The layout never changes after `init`.
///
/// Writes by devices (``store(_:at:)``, ``copyIn(_:at:)``, ``withBytes(at:byteCount:_:)``) to pages that an engine
/// has decoded code from are told to that engine through ``codeObserver``.
@safe
public final class GuestMemory: @unchecked Sendable {
    // SAFETY: `mapping`, `regions` and `pageMarks` are immutable after init; the bytes behind them are reached
    // only through accessors that check bounds. Racing accesses are the guest's business, as on real hardware.
    /// Where one contiguous block of guest memory lies.
    public struct Region: Hashable, Sendable {
        public let base: GuestAddress
        public let byteCount: Int
        /// Guest writes are ignored.
        public let isReadOnly: Bool
        /// The region's place in the memory file, in bytes.
        public let fileOffset: Int

        public var end: UInt64 { base.rawValue + UInt64(byteCount) }
    }

    public static let pageByteCount = 4096

    public let regions: [Region]
    @usableFromInline let mapping: HostMapping
    private let file: FileDescriptor
    /// One byte for each page of the memory file, see ``pageMarks``.
    private let marks: HostMapping
    private let observer = Mutex<(any CodeObserver)?>(nil)

    /// Makes memory with the given regions, each a whole number of 4 KiB pages; none may overlap.
    public init(layout: [(base: GuestAddress, byteCount: Int, isReadOnly: Bool)]) throws(GuestMemoryError) {
        var regions: [Region] = []
        var total = 0
        for part in layout.sorted(by: { $0.base < $1.base }) {
            let page = Self.pageByteCount
            guard part.byteCount > 0, part.byteCount.isMultiple(of: page), part.base.rawValue % UInt64(page) == 0,
                part.base.advanced(by: UInt64(part.byteCount)) != nil, part.byteCount < 1 << 46,
                regions.last.map({ $0.end <= part.base.rawValue }) ?? true
            else { throw .badLayout(address: part.base, byteCount: part.byteCount) }
            regions.append(
                Region(base: part.base, byteCount: part.byteCount, isReadOnly: part.isReadOnly, fileOffset: total)
            )
            total += part.byteCount
        }
        guard total > 0 else { throw .badLayout(address: GuestAddress(0), byteCount: 0) }
        self.regions = regions
        do throws(SystemCallError) {
            file = try FileDescriptor(memory: "guest-ram", byteCount: total)
            mapping = try HostMapping(sharing: file, byteCount: total, access: .readWrite)
            marks = try HostMapping(anonymous: (total / Self.pageByteCount + 4095) & ~4095)
        } catch {
            throw .mappingFailed(byteCount: total, cause: error)
        }
    }

    /// RAM of `byteCount` bytes at guest address 0.
    public convenience init(byteCount: Int) throws(GuestMemoryError) {
        try self.init(layout: [(GuestAddress(0), byteCount, false)])
    }

    /// The bytes of all regions together.
    public var byteCount: Int { mapping.byteCount }

    /// The memory file's descriptor, for engines and other processes that map it themselves; not to be closed.
    public var fileDescriptor: CInt { file.rawValue }

    /// The host address of the memory file's first byte.
    ///
    /// Region offsets (``Region/fileOffset``) count from here.
    public var hostBase: UnsafeMutableRawPointer { unsafe mapping.base }

    /// One byte a page of the memory file, owned by the software engines: non-zero where code was decoded from it.
    public var pageMarks: UnsafeMutableRawPointer { unsafe marks.base }

    /// The region that holds `address`, or nil where nothing but devices can answer.
    public func region(holding address: GuestAddress) -> Region? {
        for region in regions where address >= region.base && address.rawValue < region.end { return region }
        return nil
    }

    /// The host address of `byteCount` bytes that lie within one region, or nil.
    public func hostPointer(at address: GuestAddress, byteCount: Int) -> UnsafeMutableRawPointer? {
        guard byteCount >= 0, let region = region(holding: address),
            region.end - address.rawValue >= UInt64(byteCount)
        else { return nil }
        return unsafe mapping.base + region.fileOffset + Int(address.rawValue - region.base.rawValue)
    }

    /// Sets who is told of device writes to pages with code.
    public func observeCode(_ newObserver: (any CodeObserver)?) { observer.withLock { $0 = newObserver } }

    func punchHole(at offset: UInt64, byteCount: UInt64) throws(SystemCallError) {
        try file.punchHole(at: offset, byteCount: byteCount)
    }

    /// Tells the observer that `byteCount` bytes at `address` changed, if code was decoded from any page of them.
    func noteWrite(at address: GuestAddress, byteCount: Int) {
        guard byteCount > 0, let region = region(holding: address) else { return }
        let offset = region.fileOffset + Int(address.rawValue - region.base.rawValue)
        for page in (offset / Self.pageByteCount)...((offset + byteCount - 1) / Self.pageByteCount)
        where unsafe marks.base.load(fromByteOffset: page, as: UInt8.self) != 0 {
            observer.withLock { $0 }?.memoryChanged(at: address, byteCount: byteCount)
            return
        }
    }
}

/// An engine that keeps decoded or translated code.
public protocol CodeObserver: AnyObject, Sendable {
    /// Bytes of a page with code were changed by a device. Called on the device's thread.
    func memoryChanged(at address: GuestAddress, byteCount: Int)
}
