import HostCode
import SystemCalls

/// One page of guest code as seen at one linear address with one TLB table; or, position-independent, at any.
struct CodeView {
    /// Of a position-independent page, what its code takes for its address: that of its first place, cut to 30 bits.
    var linearPage: UInt64
    var hostPage: UnsafeMutableRawPointer
    var table: Int
    var isRelative = false
    var blocks: [UInt32] = []
}

/// Everything that was translated: the code, what it came from, and the links between blocks.
///
/// Only the vCPU thread touches it.
final class TranslationStore {
    let code: CodeBuffer
    /// The next free byte of the code buffer; the stubs lie before ``firstOffset``.
    var used = 0
    var firstOffset = 0
    /// Where code leaves whose jump is not linked.
    var linkStub = 0
    /// How often everything was thrown away: numbers of views and blocks hold for one generation.
    private(set) var generation: UInt64 = 1
    /// The registers that the code depends on.
    var signature = CodeSignature()
    /// Pages whose translated code was changed, and the blocks that were thrown away for it.
    var invalidations: UInt64 = 0
    var invalidatedBlocks: UInt64 = 0
    var sites: RecordArray<Site>
    /// The first site of each 128 bytes of code, 4 bytes each; 0 for none.
    private let firstSites: HostMapping
    private static let bucketShift: UInt32 = 7
    var links: RecordArray<Link>
    var blocks: RecordArray<BlockRecord>
    /// In the order of the code; only where somebody wants them.
    var instructionStarts: [InstructionStart] = []
    /// Number 0 is none.
    private(set) var views: [CodeView] = []
    private var viewNumbers: [ViewKey: UInt32] = [:]
    /// The position-independent views of user pages, by host page.
    private var relativeViews: [UnsafeMutableRawPointer: UInt32] = [:]
    private var thunks: [Thunk: UInt32] = [:]
    private var pageViews: [UnsafeMutableRawPointer: [UInt32]] = [:]
    /// By view number and offset in the page.
    private var blockNumbers: [UInt64: UInt32] = [:]
    /// 512 bytes a view: where blocks start, or started.
    private let startBits: HostMapping
    private static let mostViews = 1 << 16

    private struct ViewKey: Hashable {
        var linearPage: UInt64
        var hostPage: UnsafeMutableRawPointer
        var table: Int
    }

    private struct Thunk: Hashable {
        var block: UInt32
        var displacement: Displacement
    }

    /// What makes the displacement of a position-independent block that of the guest, in code that leads to it.
    enum Displacement: Hashable {
        /// Code that stays at its address.
        case constant(UInt64)
        /// Position-independent code, by what the displacements of the two differ wherever they are.
        case sum(UInt64)
    }

    /// Room that one block may need at most.
    static let largestBlock = 64 << 10
    static let largestSiteCount = 2048

    init(byteCount: Int, isAnonymous: Bool = false) throws(HostCodeError) {
        code = try CodeBuffer(byteCount: byteCount, isAnonymous: isAnonymous)
        do throws(SystemCallError) {
            sites = try RecordArray(capacity: byteCount / 16)
            firstSites = try HostMapping(anonymous: (byteCount >> Int(Self.bucketShift)) * 4 + 4096)
            startBits = try HostMapping(anonymous: Self.mostViews << 9)
            links = try RecordArray(capacity: byteCount / 16)
            blocks = try RecordArray(capacity: byteCount / 64)
        } catch {
            throw .mapping(byteCount: byteCount, cause: error)
        }
        removeViews()
    }

    private func removeViews() {
        startBits.base.initializeMemory(as: UInt8.self, repeating: 0, count: min(views.count, Self.mostViews) << 9)
        views = [CodeView(linearPage: 0, hostPage: code.writableBase, table: 0)]
        viewNumbers.removeAll(keepingCapacity: true)
        relativeViews.removeAll(keepingCapacity: true)
        thunks.removeAll(keepingCapacity: true)
        pageViews.removeAll(keepingCapacity: true)
        blockNumbers.removeAll(keepingCapacity: true)
    }

    /// No room for another block.
    var isFull: Bool {
        used + Self.largestBlock > code.byteCount || sites.count + Self.largestSiteCount > sites.capacity
            || links.count + Self.largestSiteCount > links.capacity
            || blocks.count >= blocks.capacity || views.count + 4 > Self.mostViews
    }

