import HostCode
import SystemCalls

/// One page of guest code as seen at one linear address with one TLB table.
struct CodeView {
    var linearPage: UInt64
    var hostPage: UnsafeMutableRawPointer
    var table: Int
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
    /// How often everything was thrown away: numbers of views and blocks hold for one generation.
    private(set) var generation: UInt64 = 1
    /// The registers that the code depends on.
    var signature = CodeSignature()
    /// Pages whose translated code was changed, and the blocks that were thrown away for it.
    var invalidations: UInt64 = 0
    var invalidatedBlocks: UInt64 = 0
    var sites: RecordArray<Site>
    var blocks: RecordArray<BlockRecord>
    /// In the order of the code; only where somebody wants them.
    var instructionStarts: [InstructionStart] = []
    /// Number 0 is none.
    private(set) var views: [CodeView] = []
    private var viewNumbers: [ViewKey: UInt32] = [:]
    private var pageViews: [UnsafeMutableRawPointer: [UInt32]] = [:]
    /// By view number and offset in the page.
    private var blockNumbers: [UInt64: UInt32] = [:]

    private struct ViewKey: Hashable {
        var linearPage: UInt64
        var hostPage: UnsafeMutableRawPointer
        var table: Int
    }

    /// Room that one block may need at most.
    static let largestBlock = 64 << 10
    static let largestSiteCount = 2048

    init(byteCount: Int, isAnonymous: Bool = false) throws(HostCodeError) {
        code = try CodeBuffer(byteCount: byteCount, isAnonymous: isAnonymous)
        do throws(SystemCallError) {
            sites = try RecordArray(capacity: byteCount / 16)
            blocks = try RecordArray(capacity: byteCount / 64)
        } catch {
            throw .mapping(byteCount: byteCount, cause: error)
        }
        removeViews()
    }

    private func removeViews() {
        views = [CodeView(linearPage: 0, hostPage: code.writableBase, table: 0)]
        viewNumbers.removeAll(keepingCapacity: true)
        pageViews.removeAll(keepingCapacity: true)
        blockNumbers.removeAll(keepingCapacity: true)
    }

    /// No room for another block.
    var isFull: Bool {
        used + Self.largestBlock > code.byteCount || sites.count + Self.largestSiteCount > sites.capacity
            || blocks.count >= blocks.capacity
    }

    /// Throws everything away but the stubs.
    func removeAll() {
        used = firstOffset
        generation &+= 1
        sites.removeAll()
        blocks.removeAll()
        instructionStarts.removeAll(keepingCapacity: true)
        removeViews()
    }

    /// The number of the view of the page at `hostPage` seen at `linearPage`.
    func view(_ linearPage: UInt64, _ hostPage: UnsafeMutableRawPointer, _ table: Int) -> UInt32 {
        let key = ViewKey(linearPage: linearPage, hostPage: hostPage, table: table)
        if let number = viewNumbers[key] { return number }
        let number = UInt32(views.count)
        views.append(CodeView(linearPage: linearPage, hostPage: hostPage, table: table))
        viewNumbers[key] = number
        pageViews[hostPage, default: []].append(number)
        return number
    }

    private func key(_ view: UInt32, _ rip: UInt64) -> UInt64 { UInt64(view) << 12 | rip & 0xFFF }

    @inline(__always)
    func block(_ view: UInt32, _ rip: UInt64) -> UInt32? { blockNumbers[key(view, rip)] }

    func enter(_ block: UInt32) {
        let record = blocks[block]
        blockNumbers[key(record.view, record.rip)] = block
        views[Int(record.view)].blocks.append(block)
    }

    /// Makes the jump of `site` lead to `block`.
    func link(_ site: UInt32, to block: UInt32) {
        let record = sites[site]
        if record.linked == block { return }
        if record.linked != 0 { forgetIncoming(site, of: record.linked) }
        let base = code.writableBase
        patch(record.field, to: blocks[block].start)
        if record.guardField != 0 {
            (base + Int(record.guardField)).storeBytes(of: 0 &- blocks[block].view, as: UInt32.self)
        }
        sites[site].linked = block
        sites[site].nextIncoming = blocks[block].incoming
        blocks[block].incoming = site
    }

    /// Takes a link out of the list of those that lead to `block`.
    private func forgetIncoming(_ site: UInt32, of block: UInt32) {
        if blocks[block].incoming == site {
            blocks[block].incoming = sites[site].nextIncoming
            return
        }
        var other = blocks[block].incoming
        while other != 0 {
            let next = sites[other].nextIncoming
            if next == site {
                sites[other].nextIncoming = sites[site].nextIncoming
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
            for block in views[Int(number)].blocks {
                var site = blocks[block].incoming
                while site != 0 {
                    patch(sites[site].field, to: sites[site].offset - Self.callByteCount)
                    let next = sites[site].nextIncoming
                    sites[site].nextIncoming = 0
                    sites[site].linked = 0
                    site = next
                }
                blocks[block].incoming = 0
                blocks[block].isDead = true
                blockNumbers[key(number, blocks[block].rip)] = nil
                count += 1
            }
            views[Int(number)].blocks.removeAll()
        }
        return count
    }

    /// The site whose call pushed `offset`, or, of a host fault, the last one that starts at or before it.
    func site(at offset: UInt32) -> UInt32 {
        var low = 1
        var high = sites.count
        while low < high {
            let middle = (low + high) / 2
            if sites.records[middle].offset <= offset { low = middle + 1 } else { high = middle }
        }
        return UInt32(low - 1)
    }
}
