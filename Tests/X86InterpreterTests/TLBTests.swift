import GuestMemory
import Testing
import X86

@testable import X86Interpreter

struct TLBTests {
    private let bench: PagedBench

    init() throws { bench = try PagedBench() }

    @Test func `The tables lie where generated code expects them`() {
        #expect(Layout.tlbTables == 0x81000)
        #expect(bench.core.table(TLB.supervisorWithAC) == bench.cpu.block + 0x81000 + 2 * 0x300000)
        #expect(TLB.absentAtEnds == 0 &- 0x800_0000)
    }

    @Test(arguments: 0..<TLB.tableCount)
    func `No slot of an empty table matches an access that can reach it`(table: Int) {
        for slot in 0..<UInt64(TLB.entryCount) {
            for page in [slot << 12, slot << 12 | 0xFFFF_FFFF_F000_0000, slot << 12 | 0x7FFF_F000_0000] {
                let entry = bench.core.tlbEntry(page, table: table)
                // The second is an access that runs over the page's end, of the last page into page 0.
                for tag in [TLB.readTag, TLB.writeTag, TLB.fetchTag]
                where bench.core.hits(entry, tag, last: page) || bench.core.hits(entry, tag, last: page &+ 4096) {
                    Issue.record("table \(table), slot \(slot), page \(page)")
                }
            }
        }
    }

    @Test func `Page 0 faults while it is not mapped, and is found once it is`() throws {
        #expect(bench.load(0) == nil)
        try bench.map(0, 0x10_0000)
        try bench.memory.store(0x1234 as UInt64, at: GuestAddress(0x10_0008))
        #expect(bench.load(8) == 0x1234)
        #expect(bench.holds(0))
        bench.core.flushTLB(page: 0)
        #expect(!bench.holds(0))
    }

    @Test func `An access that runs over the end of the address space needs both its pages`() throws {
        try bench.map(PagedBench.lastPage, 0x10_0000)
        #expect(bench.load(PagedBench.lastPage) == 0)
        #expect(bench.load(0xFFFF_FFFF_FFFF_FFFC) == nil)
        try bench.map(0, 0x10_5000)
        try bench.memory.store(0x1111_1111 as UInt32, at: GuestAddress(0x10_0FFC))
        try bench.memory.store(0x2222_2222 as UInt32, at: GuestAddress(0x10_5000))
        #expect(bench.load(0) == 0x2222_2222)
        #expect(bench.load(0xFFFF_FFFF_FFFF_FFFC) == 0x2222_2222_1111_1111)
    }

    @Test func `An access that crosses pages reads each where it lies`() throws {
        try bench.map(0x6000, 0x10_0000)
        try bench.map(0x7000, 0x20_0000)
        try bench.memory.store(0x1111_1111 as UInt32, at: GuestAddress(0x10_0FFC))
        try bench.memory.store(0x2222_2222 as UInt32, at: GuestAddress(0x20_0000))
        #expect(bench.load(0x6000) == 0)
        #expect(bench.load(0x7000) == 0x2222_2222)
        #expect(bench.load(0x6FFC) == 0x2222_2222_1111_1111)
    }

    @Test func `INVLPG forgets one page, and all of a large page`() throws {
        try bench.map(0x6000, 0x10_0000)
        try bench.map(0x7000, 0x10_1000)
        let inside = PagedBench.large + 0x5000
        for address in [0x6000, 0x7000, PagedBench.large, inside] { _ = bench.load(address) }
        bench.core.flushTLB(page: 0x6123)
        #expect(!bench.holds(0x6000))
        #expect(bench.holds(0x7000))
        bench.core.flushTLB(page: PagedBench.large + 0x9000)
        #expect(!bench.holds(PagedBench.large))
        #expect(!bench.holds(inside))
        #expect(bench.holds(0x7000))
        // And again, once the large page is back.
        _ = bench.load(inside)
        #expect(bench.holds(inside))
        bench.core.flushTLB(page: PagedBench.large)
        #expect(!bench.holds(inside))
    }

