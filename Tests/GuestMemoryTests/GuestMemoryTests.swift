import GuestMemory
import Synchronization
import Testing

@Suite struct GuestMemoryTests {
    /// RAM at 0 and at 4 GiB, and ROM that ends at 4 GiB.
    private func split() throws -> GuestMemory {
        try GuestMemory(layout: [
            (GuestAddress(1 << 32), 0x2000, false), (GuestAddress(0), 0x3000, false),
            (GuestAddress(0xFFFF_0000), 0x1_0000, true),
        ])
    }

    @Test func `Regions are sorted and follow each other in the memory file`() throws {
        let memory = try split()
        #expect(memory.regions.map(\.base.rawValue) == [0, 0xFFFF_0000, 1 << 32])
        #expect(memory.regions.map(\.fileOffset) == [0, 0x3000, 0x1_3000])
        #expect(memory.byteCount == 0x1_5000)
        #expect(memory.regions.map(\.isReadOnly) == [false, true, false])
    }

    @Test(
        arguments: [
            [(0, 0)], [(0, 0x800)], [(0x800, 0x1000)], [(0, 0x2000), (0x1000, 0x1000)], [(UInt64.max - 0xFFF, 0x1000)],
            [],
        ] as [[(UInt64, Int)]]
    )
    func `A layout that overlaps, is empty or is not made of pages is refused`(parts: [(UInt64, Int)]) {
        #expect(throws: GuestMemoryError.self) {
            try GuestMemory(layout: parts.map { (GuestAddress($0.0), $0.1, false) })
        }
    }

    @Test func `Integers are little-endian and need no alignment`() throws {
        let memory = try split()
        try memory.store(UInt64(0x0102_0304_0506_0708), at: GuestAddress(0xFFD))
        #expect(try memory.load(UInt8.self, at: GuestAddress(0xFFD)) == 8)
        #expect(try memory.load(UInt32.self, at: GuestAddress(0x1001)) == 0x0102_0304)
        #expect(try memory.load(UInt64.self, at: GuestAddress(0xFFD)) == 0x0102_0304_0506_0708)
    }

    @Test(arguments: [0x2FFD, 0x3000, 0xFFFE_FFFF, 0xFFFF_FFFD, 0x1_0000_1FFD, .max, .max - 3] as [UInt64])
    func `A load that leaves its region throws`(address: UInt64) throws {
        let memory = try split()
        #expect(throws: GuestMemoryError.notRAM(address: GuestAddress(address), byteCount: 4)) {
            try memory.load(UInt32.self, at: GuestAddress(address))
        }
        #expect(throws: GuestMemoryError.self) { try memory.store(UInt32(1), at: GuestAddress(address)) }
        #expect(throws: GuestMemoryError.self) { try memory.copyOut(at: GuestAddress(address), byteCount: 4) }
        #expect(throws: GuestMemoryError.self) { try memory.copyIn([1, 2, 3, 4], at: GuestAddress(address)) }
    }

    @Test func `A negative or enormous count gives no pointer`() throws {
        let memory = try split()
        #expect(memory.hostPointer(at: GuestAddress(0), byteCount: -1) == nil)
        #expect(memory.hostPointer(at: GuestAddress(0), byteCount: .max) == nil)
        #expect(memory.hostPointer(at: GuestAddress(0x2FFF), byteCount: 1) != nil)
    }

    @Test func `Copies reach each region, ROM too`() throws {
        let memory = try split()
        for base in [0x1000, 0xFFFF_8000, 0x1_0000_0800] as [UInt64] {
            let bytes = (0..<256).map { UInt8(truncatingIfNeeded: UInt64($0) ^ base >> 8) }
            try memory.copyIn(bytes, at: GuestAddress(base))
            #expect(try memory.copyOut(at: GuestAddress(base), byteCount: 256) == bytes)
        }
    }

    @Test func `A write to a page with code is told, one to another page is not`() throws {
        final class Observer: CodeObserver {
            let seen = Mutex<[UInt64]>([])
            func memoryChanged(at address: GuestAddress, byteCount: Int) {
                seen.withLock { $0.append(address.rawValue) }
            }
        }
        let memory = try split()
        let observer = Observer()
        memory.observeCode(observer)
        // The second page of the region at 4 GiB: file page 0x13 + 1.
        memory.pageMarks.storeBytes(of: 1, toByteOffset: 0x14, as: UInt8.self)
        try memory.store(UInt8(1), at: GuestAddress(0x1_0000_0FFF))
        try memory.store(UInt16(1), at: GuestAddress(0x1_0000_0FFF))
        try memory.copyIn([UInt8](repeating: 0, count: 0x1800), at: GuestAddress(0x1_0000_0000))
        try memory.withBytes(at: GuestAddress(0x1_0000_1000), byteCount: 8, writing: false) { _ in }
        try memory.withBytes(at: GuestAddress(0x1_0000_1000), byteCount: 8, writing: true) { _ in }
        #expect(observer.seen.withLock { $0 } == [0x1_0000_0FFF, 0x1_0000_0000, 0x1_0000_1000])
    }

    @Test func `An address past the end of the address space is nil`() {
        #expect(GuestAddress(.max).advanced(by: 1) == nil)
        #expect(GuestAddress(.max - 1).advanced(by: 1) == GuestAddress(.max))
    }

    @Test func `Widths mask what they hold`() {
        #expect([AccessWidth.byte, .word, .dword, .qword].map(\.mask) == [0xFF, 0xFFFF, 0xFFFF_FFFF, .max])
    }

    @Test func `Errors name the place and the size`() {
        #expect(
            GuestMemoryError.notRAM(address: GuestAddress(0x1000), byteCount: 8).description
                == "no RAM for 8 bytes at guest address 0x1000"
        )
    }
}
