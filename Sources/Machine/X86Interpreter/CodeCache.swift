import GuestMemory
import SystemCalls
import X86
import X86Decoder

/// A run of decoded instructions that lie one after another in one page of guest memory.
///
/// In memory: a header of 32 bytes, then the instructions, 32 bytes each.
///
/// ```
///  0  key                       8  next block of the same page
/// 16  instruction count        20  bytes of guest code       24  the second page's key, of a straddling instruction
/// ```
struct Block {
    let raw: UnsafeMutableRawPointer

    static let headerByteCount = 32
    static let instructionByteCount = 32

    @inline(__always) var key: UInt64 {
        get { raw.load(as: UInt64.self) }
        nonmutating set { raw.storeBytes(of: newValue, as: UInt64.self) }
    }
    var next: UInt64 {
        get { raw.load(fromByteOffset: 8, as: UInt64.self) }
        nonmutating set { raw.storeBytes(of: newValue, toByteOffset: 8, as: UInt64.self) }
    }
    @inline(__always) var count: Int {
        get { Int(raw.load(fromByteOffset: 16, as: UInt32.self)) }
        nonmutating set { raw.storeBytes(of: UInt32(truncatingIfNeeded: newValue), toByteOffset: 16, as: UInt32.self) }
    }
    @inline(__always) var codeByteCount: Int {
        get { Int(raw.load(fromByteOffset: 20, as: UInt32.self)) }
        nonmutating set { raw.storeBytes(of: UInt32(truncatingIfNeeded: newValue), toByteOffset: 20, as: UInt32.self) }
    }
    @inline(__always) var first: Instruction {
        // SAFETY: the bytes after the header are only ever instructions.
        (raw + Block.headerByteCount).assumingMemoryBound(to: DecodedInstruction.self)
    }
}

/// Decoded code, found by its place in the guest's memory file and the mode it was decoded for; shared by the vCPUs of a
/// machine, which take turns on one thread.
///
/// A page that code was decoded from is marked (``GuestMemory/pageMarks``) and has a bit for each 64 bytes (grain) that hold
/// code: a write to a marked page comes here, and throws the page's blocks away if it touches such a grain.
final class CodeCache {
    private let memory: GuestMemory
    private let hostBase: UInt
    /// Direct-mapped: the block for a key, or 0.
    private let slots: HostMapping
    private static let slotCount = 1 << 16
    /// 64 bits a page: which grains hold code.
    private let grains: HostMapping
    /// The address of a page's first block, 8 bytes a page.
    private let pageBlocks: HostMapping
    private let arena: HostMapping
    private var used = 0
    private static let arenaByteCount = 192 << 20
    static let longestBlock = 48
    private static let largestBlock = Block.headerByteCount + longestBlock * Block.instructionByteCount

    /// Every vCPU that shares the cache: a page that becomes code loses its write rights in all their TLBs.
    var cores: [Core] = []

    /// Called with the host address of a page after all code of it was thrown away.
    var onInvalidation: ((UnsafeRawPointer) -> Void)?

    /// The quick handler chosen for each row and operand form, see `Core.setQuickHandler`.
    var chosenHandlers = [UInt8](repeating: noHandler, count: OpcodeTable.rowCount * Core.formCount)
    static let noHandler: UInt8 = 0xFF

    /// Whether instructions decoded from now on go through the complete functions alone.
    var avoidsQuickHandlers = false

    private(set) var invalidations: UInt64 = 0
    private(set) var resets: UInt64 = 0

    init(memory: GuestMemory) throws(SystemCallError) {
        self.memory = memory
        hostBase = UInt(bitPattern: memory.hostBase)
        slots = try HostMapping(anonymous: Self.slotCount * 8)
        let pages = memory.byteCount / GuestMemory.pageByteCount
        let rounded = (pages * 8 + 4095) & ~4095
        grains = try HostMapping(anonymous: rounded)
        pageBlocks = try HostMapping(anonymous: rounded)
        arena = try HostMapping(anonymous: Self.arenaByteCount)
    }

    @inline(__always)
    private func slot(_ key: UInt64) -> UnsafeMutableRawPointer {
        let hash = Int(truncatingIfNeeded: (key ^ key >> 17) & UInt64(Self.slotCount - 1))
        return slots.base + hash &* 8
    }

    /// The key of code at `host`, which lies in guest memory, decoded for `mode`.
    @inline(__always)
    func key(_ host: UInt, _ mode: ExecutionMode) -> UInt64 {
        UInt64(host &- hostBase) | UInt64(mode.codeByteCount) << 56
    }

    @inline(__always)
    func block(_ key: UInt64) -> Block? {
        let address = slot(key).load(as: UInt.self)
        guard let raw = UnsafeMutableRawPointer(bitPattern: address) else { return nil }
        let block = Block(raw: raw)
        return block.key == key ? block : nil
    }

    private func pageIndex(_ host: UnsafeRawPointer) -> Int { Int(UInt(bitPattern: host) &- hostBase) >> 12 }