    /// Throws everything away but the stubs.
    func removeAll() {
        firstSites.base.initializeMemory(as: UInt8.self, repeating: 0, count: (used >> Int(Self.bucketShift)) * 4 + 4)
        used = firstOffset
        generation &+= 1
        sites.removeAll()
        links.removeAll()
        blocks.removeAll()
        instructionStarts.removeAll(keepingCapacity: true)
        removeViews()
    }

    /// The number of the view of the page at `hostPage` seen at `linearPage`.
    ///
    /// A user's page that shows up at a second address gets a view that serves there and everywhere else, so that
    /// processes share the code of their libraries.
    func view(_ linearPage: UInt64, _ hostPage: UnsafeMutableRawPointer, _ table: Int) -> UInt32 {
        let key = ViewKey(linearPage: linearPage, hostPage: hostPage, table: table)
        if let number = viewNumbers[key] { return number }
        if table == 0 {
            if let number = relativeViews[hostPage] { return number }
            if pageViews[hostPage, default: []].contains(where: { views[Int($0)].table == 0 }) {
                let number = append(
                    CodeView(linearPage: linearPage & 0x3FFF_F000, hostPage: hostPage, table: 0, isRelative: true)
                )
                relativeViews[hostPage] = number
                return number
            }
        }
        let number = append(CodeView(linearPage: linearPage, hostPage: hostPage, table: table))
        viewNumbers[key] = number
        return number
    }

    private func append(_ view: CodeView) -> UInt32 {
        let number = UInt32(views.count)
        views.append(view)
        pageViews[view.hostPage, default: []].append(number)
        return number
    }

    /// Where code for `block` starts that first sets the displacement; nil where there is no room left.
    func entry(_ block: UInt32, displacement: Displacement) -> UInt32? {
        let key = Thunk(block: block, displacement: displacement)
        if let known = thunks[key] { return known }
        guard used + 256 < code.byteCount, sites.count < sites.capacity, links.count < links.capacity else {
            return nil
        }
        var e = Emitter(base: code.writableBase, offset: used)
        let start = UInt32(used)
        switch displacement {
        case .constant(let value): e.move(HostRegisters.scratch, constant: value)
        case .sum(let change):
            e.loadState(HostRegisters.scratch, TranslatorLayout.displacement)
            e.move(HostRegisters.address, constant: change)
            e.lea(HostRegisters.scratch, base: HostRegisters.scratch, index: HostRegisters.address, 0)
        }
        e.storeState(TranslatorLayout.displacement, HostRegisters.scratch)
        let number = links.append(Link(target: 0))
        let field = e.jump(e.offset + 5)
        e.call(linkStub)
        links[number].field = UInt32(field)
        links[number].site = append(
            Site(
                offset: UInt32(e.offset),
                resume: number,
                block: block,
                guestOffset: 0,
                operation: 0,
                amount: 0,
                kind: .link
            )
        )
        used = (e.offset + 15) & ~15
        link(number, to: block)
        thunks[key] = start
        return start
    }

    /// Lets go of what each block needs while it is made.
    var spareLists = BlockTranslator.Worklists()

    private func key(_ view: UInt32, _ rip: UInt64) -> UInt64 { UInt64(view) << 12 | rip & 0xFFF }

    @inline(__always)
    func block(_ view: UInt32, _ rip: UInt64) -> UInt32? {
        guard starts(at: rip, in: view) else { return nil }
        return blockNumbers[key(view, rip)]
    }

    /// Whether the view may have a block at `rip`, which most instructions have not: a bit for each byte of its page.
    @inline(__always)
    private func starts(at rip: UInt64, in view: UInt32) -> Bool {
        guard view < Self.mostViews else { return true }
        let byte = startBits.base.load(fromByteOffset: Int(view) << 9 | Int(rip & 0xFFF) >> 3, as: UInt8.self)
        return byte >> UInt8(rip & 7) & 1 != 0
    }

    func enter(_ block: UInt32) {
        let record = blocks[block]
        blockNumbers[key(record.view, record.rip)] = block
        views[Int(record.view)].blocks.append(block)
        guard record.view < Self.mostViews else { return }
        let byte = startBits.base + (Int(record.view) << 9 | Int(record.rip & 0xFFF) >> 3)
        byte.storeBytes(of: byte.load(as: UInt8.self) | 1 << UInt8(record.rip & 7), as: UInt8.self)
    }

    /// Lets changes of the page of `view` throw `block` away too.
    func enter(_ block: UInt32, alsoIn view: UInt32) { views[Int(view)].blocks.append(block) }

