import DeviceModel
import GuestMemory
import LegacyDevices
import Testing

struct FirmwareConfigurationTests {
    let memory: GuestMemory
    let configuration: FirmwareConfiguration
    let ports: any BusDevice
    let dma: any BusDevice

    init() throws {
        memory = try GuestMemory(byteCount: 1 << 16)
        configuration = FirmwareConfiguration(memory: memory)
        ports = configuration.ports
        dma = configuration.dmaPorts
        configuration.add(file: "etc/second", [9, 8, 7])
        configuration.add(file: "etc/first", Array("content".utf8))
    }

    private func read(_ selector: UInt16, byteCount: Int) -> [UInt8] {
        ports.write(UInt64(selector), at: 0, width: .word)
        return (0..<byteCount).map { _ in ports.readByte(1) }
    }

    /// Runs a DMA operation whose structure lies at 0x100; the control field afterwards.
    private func transfer(control: UInt32, byteCount: UInt32, to address: UInt64) throws -> UInt32 {
        try memory.store(control.bigEndian, at: GuestAddress(0x100))
        try memory.store(byteCount.bigEndian, at: GuestAddress(0x104))
        try memory.store(address.bigEndian, at: GuestAddress(0x108))
        dma.write(0, at: 0, width: .dword)
        dma.write(UInt64(UInt32(0x100).byteSwapped), at: 4, width: .dword)
        return UInt32(bigEndian: try memory.load(UInt32.self, at: GuestAddress(0x100)))
    }

    @Test func `The signature and the features are where guests look`() {
        #expect(read(0, byteCount: 5) == Array("QEMU".utf8) + [0])
        #expect(read(1, byteCount: 4) == [3, 0, 0, 0])
        #expect(dma.read(at: 0, width: .dword).byteSwapped >> 32 == 0x5145_4D55)
        #expect(dma.read(at: 4, width: .dword).byteSwapped >> 32 == 0x2043_4647)
    }

    @Test func `A file is found in the directory and read by the port`() {
        let directory = read(0x19, byteCount: 4 + 2 * 64)
        #expect(directory[0..<4] == [0, 0, 0, 2])
        let entry = Array(directory[4..<68])
        #expect(entry[0..<4] == [0, 0, 0, 7])
        #expect(entry[8..<17].elementsEqual("etc/first".utf8))
        #expect(entry[17] == 0)
        let selector = UInt16(entry[4]) << 8 | UInt16(entry[5])
        #expect(read(selector, byteCount: 8) == Array("content".utf8) + [0])
    }

    @Test func `Numbers are little-endian of their width`() {
        configuration.set(FirmwareConfiguration.Selector.cpuCount, to: UInt16(0x0102))
        #expect(read(5, byteCount: 3) == [2, 1, 0])
    }

    @Test func `DMA selects, reads and pads with zeros`() throws {
        try memory.copyIn([UInt8](repeating: 0xEE, count: 16), at: GuestAddress(0x2000))
        #expect(try transfer(control: 0x0021_000A, byteCount: 10, to: 0x2000) == 0)
        #expect(try memory.copyOut(at: GuestAddress(0x2000), byteCount: 11) == Array("content".utf8) + [0, 0, 0, 0xEE])
    }

    @Test func `DMA skips and goes on where it was`() throws {
        #expect(try transfer(control: 0x0021_000C, byteCount: 3, to: 0) == 0)
        #expect(try transfer(control: 0x02, byteCount: 4, to: 0x2000) == 0)
        #expect(try memory.copyOut(at: GuestAddress(0x2000), byteCount: 4) == Array("tent".utf8))
    }

    @Test func `Bad DMA sets the error bit and harms nobody`() throws {
        #expect(try transfer(control: 0x0021_000A, byteCount: 7, to: 0xFFFF_FFFF_FFFF_FFFE) == 1)
        #expect(try transfer(control: 0x0021_000A, byteCount: .max, to: 0x2000) == 1)
        #expect(try transfer(control: 0x0021_0018, byteCount: 4, to: 0x2000) == 1)
        dma.write(.max, at: 0, width: .qword)
        dma.write(.max, at: 4, width: .dword)
    }

    @Test func `An item of the architecture is another one than that without bit 15`() {
        #expect(read(0x8000, byteCount: 4) == [0, 0, 0, 0])
        #expect(read(0x4000, byteCount: 4) == Array("QEMU".utf8))
    }
}
