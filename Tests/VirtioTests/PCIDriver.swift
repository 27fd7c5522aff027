import DeviceModel
import GuestMemory
import PCI
import Synchronization
import Virtio

/// A device with two queues whose requests are answered with their own bytes, and whose configuration is four bytes.
final class EchoDevice: VirtioDevice {
    let deviceID: UInt32 = 42
    let offeredFeatures = VirtioFeatures(bit: 3)
    let queueSizes: [UInt16] = [8, 16]
    private let config = Mutex<[UInt8]>([1, 2, 3, 4])
    let activation = Mutex<Activation?>(nil)

    func readConfig(at offset: UInt64, width: AccessWidth) -> UInt64 {
        config.withLock { config in
            var value: UInt64 = 0
            for index in 0..<UInt64(width.rawValue) where offset &+ index < 4 {
                value |= UInt64(config[Int(offset &+ index)]) << (index * 8)
            }
            return value
        }
    }
    func writeConfig(_ value: UInt64, at offset: UInt64, width: AccessWidth) {
        config.withLock { if offset < 4 { $0[Int(offset)] = UInt8(truncatingIfNeeded: value) } }
    }
    func activate(_ activation: consuming Activation) {
        let new = activation
        self.activation.withLock { $0 = new }
    }
    func process(queue: Int) throws(VirtioQueueError) {
        guard let target = activation.withLock({ $0 })?.queue(queue) else { return }
        try target.drain { chain throws(VirtioQueueError) in
            try chain.copyIn(try chain.copyOut(at: 0, byteCount: chain.readableByteCount), at: 0)
        }
    }
    func reset() { activation.withLock { $0 = nil } }
}

/// Maps nothing and remembers what was mapped last.
final class OneRange: PCIAddressSpace {
    let device = Mutex<(any BusDevice)?>(nil)
    func map(_ device: any BusDevice, in space: PCISpace, at base: UInt64, byteCount: UInt64) -> Bool {
        self.device.withLock { $0 = device }
        return true
    }
    func unmap(in space: PCISpace, at base: UInt64, byteCount: UInt64) { device.withLock { $0 = nil } }
}

/// Wakes a waiting test when an interrupt comes.
final class InterruptLog: MSISink {
    private let log = Mutex<[MSI]>([])
    private let level = Mutex(false)
    private let (stream, continuation) = AsyncStream.makeStream(of: Void.self)

    func deliver(_ message: MSI) {
        log.withLock { $0.append(message) }
        continuation.yield()
    }
    var line: InterruptLine {
        InterruptLine { level in
            self.level.withLock { $0 = level }
            if level { self.continuation.yield() }
        }
    }
    var messages: [MSI] { log.withLock { $0 } }
    var isUp: Bool { level.withLock { $0 } }
    /// Waits for one interrupt.
    func wait() async { for await _ in stream { return } }
}

/// Finds and drives a virtio device by its PCI registers alone, as a guest's driver does.
final class PCIDriver {
    static let common = 1
    static let notify = 2
    static let isr = 3
    static let device = 4
    static let window = 5

    let memory: GuestMemory
    let interrupts = InterruptLog()
    let addressSpace = OneRange()
    let bus: PCIBus
    let ports: PCIConfigurationPorts
    let transport: VirtioPCITransport
    /// Offsets in base address register 0 by structure type; the capability's own offset for all.
    private(set) var offsets: [Int: UInt64] = [:]
    private(set) var capabilities: [Int: Int] = [:]
    private(set) var notifyMultiplier: UInt64 = 0
    private(set) var msixCapability = 0

    init(_ target: any VirtioDevice) throws {
        memory = try GuestMemory(byteCount: 0x10_0000)
        let line = interrupts.line
        bus = PCIBus(
            addressSpace: addressSpace,
            interruptLines: [InterruptLine](repeating: line, count: 8),
            messages: interrupts
        )
        ports = PCIConfigurationPorts(bus)
        transport = VirtioPCITransport(target, memory: memory)
        try bus.add(transport, at: PCILocation(slot: 1))
        try bus.assignResources(memoryWindow: 0xFE00_0000..<0xFE10_0000, portWindow: 0..<0)
        findCapabilities()
    }

