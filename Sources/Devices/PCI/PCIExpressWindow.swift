public import DeviceModel
public import GuestMemory

/// The enhanced configuration access mechanism: 4 KiB a function, 1 MiB a bus (PCIe 4.0 §7.2.2).
public final class PCIExpressWindow: BusDevice {
    /// Bytes for all 256 buses.
    public static let byteCount: UInt64 = 256 << 20

    private let bus: PCIBus

    public init(_ bus: PCIBus) { self.bus = bus }

    public func read(at offset: UInt64, width: AccessWidth) -> UInt64 {
        guard let place = place(offset) else { return width.mask }
        return bus.read(bus: place.bus, function: place.function, at: place.register, width: width)
    }

    public func write(_ value: UInt64, at offset: UInt64, width: AccessWidth) {
        guard let place = place(offset) else { return }
        bus.write(value, bus: place.bus, function: place.function, at: place.register, width: width)
    }

    private func place(_ offset: UInt64) -> (bus: Int, function: Int, register: Int)? {
        guard offset < Self.byteCount else { return nil }
        return (Int(offset >> 20), Int(offset >> 12 & 0xFF), Int(offset & 0xFFF))
    }
}
