import DeviceModel
import GuestMemory
import PCI
import Synchronization
import Testing
import Virtio

@Suite struct PCITransportTests {
    let device = EchoDevice()
    let driver: PCIDriver
    static let version1: UInt64 = 1 << 32

    init() throws { driver = try PCIDriver(device) }

    @Test func `The function tells its identity and every structure`() {
        #expect(driver.config(0) == 0x106A_1AF4)
        #expect(driver.config(0x08, .byte) == 1)
        #expect(Set(driver.capabilities.keys) == [1, 2, 3, 4, 5])
        #expect(driver.msixCapability != 0)
        #expect(driver.config(driver.msixCapability + 2, .word) == 2, "three vectors")
        #expect(driver.read(PCIDriver.common, 0x12, .word) == 2)
    }

    @Test func `The device offers its own features and the transport's`() {
        #expect(driver.offeredFeatures == 1 << 3 | 1 << 28 | 1 << 29 | Self.version1)
        driver.write(2, PCIDriver.common, 0, .dword)
        #expect(driver.read(PCIDriver.common, 4, .dword) == 0)
    }

    @Test(arguments: [1 << 3, 1 << 32 | 1 << 5, 0] as [UInt64])
    func `Features without VERSION_1, or that were not offered, are refused`(features: UInt64) {
        #expect(!driver.negotiate(features))
        driver.status = 15
        #expect(driver.status & 4 == 0)
        #expect(device.activation.withLock { $0 == nil })
    }

    @Test func `Accepted features stay once they are agreed on`() {
        #expect(driver.negotiate(Self.version1 | 1 << 3))
        driver.write(0, PCIDriver.common, 0x08, .dword)
        driver.write(0, PCIDriver.common, 0x0C, .dword)
        #expect(driver.read(PCIDriver.common, 0x0C, .dword) == 1 << 3)
    }

    @Test func `Queue registers tell the sizes and nothing for queues that are absent`() {
        driver.write(1, PCIDriver.common, 0x16, .word)
        #expect(driver.read(PCIDriver.common, 0x18, .word) == 16)
        #expect(driver.read(PCIDriver.common, 0x1E, .word) == 1)
        driver.write(2, PCIDriver.common, 0x16, .word)
        #expect(driver.read(PCIDriver.common, 0x18, .word) == 0)
        driver.write(1, PCIDriver.common, 0x1A, .word)
        #expect(driver.read(PCIDriver.common, 0x1A, .word) == 0xFFFF)
        driver.write(0, PCIDriver.common, 0x16, .word)
        driver.write(3, PCIDriver.common, 0x1A, .word)
        #expect(driver.read(PCIDriver.common, 0x1A, .word) == 0xFFFF, "no such vector")
    }

    private func startedRing(_ features: UInt64 = version1, vector: UInt64 = 0xFFFF) -> DriverRing {
        let ring = DriverRing(driver.memory)
        #expect(driver.negotiate(features))
        driver.enable(0, ring, vector: vector)
        driver.status = 15
        return ring
    }

    @Test func `A request is echoed and INTx tells it until the status is read`() async throws {
        let ring = startedRing()
        try driver.memory.copyIn([9, 8, 7], at: GuestAddress(0x8000))
        try ring.offer([(0x8000, 3, false), (0x9000, 8, true)])
        driver.notify(0)
        await driver.interrupts.wait()
        let element = try #require(try ring.takeUsed())
        #expect(element == (0, 3))
        #expect(try driver.memory.copyOut(at: GuestAddress(0x9000), byteCount: 3) == [9, 8, 7])
        #expect(driver.interrupts.isUp)
        #expect(driver.read(PCIDriver.isr, 0, .byte) == 1)
        #expect(!driver.interrupts.isUp)
        #expect(driver.read(PCIDriver.isr, 0, .byte) == 0)
    }

    @Test func `With MSI-X the queue's own vector is sent`() async throws {
        driver.enableVectors(3)
        let ring = startedRing(Self.version1 | 1 << 29, vector: 1)
        try ring.offer([(0x8000, 3, false), (0x9000, 8, true)])
        driver.notify(0)
        await driver.interrupts.wait()
        #expect(driver.interrupts.messages.map(\.data) == [0x41])
        #expect(driver.read(PCIDriver.isr, 0, .byte) == 0)
    }

    @Test func `Buffers offered before DRIVER_OK are served without a notification`() async throws {
        let ring = DriverRing(driver.memory)
        #expect(driver.negotiate(Self.version1))
        driver.enable(0, ring)
        try ring.offer([(0x8000, 3, false), (0x9000, 8, true)])
        driver.status = 15
        await driver.interrupts.wait()
        #expect(try ring.usedIndex == 1)
    }

