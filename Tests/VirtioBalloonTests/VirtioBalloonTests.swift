import GuestMemory
import Synchronization
import SystemCalls
import Testing
import Virtio
import VirtioBalloon

/// Remembers what it was told.
final class Observer: CodeObserver {
    let changes = Mutex<[GuestAddress]>([])
    func memoryChanged(at address: GuestAddress, byteCount: Int) { changes.withLock { $0.append(address) } }
}

@Suite struct VirtioBalloonTests {
    static let reporting = VirtioFeatures(bit: 5)
    static let statistics = VirtioFeatures(bit: 1)
    static let poison = VirtioFeatures(bit: 4)

    let memory: GuestMemory
    let inflate: DriverRing
    let deflate: DriverRing
    let third: DriverRing
    let fourth: DriverRing
    let balloon = VirtioBalloon(targetByteCount: 8 << 20)

    init() throws {
        memory = try GuestMemory(layout: [(GuestAddress(0), 1 << 20, false), (GuestAddress(1 << 20), 1 << 16, true)])
        inflate = DriverRing(memory, base: 0x1000)
        deflate = DriverRing(memory, base: 0x4000)
        third = DriverRing(memory, base: 0x7000)
        fourth = DriverRing(memory, base: 0xA000)
    }

    private func activate(_ features: VirtioFeatures) throws {
        balloon.activate(
            Activation(
                memory: memory,
                features: features.union(.version1),
                queues: [try inflate.queue(), try deflate.queue(), try third.queue(), try fourth.queue()]
            )
        )
    }

    private func fill(_ page: UInt64) throws {
        try memory.copyIn([UInt8](repeating: 0xAB, count: 4096), at: GuestAddress(page * 4096))
    }
    private func first(_ page: UInt64) throws -> UInt8 { try memory.load(UInt8.self, at: GuestAddress(page * 4096)) }

    private func inflate(_ pages: [UInt32]) throws {
        for (index, page) in pages.enumerated() {
            try memory.store(page, at: GuestAddress(0x10000 + UInt64(index) * 4))
        }
        try inflate.offer([(0x10000, pages.count * 4, false)])
        try balloon.process(queue: 0)
    }

    @Test func `Pages put into the balloon are given back and read as zeros`() throws {
        try activate([])
        for page in 0x40...0x43 as ClosedRange<UInt64> { try fill(page) }
        try inflate([0x43, 0x41, 0x42, 0x41])
        #expect(try first(0x40) == 0xAB)
        for page in 0x41...0x43 as ClosedRange<UInt64> { #expect(try first(page) == 0) }
        #expect(balloon.inflatedByteCount == 3 * 4096)
        #expect(try inflate.usedIndex == 1)
    }

    @Test func `Pages that are no RAM, or read-only, are passed over`() throws {
        try activate([])
        let rom: UInt64 = 0x100
        try fill(rom)
        try inflate([UInt32(rom), 0xFFFF_FFFF, 0x0FFF_FFFF])
        #expect(try first(rom) == 0xAB)
        #expect(balloon.inflatedByteCount == 0)
    }

    @Test func `A page with code is told to the engine`() throws {
        try activate([])
        let observer = Observer()
        memory.observeCode(observer)
        unsafe memory.pageMarks.storeBytes(of: 1, toByteOffset: 0x50, as: UInt8.self)
        try inflate([0x50])
        #expect(observer.changes.withLock { $0 } == [GuestAddress(0x50000)])
    }

    @Test func `Reported memory is given back, whole pages of it only`() throws {
        try activate([Self.reporting])
        for page in 0x60...0x62 as ClosedRange<UInt64> { try fill(page) }
        // Without statistics, reports come by the third queue.
        try third.offer([(0x60800, 0x2000, true)])
        try balloon.process(queue: 2)
        #expect(try first(0x60) == 0xAB)
        #expect(try first(0x61) == 0)
        #expect(try first(0x62) == 0xAB)
        #expect(balloon.reportedByteCount == 4096)
        #expect(try third.usedIndex == 1)
    }

    @Test func `Memory that must keep a pattern is left alone`() throws {
        try activate([Self.reporting, Self.poison])
        balloon.writeConfig(0xAAAA_AAAA, at: 12, width: .dword)
        try fill(0x60)
        try third.offer([(0x60000, 0x1000, true)])
        try balloon.process(queue: 2)
        #expect(try first(0x60) == 0xAB)
        #expect(try third.usedIndex == 1)
    }

    @Test func `Statistics are read, and asked for by giving the buffer back`() throws {
        try activate([Self.reporting, Self.statistics])
        let entries: [(UInt16, UInt64)] = [(4, 1000), (5, 5000), (77, 1), (6, 2000)]
        for (index, entry) in entries.enumerated() {
            try memory.store(entry.0, at: GuestAddress(0x20000 + UInt64(index) * 10))
            try memory.store(entry.1, at: GuestAddress(0x20002 + UInt64(index) * 10))
        }
        try third.offer([(0x20000, 40, false)])
        try balloon.process(queue: 2)
        #expect(balloon.statistics.freeByteCount == 1000)
        #expect(balloon.statistics.totalByteCount == 5000)
        #expect(balloon.statistics.availableByteCount == 2000)
        #expect(balloon.statistics.minorFaults == nil)
        #expect(try third.usedIndex == 0)
        balloon.requestStatistics()
        try balloon.process(queue: 2)
        #expect(try third.usedIndex == 1)
        // Reports have moved on by one queue.
        try fill(0x60)
        try fourth.offer([(0x60000, 0x1000, true)])
        try balloon.process(queue: 3)
        #expect(try first(0x60) == 0)
    }

    @Test func `The target and the actual size are told`() throws {
        try activate([])
        #expect(balloon.readConfig(at: 0, width: .dword) == 2048)
        balloon.writeConfig(512, at: 4, width: .dword)
        #expect(balloon.actualByteCount == 2 << 20)
        balloon.setTarget(byteCount: 0)
        #expect(balloon.readConfig(at: 0, width: .qword) == 512 << 32)
    }
}
