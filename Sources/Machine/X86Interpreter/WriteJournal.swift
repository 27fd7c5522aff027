package import SystemCalls

/// The pages of guest memory that a vCPU has written to since a beginning, with their bytes from before, so that the same
/// code can be run twice and its writes compared.
///
/// A page is entered when the vCPU proves that it may write to it, which is before the first byte changes: at each beginning
/// the TLB forgets every right to write that was entered before. What devices write meanwhile from other threads stays, unless it
/// lies in 8 bytes that the vCPU wrote too.
package final class WriteJournal {
    /// The most pages that are kept.
    package static let capacity = 512
    private static let pageByteCount = 4096

    /// A page's bytes from before, and what the first run made of them, for each page.
    private let images: HostMapping
    private var pages: [UnsafeMutableRawPointer] = []
    /// Where write tags were set since the last beginning, and what says that there is none.
    private var grants: [(tag: UnsafeMutableRawPointer, absent: UInt64)] = []
    /// The page-table entries in which a walk has set accessed or dirty bits since the beginning.
    private var walked: [UnsafeMutableRawPointer] = []
    /// How many pages the first run wrote to.
    private var firstCount = 0
    private(set) package var isRecording = false
    /// More pages were written to than are kept.
    private(set) package var isOverfull = false
    /// Page-table entries that differed in accessed and dirty bits alone.
    private(set) package var maskedEntries: UInt64 = 0
    /// Pages that were compared.
    private(set) package var comparedPages: UInt64 = 0

    package init() throws(SystemCallError) {
        images = try HostMapping(anonymous: Self.capacity * 2 * Self.pageByteCount)
        pages.reserveCapacity(Self.capacity)
        grants.reserveCapacity(Self.capacity * 2)
    }

    /// No room for the pages of another access.
    package var isFull: Bool { pages.count > Self.capacity - 4 }

    private func before(_ index: Int) -> UnsafeMutableRawPointer { images.base + index * 2 * Self.pageByteCount }
    private func made(_ index: Int) -> UnsafeMutableRawPointer { before(index) + Self.pageByteCount }

    // MARK: What the engines tell

    /// The page at `hostPage` is going to be written to.
    func note(_ hostPage: UnsafeMutableRawPointer) {
        guard isRecording else { return }
        for page in pages.reversed() where page == hostPage { return }
        guard pages.count < Self.capacity else {
            isOverfull = true
            return
        }
        before(pages.count).copyMemory(from: hostPage, byteCount: Self.pageByteCount)
        pages.append(hostPage)
    }

    /// The write tag at `tag` was set.
    func noteGrant(_ tag: UnsafeMutableRawPointer, absent: UInt64) { grants.append((tag, absent)) }

    /// A walk is going to set bits of the page-table entry at `entry`.
    func noteWalk(_ entry: UnsafeMutableRawPointer) {
        guard isRecording else { return }
        walked.append(UnsafeMutableRawPointer(bitPattern: UInt(bitPattern: entry) & ~7).unsafelyUnwrapped)
    }

    // MARK: What a comparison does

    /// Forgets everything, and begins to record.
    package func begin() {
        for grant in grants { grant.tag.storeBytes(of: grant.absent, as: UInt64.self) }
        grants.removeAll(keepingCapacity: true)
        pages.removeAll(keepingCapacity: true)
        walked.removeAll(keepingCapacity: true)
        isRecording = true
        isOverfull = false
    }

    package func end() { isRecording = false }

    /// Keeps what the first run made, and puts the bytes from before back.
    package func takeBack() {
        firstCount = pages.count
        for index in 0..<firstCount { made(index).copyMemory(from: pages[index], byteCount: Self.pageByteCount) }
        restore(firstCount)
    }

    /// Puts the bytes from before back into every page.
    package func takeBackAll() { restore(pages.count) }

    private func restore(_ count: Int) {
        for index in 0..<count {
            let (page, before) = (pages[index], before(index))
            for offset in stride(from: 0, to: Self.pageByteCount, by: 8) {
                let old = before.load(fromByteOffset: offset, as: UInt64.self)
                let new = page.load(fromByteOffset: offset, as: UInt64.self)
                guard old != new else { continue }
                if (old ^ new) & ~Self.walkBits == 0, walked.contains(page + offset) {
                    // The TLB keeps the page, so no walk would set them again.
                    before.storeBytes(of: new, toByteOffset: offset, as: UInt64.self)
                } else {
                    page.storeBytes(of: old, toByteOffset: offset, as: UInt64.self)
                }
            }
        }
    }

    /// The accessed and the dirty bit of a page-table entry.
    private static let walkBits: UInt64 = 0x60

    /// Eight bytes of guest memory that the two runs left different.
    package struct Difference {
        package var host: UnsafeMutableRawPointer
        package var before: UInt64
        package var first: UInt64
        package var second: UInt64
    }

    /// The first `limit` differences between what the first run made and what is in memory now.
    ///
    /// Accessed and dirty bits that a walk of either run has set are no difference, and stay set.
    package func differences(limit: Int) -> [Difference] {
        var found: [Difference] = []
        comparedPages &+= UInt64(pages.count)
        for index in 0..<pages.count {
            let page = pages[index]
            let first = index < firstCount ? made(index) : before(index)
            guard !areEqual(page, first) else { continue }
            for offset in stride(from: 0, to: Self.pageByteCount, by: 8) {
                let (a, b) = (
                    first.load(fromByteOffset: offset, as: UInt64.self),
                    page.load(fromByteOffset: offset, as: UInt64.self)
                )
                guard a != b else { continue }
                if (a ^ b) & ~Self.walkBits == 0, walked.contains(page + offset) {
                    page.storeBytes(of: a | b, toByteOffset: offset, as: UInt64.self)
                    maskedEntries &+= 1
                } else if found.count < limit {
                    let old = before(index).load(fromByteOffset: offset, as: UInt64.self)
                    found.append(Difference(host: page + offset, before: old, first: a, second: b))
                }
            }
        }
        return found
    }

    private func areEqual(_ a: UnsafeMutableRawPointer, _ b: UnsafeMutableRawPointer) -> Bool {
        var offset = 0
        while offset < Self.pageByteCount {
            var bits: UInt64 = 0
            for step in stride(from: 0, to: 64, by: 8) {
                bits |=
                    a.load(fromByteOffset: offset + step, as: UInt64.self)
                    ^ b.load(fromByteOffset: offset + step, as: UInt64.self)
            }
            if bits != 0 { return false }
            offset += 64
        }
        return true
    }
}