    @Test func `A load of CR3 keeps global pages alone`() throws {
        try bench.map(0x6000, 0x10_0000)
        try bench.map(0x7000, 0x10_1000, isGlobal: true)
        for _ in 0..<3 {
            for address in [0x6000, 0x7000] as [UInt64] { _ = bench.load(address) }
            bench.core.flushTLBKeepingGlobal()
            #expect(!bench.holds(0x6000))
            #expect(bench.holds(0x7000))
        }
        bench.core.flushTLB()
        #expect(!bench.holds(0x7000))
    }

    @Test func `A slot follows its page from local to global and back`() throws {
        try bench.map(0x6000, 0x10_0000)
        _ = bench.load(0x6000)
        bench.core.flushTLB(page: 0x6000)
        try bench.map(0x6000, 0x10_0000, isGlobal: true)
        _ = bench.load(0x6000)
        bench.core.flushTLBKeepingGlobal()
        #expect(bench.holds(0x6000))
        bench.core.flushTLB(page: 0x6000)
        try bench.map(0x6000, 0x10_0000)
        _ = bench.load(0x6000)
        bench.core.flushTLBKeepingGlobal()
        #expect(!bench.holds(0x6000))
    }

    @Test func `Flushes and invalidated code move the epochs`() throws {
        try bench.place([0x90, 0xF4])
        bench.cpu.stepOne()
        let (translation, flush) = (bench.translationEpoch, bench.flushCount)
        bench.core.flushTLB(page: 0x6000)
        #expect((bench.translationEpoch, bench.flushCount) == (translation + 1, flush))
        bench.core.flushTLBKeepingGlobal()
        #expect((bench.translationEpoch, bench.flushCount) == (translation + 2, flush + 1))
        bench.core.flushTLB()
        #expect((bench.translationEpoch, bench.flushCount) == (translation + 3, flush + 2))
        try bench.core.store(0x90 as UInt8, 0x10000)
        #expect((bench.translationEpoch, bench.flushCount) == (translation + 4, flush + 2))
    }

    @Test func `The translator's number of a view goes with the fetch tag`() throws {
        try bench.map(0x6000, 0x10_0000)
        let fill = { _ = bench.cpu.fetchPage(0x6000) }
        for forget in [
            { bench.core.flushTLB(page: 0x6000) }, { bench.core.flushTLB() }, { bench.core.flushTLBKeepingGlobal() },
        ] {
            fill()
            bench.setViewID(0x6000, 7)
            fill()
            #expect(bench.viewID(0x6000) == 7)
            forget()
            #expect(bench.viewID(0x6000) == 0)
        }
        // Another host page, seen by a read.
        fill()
        bench.setViewID(0x6000, 7)
        try bench.map(0x6000, 0x10_1000)
        _ = bench.load(0x6000)
        #expect(bench.viewID(0x6000) == 0)
        #expect(!bench.holds(0x6000, TLB.fetchTag))
    }

    @Test func `A page that becomes code loses its write rights, and gets them back when the code goes`() throws {
        try bench.map(0x6000, 0x10_0000)
        let host = try #require(bench.memory.hostPointer(at: GuestAddress(0x10_0000), byteCount: 4096))
        var invalidated: [UnsafeRawPointer] = []
        bench.codeCache.onInvalidation = { invalidated.append($0) }
        #expect(bench.cpu.fill(0x6000, write: true))
        bench.cpu.markCode(hostPage: host, offset: 0x100, byteCount: 16)
        #expect(bench.holds(0x6000))
        #expect(!bench.holds(0x6000, TLB.writeTag))
        #expect(!bench.cpu.fill(0x6000, write: true))
        try bench.core.store(1 as UInt8, 0x6200)
        #expect(invalidated.isEmpty)
        bench.codeCache.cache.reset()
        try bench.core.store(1 as UInt8, 0x6108)
        #expect(invalidated == [UnsafeRawPointer(host)])
        #expect(bench.cpu.fill(0x6000, write: true))
        bench.codeCache.onInvalidation = nil
    }
}
