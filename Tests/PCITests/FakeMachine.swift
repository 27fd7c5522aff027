import DeviceModel
import GuestMemory
import PCI
import Synchronization

/// Records what is mapped where, and answers accesses through it.
final class FakeAddressSpace: PCIAddressSpace {
    struct Range {
        let device: any BusDevice
        let space: PCISpace
        let base: UInt64
        let byteCount: UInt64
    }
    let ranges = Mutex<[Range]>([])

    func map(_ device: any BusDevice, in space: PCISpace, at base: UInt64, byteCount: UInt64) -> Bool {
        ranges.withLock { ranges in
            let isTaken = ranges.contains {
                $0.space == space && $0.base < base + byteCount && base < $0.base + $0.byteCount
            }
            if !isTaken { ranges.append(Range(device: device, space: space, base: base, byteCount: byteCount)) }
            return !isTaken
        }
    }
    func unmap(in space: PCISpace, at base: UInt64, byteCount: UInt64) {
        ranges.withLock { $0.removeAll { $0.space == space && $0.base == base && $0.byteCount == byteCount } }
    }
    func bases(_ space: PCISpace) -> [UInt64] {
        ranges.withLock { $0.filter { $0.space == space }.map(\.base).sorted() }
    }
}

/// Records the messages that were delivered.
final class MessageLog: MSISink {
    private let log = Mutex<[MSI]>([])
    func deliver(_ message: MSI) { log.withLock { $0.append(message) } }
    var messages: [MSI] { log.withLock { $0 } }
}

/// Records the level of a line.
final class LevelLog: Sendable {
    private let log = Mutex<[Bool]>([])
    var line: InterruptLine { InterruptLine { level in self.log.withLock { $0.append(level) } } }
    var level: Bool { log.withLock { $0.last ?? false } }
}

/// Answers every read with its offset.
final class OffsetDevice: BusDevice {
    func read(at offset: UInt64, width: AccessWidth) -> UInt64 { offset & width.mask }
    func write(_ value: UInt64, at offset: UInt64, width: AccessWidth) {}
}

/// A function with nothing but its configuration.
final class PlainFunction: PCIFunction {
    let configuration: PCIConfiguration
    init(_ configuration: PCIConfiguration) { self.configuration = configuration }
    func readConfiguration(at offset: Int, width: AccessWidth) -> UInt32 {
        configuration.read(at: offset, width: width)
    }
    func writeConfiguration(_ value: UInt32, at offset: Int, width: AccessWidth) {
        configuration.write(value, at: offset, width: width)
    }
    func reset() { configuration.reset() }
}

/// A bus with its surroundings.
struct FakeMachine {
    let addressSpace = FakeAddressSpace()
    let messages = MessageLog()
    let levels = (0..<PCIBus.lineCount).map { _ in LevelLog() }
    let bus: PCIBus
    let ports: PCIConfigurationPorts

    init() {
        bus = PCIBus(addressSpace: addressSpace, interruptLines: levels.map(\.line), messages: messages)
        ports = PCIConfigurationPorts(bus)
    }

    func address(_ slot: Int, _ register: Int) {
        ports.write(UInt64(1 << 31 | slot << 11 | register), at: 0, width: .dword)
    }

    /// A read by the ports 0xCF8 and 0xCFC.
    func read(_ slot: Int, _ register: Int, _ width: AccessWidth = .dword) -> UInt64 {
        address(slot, register & ~3)
        return ports.read(at: UInt64(4 + (register & 3)), width: width)
    }
    func write(_ value: UInt64, _ slot: Int, _ register: Int, _ width: AccessWidth = .dword) {
        address(slot, register & ~3)
        ports.write(value, at: UInt64(4 + (register & 3)), width: width)
    }
}

let plainIdentity = PCIIdentity(vendor: 0x1234, device: 0x5678, classCode: 0xFF_00_00)

func plainFunction(_ bases: [(Int, PCIBaseAddress.Kind, UInt64)] = [], pin: UInt8 = 0) -> PlainFunction {
    PlainFunction(
        PCIConfiguration(
            PCIConfigurationSpace(plainIdentity, interruptPin: pin),
            baseAddresses: bases.map {
                PCIBaseAddress(register: $0.0, kind: $0.1, byteCount: $0.2, device: OffsetDevice())
            }
        )
    )
}
