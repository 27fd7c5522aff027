public import DeviceModel
public import GuestMemory
internal import Synchronization

/// Configuration mechanism 1: ports 0xCF8 to 0xCFF (PCI 3.0 §3.2.2.3.2), 8 bytes.
///
///      CF8: 31 enable · 23:16 bus · 15:11 device · 10:8 function · 7:2 register    CFC: data
public final class PCIConfigurationPorts: BusDevice {
    public static let basePort: UInt64 = 0xCF8
    public static let byteCount: UInt64 = 8
    static let addressMask: UInt32 = 0x80FF_FFFC

    private let bus: PCIBus
    let address = Mutex<UInt32>(0)

    public init(_ bus: PCIBus) { self.bus = bus }

    public func reset() { address.withLock { $0 = 0 } }

    public func read(at offset: UInt64, width: AccessWidth) -> UInt64 {
        // Only a double-word access reaches the address register.
        if offset < 4 { return offset == 0 && width == .dword ? UInt64(address.withLock { $0 }) : width.mask }
        guard let target = target(offset) else { return width.mask }
        if target.dataOffset + width.rawValue <= 4 {
            return bus.read(bus: target.bus, function: target.function, at: target.register, width: width)
        }
        var value = width.mask
        for index in 0..<(4 - target.dataOffset) {
            let byte = bus.read(bus: target.bus, function: target.function, at: target.register + index, width: .byte)
            let shift = UInt64(index * 8)
            value = value & ~(0xFF << shift) | byte << shift
        }
        return value
    }

    public func write(_ value: UInt64, at offset: UInt64, width: AccessWidth) {
        if offset < 4 {
            guard offset == 0, width == .dword else { return }
            address.withLock { $0 = UInt32(truncatingIfNeeded: value) & Self.addressMask }
            return
        }
        guard let target = target(offset) else { return }
        if target.dataOffset + width.rawValue <= 4 {
            bus.write(value, bus: target.bus, function: target.function, at: target.register, width: width)
            return
        }
        for index in 0..<(4 - target.dataOffset) {
            let byte = value >> UInt64(index * 8) & 0xFF
            bus.write(byte, bus: target.bus, function: target.function, at: target.register + index, width: .byte)
        }
    }

    private func target(_ offset: UInt64) -> (bus: Int, function: Int, register: Int, dataOffset: Int)? {
        let address = address.withLock { $0 }
        guard address & 1 << 31 != 0, offset < 8 else { return nil }
        let dataOffset = Int(offset - 4)
        let register = Int(address & 0xFC) + dataOffset
        return (Int(address >> 16 & 0xFF), Int(address >> 8 & 0xFF), register, dataOffset)
    }
}