    @Test func `A hostile chain makes the device need a reset, and the reset brings it back`() async throws {
        let ring = startedRing()
        try ring.setDescriptor(0, .max, 16)
        try ring.offer(0)
        driver.notify(0)
        await driver.interrupts.wait()
        #expect(driver.status == 0x4F)
        #expect(driver.read(PCIDriver.isr, 0, .byte) == 2)
        #expect(driver.transport.core.failure == .notRAM(GuestAddress(.max), byteCount: 16))
        driver.status = 0
        #expect(driver.status == 0)
        #expect(driver.transport.core.failure == nil)
        let fresh = DriverRing(driver.memory, base: 0x10000)
        #expect(driver.negotiate(Self.version1))
        driver.enable(0, fresh)
        driver.status = 15
        try fresh.offer([(0x8000, 3, false), (0x9000, 8, true)])
        driver.notify(0)
        await driver.interrupts.wait()
        #expect(try fresh.usedIndex == 1)
    }

    @Test func `A ring outside RAM makes the device need a reset at DRIVER_OK`() {
        #expect(driver.negotiate(Self.version1))
        driver.enable(0, DriverRing(driver.memory, base: 0x1_0000_0000))
        driver.status = 15
        #expect(driver.status == 0x4F)
    }

    @Test func `A queue above the device's size makes it need a reset`() {
        #expect(driver.negotiate(Self.version1))
        driver.enable(0, DriverRing(driver.memory, size: 16))
        driver.status = 15
        #expect(driver.status == 0x4F)
        #expect(driver.transport.core.failure == .badSize(16))
    }

    @Test func `A reset forgets queues and features and stops the device`() throws {
        _ = startedRing()
        #expect(device.activation.withLock { $0 != nil })
        driver.status = 0
        #expect(device.activation.withLock { $0 == nil })
        driver.write(0, PCIDriver.common, 0x16, .word)
        #expect(driver.read(PCIDriver.common, 0x1C, .word) == 0)
        #expect(driver.read(PCIDriver.common, 0x20, .qword) == 0)
    }

    @Test func `A configuration change raises the generation and interrupts`() async throws {
        driver.enableVectors(3)
        driver.write(2, PCIDriver.common, 0x10, .word)
        _ = startedRing()
        driver.write(2, PCIDriver.common, 0x10, .word)
        let before = driver.read(PCIDriver.common, 0x15, .byte)
        device.activation.withLock { $0 }?.configurationChanged()
        #expect(driver.read(PCIDriver.common, 0x15, .byte) == before + 1)
        #expect(driver.interrupts.messages.map(\.data) == [0x42])
    }

    @Test func `Device configuration is read and written, by its own structure and through the PCI window`() throws {
        driver.write(0xAA, PCIDriver.device, 1, .byte)
        #expect(driver.read(PCIDriver.device, 0, .dword) == 0x0403_AA01)
        let window = try #require(driver.capabilities[PCIDriver.window])
        let place = try #require(driver.offsets[PCIDriver.device])
        driver.setConfig(0, window + 4, .byte)
        driver.setConfig(place + 2, window + 8)
        driver.setConfig(2, window + 12)
        #expect(driver.config(window + 16) == 0x0403)
        driver.setConfig(1, window + 12)
        driver.setConfig(0x55, window + 16)
        #expect(driver.read(PCIDriver.device, 2, .byte) == 0x55)
        driver.setConfig(3, window + 12)
        driver.setConfig(0x66, window + 16)
        #expect(driver.read(PCIDriver.device, 2, .byte) == 0x55, "no access is three bytes wide")
    }

    @Test(.timeLimit(.minutes(1)))
    func `No wake-up is lost over thousands of requests with event indices`() async throws {
        driver.enableVectors(3)
        let ring = startedRing(Self.version1 | 1 << 29, vector: 1)
        for turn in 0..<3000 as Range<UInt32> {
            try driver.memory.store(turn, at: GuestAddress(0x8000))
            try ring.setUsedEvent(ring.seenIndex)
            try ring.offer([(0x8000, 4, false), (0x9000, 4, true)])
            // A driver need not notify where the device has not asked for it.
            if try ring.availableEvent == ring.availableIndex &- 1 { driver.notify(0) }
            while try ring.takeUsed() == nil { await driver.interrupts.wait() }
            guard try driver.memory.load(UInt32.self, at: GuestAddress(0x9000)) == turn else {
                Issue.record("turn \(turn) was not echoed")
                return
            }
        }
    }

    @Test func `Random register accesses do not trap`() {
        var generator = SystemRandomNumberGenerator()
        let widths: [AccessWidth] = [.byte, .word, .dword, .qword]
        let target = driver.addressSpace.device.withLock { $0 }
        for _ in 0..<20_000 {
            let offset = UInt64.random(in: 0..<0x8010, using: &generator) & (Bool.random() ? .max : 0x3F)
            let width = widths.randomElement() ?? .byte
            if Bool.random() {
                target?.write(.random(in: 0...(.max)), at: offset, width: width)
            } else {
                _ = target?.read(at: offset, width: width)
            }
        }
    }
}