    /// Makes the jump `number` lead to `block`, or to the `entry` of it.
    func link(_ number: UInt32, to block: UInt32, entry: UInt32? = nil) {
        let link = links[number]
        patch(link.field, to: entry ?? blocks[block].start)
        if link.block == block { return }
        if link.block != 0 { forgetIncoming(number, of: link.block) }
        if link.guardField != 0 {
            (code.writableBase + Int(link.guardField)).storeBytes(of: 0 &- blocks[block].view, as: UInt32.self)
        }
        links[number].block = block
        links[number].nextIncoming = blocks[block].incoming
        blocks[block].incoming = number
    }

    /// Makes the indirect branch `number` expect the target `rip`, which is `block`, and go through the hash for any other.
    ///
    /// `hash`: Where the code of the hash lies. `slot`: The distance of the target's view number from the first.
    func link(_ number: UInt32, to block: UInt32, entry: UInt32, rip: UInt64, hash: Int, slot: Int) {
        let other = Int(links[number].otherField)
        // The comparison's constant lies 16 bytes before: its LEA has 4 bytes, JRCXZ 2, JMP's opcode 1.
        let constant = other - 1 - 2 - 4 - 8
        (code.writableBase + constant).storeBytes(of: 0 &- rip, as: UInt64.self)
        patch(links[number].otherField, to: UInt32(hash))
        // The address of the view's number lies before LEA RCX, [RCX + number].
        (code.writableBase + Int(links[number].guardField) - 3 - 4).storeBytes(of: UInt32(slot), as: UInt32.self)
        link(number, to: block, entry: entry)
    }

    /// Takes a link out of the list of those that lead to `block`.
    private func forgetIncoming(_ number: UInt32, of block: UInt32) {
        if blocks[block].incoming == number {
            blocks[block].incoming = links[number].nextIncoming
            return
        }
        var other = blocks[block].incoming
        while other != 0 {
            let next = links[other].nextIncoming
            if next == number {
                links[other].nextIncoming = links[number].nextIncoming
                return
            }
            other = next
        }
    }

    private func patch(_ field: UInt32, to target: UInt32) {
        let distance = Int32(truncatingIfNeeded: Int(target) - Int(field) - 4)
        (code.writableBase + Int(field)).storeBytes(of: distance, as: Int32.self)
    }

    /// Length of the call that leaves at an unlinked jump.
    static let callByteCount: UInt32 = 5

    /// Takes every block of the page at `hostPage` out of use; running ones stay in memory until ``removeAll()``.
    func removeBlocks(hostPage: UnsafeRawPointer) -> Int {
        let page = UnsafeMutableRawPointer(mutating: hostPage)
        guard let numbers = pageViews[page] else { return 0 }
        var count = 0
        for number in numbers {
            for block in views[Int(number)].blocks where !blocks[block].isDead {
                retire(block)
                count += 1
            }
            views[Int(number)].blocks.removeAll()
        }
        return count
    }

    /// Takes a block out of use, and the links to it.
    func retire(_ block: UInt32) {
        var link = blocks[block].incoming
        while link != 0 {
            patch(links[link].field, to: sites[links[link].site].offset - Self.callByteCount)
            let next = links[link].nextIncoming
            links[link].nextIncoming = 0
            links[link].block = 0
            link = next
        }
        blocks[block].incoming = 0
        blocks[block].isDead = true
        blockNumbers[key(blocks[block].view, blocks[block].rip)] = nil
    }

    /// Adds a site, whose offset is not below that of the last.
    func append(_ site: Site) -> UInt32 {
        let number = sites.append(site)
        let bucket = firstSites.base + Int(site.offset >> Self.bucketShift) * 4
        if bucket.load(as: UInt32.self) == 0 { bucket.storeBytes(of: number, as: UInt32.self) }
        return number
    }

    /// The site whose call pushed `offset`, or, of a host fault, the last one that starts at or before it.
    func site(at offset: UInt32) -> UInt32 {
        var number = firstSites.base.load(fromByteOffset: Int(offset >> Self.bucketShift) * 4, as: UInt32.self)
        if number != 0, sites.records[Int(number)].offset <= offset {
            while Int(number) + 1 < sites.count, sites.records[Int(number) + 1].offset <= offset { number += 1 }
            return number
        }
        var low = 1
        var high = sites.count
        while low < high {
            let middle = (low + high) / 2
            if sites.records[middle].offset <= offset { low = middle + 1 } else { high = middle }
        }
        return UInt32(low - 1)
    }
}