    /// Non-zero where code was decoded from the page that holds `host`.
    @inline(__always)
    func mark(of host: UnsafeRawPointer) -> UInt8 {
        memory.pageMarks.load(fromByteOffset: Int(UInt(bitPattern: host) &- hostBase) >> 12, as: UInt8.self)
    }

    /// Space for a new block; everything decoded is thrown away first where there is none left.
    func makeBlock() -> Block {
        if used + Self.largestBlock > Self.arenaByteCount { reset() }
        return Block(raw: arena.base + used)
    }

    /// Enters a block made by ``makeBlock()`` whose code starts at `host`.
    func enter(_ block: Block, key: UInt64, host: UnsafeRawPointer) {
        used += Block.headerByteCount + block.count * Block.instructionByteCount
        block.key = key
        let page = pageIndex(host)
        let head = pageBlocks.base + page * 8
        block.next = head.load(as: UInt64.self)
        head.storeBytes(of: UInt64(UInt(bitPattern: block.raw)), as: UInt64.self)
        slot(key).storeBytes(of: UInt(bitPattern: block.raw), as: UInt.self)
        let offset = Int(UInt(bitPattern: host) & 0xFFF)
        markCode(host - offset, offset: offset, byteCount: block.codeByteCount)
    }

    /// Notes that `byteCount` bytes at `offset` of the page at `hostPage` are code; a page that had none loses its write rights.
    func markCode(_ hostPage: UnsafeRawPointer, offset: Int, byteCount: Int) {
        let page = pageIndex(hostPage)
        let mask = grainMask(offset, byteCount)
        grains.base.storeBytes(
            of: grains.base.load(fromByteOffset: page * 8, as: UInt64.self) | mask,
            toByteOffset: page * 8,
            as: UInt64.self
        )
        guard memory.pageMarks.load(fromByteOffset: page, as: UInt8.self) == 0 else { return }
        memory.pageMarks.storeBytes(of: 1, toByteOffset: page, as: UInt8.self)
        for core in cores { core.revokeWrites(hostPage: UInt(bitPattern: hostPage)) }
    }

    private func grainMask(_ offset: Int, _ byteCount: Int) -> UInt64 {
        let first = UInt64(offset >> 6)
        let last = UInt64(min(offset &+ max(byteCount, 1) &- 1, 4095) >> 6)
        return (UInt64.max >> (63 &- last)) & (UInt64.max << first)
    }

    /// Whether any of the `byteCount` bytes at `offset` of the page at `host` lies in a grain that holds code.
    func holdsCode(_ host: UnsafeRawPointer, offset: Int, byteCount: Int) -> Bool {
        grains.base.load(fromByteOffset: pageIndex(host) * 8, as: UInt64.self) & grainMask(offset, byteCount) != 0
    }

    /// Throws away the blocks of the page at `host` if `byteCount` bytes at `offset` touch code.
    ///
    /// - Returns: Whether anything was thrown away; a running block may be among it.
    func invalidate(_ host: UnsafeRawPointer, offset: Int, byteCount: Int) -> Bool {
        let page = pageIndex(host)
        guard holdsCode(host, offset: offset, byteCount: byteCount) else { return false }
        var address = pageBlocks.base.load(fromByteOffset: page * 8, as: UInt.self)
        while let raw = UnsafeMutableRawPointer(bitPattern: address) {
            let block = Block(raw: raw)
            let entry = slot(block.key)
            if entry.load(as: UInt.self) == address { entry.storeBytes(of: 0, as: UInt.self) }
            block.key = .max
            address = UInt(block.next)
        }
        pageBlocks.base.storeBytes(of: 0, toByteOffset: page * 8, as: UInt.self)
        grains.base.storeBytes(of: 0, toByteOffset: page * 8, as: UInt64.self)
        memory.pageMarks.storeBytes(of: 0, toByteOffset: page, as: UInt8.self)
        invalidations &+= 1
        for core in cores { core.advanceTranslationEpoch() }
        onInvalidation?(memory.hostBase + page * GuestMemory.pageByteCount)
        return true
    }

    /// Where the code of `block` lies, or all ones where it straddles pages.
    func physicalAddress(of block: Block) -> UInt64 {
        let offset = Int(truncatingIfNeeded: block.key & (1 << 56 &- 1))
        let region = memory.regions.first { offset >= $0.fileOffset && offset < $0.fileOffset + $0.byteCount }
        guard block.key != .max, let region else { return .max }
        return region.base.rawValue &+ UInt64(offset &- region.fileOffset)
    }

    /// Throws away every block.
    ///
    /// Pages and grains stay marked: the translator may have code of them, and for the rest a write then throws away nothing.
    func reset() {
        used = 0
        resets &+= 1
        slots.base.initializeMemory(as: UInt8.self, repeating: 0, count: slots.byteCount)
        pageBlocks.base.initializeMemory(as: UInt8.self, repeating: 0, count: pageBlocks.byteCount)
    }
}