    func config(_ register: Int, _ width: AccessWidth = .dword) -> UInt64 {
        ports.write(UInt64(1 << 31 | 1 << 11 | register & ~3), at: 0, width: .dword)
        return ports.read(at: UInt64(4 + (register & 3)), width: width)
    }
    func setConfig(_ value: UInt64, _ register: Int, _ width: AccessWidth = .dword) {
        ports.write(UInt64(1 << 31 | 1 << 11 | register & ~3), at: 0, width: .dword)
        ports.write(value, at: UInt64(4 + (register & 3)), width: width)
    }

    private func findCapabilities() {
        var place = Int(config(0x34, .byte))
        while place != 0 {
            switch config(place, .byte) {
            case 0x09:
                let type = Int(config(place + 3, .byte))
                capabilities[type] = place
                offsets[type] = config(place + 8)
                if type == Self.notify { notifyMultiplier = config(place + 16) }
            case 0x11: msixCapability = place
            default: break
            }
            place = Int(config(place + 1, .byte))
        }
    }

    func read(_ type: Int, _ offset: UInt64, _ width: AccessWidth) -> UInt64 {
        let device = addressSpace.device.withLock { $0 }
        return device?.read(at: (offsets[type] ?? 0) + offset, width: width) ?? .max
    }
    func write(_ value: UInt64, _ type: Int, _ offset: UInt64, _ width: AccessWidth) {
        let device = addressSpace.device.withLock { $0 }
        device?.write(value, at: (offsets[type] ?? 0) + offset, width: width)
    }

    var status: UInt64 {
        get { read(Self.common, 0x14, .byte) }
        set { write(newValue, Self.common, 0x14, .byte) }
    }

    var offeredFeatures: UInt64 {
        write(0, Self.common, 0x00, .dword)
        let low = read(Self.common, 0x04, .dword)
        write(1, Self.common, 0x00, .dword)
        return low | read(Self.common, 0x04, .dword) << 32
    }

    /// Up to FEATURES_OK; returns whether the device kept it.
    func negotiate(_ features: UInt64) -> Bool {
        status = 0
        status = 1
        status = 3
        for half in 0..<2 as Range<UInt64> {
            write(half, Self.common, 0x08, .dword)
            write(features >> (half * 32) & 0xFFFF_FFFF, Self.common, 0x0C, .dword)
        }
        status = 11
        return status & 8 != 0
    }

    /// Sets up and enables a queue, with the 64-bit addresses in halves.
    func enable(_ queue: UInt64, _ ring: DriverRing, vector: UInt64 = 0xFFFF) {
        write(queue, Self.common, 0x16, .word)
        write(UInt64(ring.size), Self.common, 0x18, .word)
        write(vector, Self.common, 0x1A, .word)
        for (offset, address) in [(0x20, ring.descriptors), (0x28, ring.available), (0x30, ring.used)] {
            write(address.rawValue & 0xFFFF_FFFF, Self.common, UInt64(offset), .dword)
            write(address.rawValue >> 32, Self.common, UInt64(offset + 4), .dword)
        }
        write(1, Self.common, 0x1C, .word)
    }

    func notify(_ queue: UInt64) {
        write(queue, Self.common, 0x16, .word)
        let offset = read(Self.common, 0x1E, .word) * notifyMultiplier
        write(queue, Self.notify, offset, .word)
    }

    /// Turns MSI-X on with all vectors unmasked; vector n sends data 0x40 + n.
    func enableVectors(_ count: UInt64) {
        setConfig(0xC000, msixCapability + 2, .word)
        let table = config(msixCapability + 4) & ~7
        for vector in 0..<count {
            let device = addressSpace.device.withLock { $0 }
            device?.write(0xFEE0_0000, at: table + vector * 16, width: .qword)
            device?.write(0x40 + vector, at: table + vector * 16 + 8, width: .dword)
            device?.write(0, at: table + vector * 16 + 12, width: .dword)
        }
        setConfig(0x8000, msixCapability + 2, .word)
    }
}
