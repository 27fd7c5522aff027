import DeviceModel
import GuestMemory
import MachineState
import Synchronization
import Testing
import Virtio

/// A device whose state is one byte.
private final class KeptDevice: VirtioDevice, Saveable {
    private let echo = EchoDevice()
    let kept = Mutex<UInt8>(0)
    var deviceID: UInt32 { echo.deviceID }
    var offeredFeatures: VirtioFeatures { echo.offeredFeatures }
    var queueSizes: [UInt16] { echo.queueSizes }
    func readConfig(at offset: UInt64, width: AccessWidth) -> UInt64 { echo.readConfig(at: offset, width: width) }
    func writeConfig(_ value: UInt64, at offset: UInt64, width: AccessWidth) {}
    func activate(_ activation: consuming Activation) { echo.activate(activation) }
    func process(queue: Int) throws(VirtioQueueError) { try echo.process(queue: queue) }
    func reset() { echo.reset() }

    let stateName = "kept"
    let stateVersion: UInt16 = 4
    func save(into encoder: inout StateEncoder) throws(StateFault) { encoder.encode(kept.withLock { $0 }) }
    func load(from decoder: inout StateDecoder) throws(StateFault) {
        let value = try decoder.decode(UInt8.self, "byte")
        kept.withLock { $0 = value }
    }
}

@Suite struct SavedStateTests {
    private static let version1: UInt64 = 1 << 32

    /// Echoes one request by the interrupt that vector 0 sends.
    private func echo(_ driver: PCIDriver, _ ring: DriverRing, _ byte: UInt8) async throws -> UInt8 {
        try driver.memory.store(byte, at: GuestAddress(0x8000))
        try ring.offer([(0x8000, 1, false), (0x8100, 1, true)])
        driver.notify(0)
        await driver.interrupts.wait()
        return try driver.memory.load(UInt8.self, at: GuestAddress(0x8100))
    }

    @Test func `A device goes on with its rings where it was saved`() async throws {
        let device = KeptDevice()
        let first = try PCIDriver(device)
        let ring = DriverRing(first.memory)
        #expect(first.negotiate(Self.version1))
        first.enableVectors(3)
        first.enable(0, ring, vector: 0)
        first.status = 15
        for byte in UInt8(1)...5 { #expect(try await echo(first, ring, byte) == byte) }
        first.transport.pause()
        device.kept.withLock { $0 = 99 }
        let section = try StateSection("device", saving: first.transport)

        let target = KeptDevice()
        let second = try PCIDriver(target)
        try second.memory.copyIn(first.memory.copyOut(at: GuestAddress(0), byteCount: 0x10000), at: GuestAddress(0))
        try section.load(into: second.transport)
        #expect(target.kept.withLock { $0 } == 99)
        #expect(second.status == 15)
        let next = DriverRing(second.memory)
        next.availableIndex = ring.availableIndex
        try second.memory.store(UInt8(77), at: GuestAddress(0x8000))
        try next.offer([(0x8000, 1, false), (0x8100, 1, true)])
        second.notify(0)
        #expect(second.interrupts.messages.isEmpty, "it stands still")
        second.transport.resume()
        await second.interrupts.wait()
        #expect(try second.memory.load(UInt8.self, at: GuestAddress(0x8100)) == 77)
        #expect(second.interrupts.messages.first?.data == 0x40)
        // The first one goes on too.
        first.transport.resume()
        #expect(try await echo(first, ring, 200) == 200)
        first.transport.reset()
        second.transport.reset()
    }

    @Test func `A device that has no saved state is named`() throws {
        let driver = try PCIDriver(EchoDevice())
        #expect(throws: StateFault.cannotSave("a virtio device 42 device cannot be saved yet")) {
            try StateSection("device", saving: driver.transport)
        }
    }

    @Test func `Rings that cannot be, features that were not offered and other devices are refused`() throws {
        let driver = try PCIDriver(KeptDevice())
        let section = try StateSection("device", saving: driver.transport)
        for count in stride(from: 0, to: section.contents.count, by: 1) where count < 16 || count > 4090 {
            var cut = section
            cut.contents.removeLast(section.contents.count - count)
            let fresh = try PCIDriver(KeptDevice())
            #expect(throws: StateFault.self, "\(count) bytes") { try cut.load(into: fresh.transport) }
        }
        var other = section
        other.contents[0] ^= 1
        #expect(
            throws: StateFault.differs(field: "configuration space at 0x0", saved: "\(0xF5)", here: "\(0xF4)")
        ) { try other.load(into: try PCIDriver(KeptDevice()).transport) }
    }

    @Test(arguments: 0..<40) func `Damaged states trap nothing`(seed: Int) throws {
        var random = UInt64(seed)
        func next() -> UInt64 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return random >> 16
        }
        let driver = try PCIDriver(KeptDevice())
        let section = try StateSection("device", saving: driver.transport)
        for _ in 0..<50 {
            var damaged = section
            for _ in 0..<(1 + next() % 6) {
                let place = next() % 2 == 0 ? 4096 + Int(next()) % (section.contents.count - 4096) : Int(next() % 256)
                damaged.contents[place] = UInt8(truncatingIfNeeded: next())
            }
            let fresh = try PCIDriver(KeptDevice())
            if (try? damaged.load(into: fresh.transport)) != nil { fresh.transport.resume() }
            fresh.transport.reset()
        }
    }
}
