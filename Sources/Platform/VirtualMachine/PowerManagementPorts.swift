internal import DeviceModel
internal import LegacyDevices
internal import Synchronization

/// The ACPI ports of a machine, which the LPC bridge's PMBASE moves.
final class PowerManagementPorts: Sendable {
    private let device: ACPIPowerManagement
    private let ports: Bus
    private let mapped = Mutex<[Bus.Mapping]>([])

    init(_ device: ACPIPowerManagement, on ports: Bus) {
        self.device = device
        self.ports = ports
    }

    /// Maps the blocks from `base` on, in place of where they were; nil takes them away.
    ///
    /// A block whose ports are taken stays unmapped.
    func place(at base: UInt16?) {
        typealias Place = PCAddresses
        for mapping in mapped.withLock({ old in
            defer { old = [] }
            return old
        }) { ports.unmap(mapping) }
        guard let base else { return }
        let blocks: [(any BusDevice, UInt16, UInt64)] = [
            (device.eventBlock, 0, ACPIPowerManagement.eventByteCount),
            (device.controlBlock, Place.controlOffset, ACPIPowerManagement.controlByteCount),
            (device.timerBlock, Place.timerOffset, ACPIPowerManagement.timerByteCount),
            (device.generalPurposeBlock, Place.generalPurposeOffset, ACPIPowerManagement.generalPurposeByteCount),
        ]
        for (block, offset, byteCount) in blocks {
            guard let mapping = try? ports.map(block, base: UInt64(base &+ offset), byteCount: byteCount) else {
                continue
            }
            mapped.withLock { $0.append(mapping) }
        }
    }
}
