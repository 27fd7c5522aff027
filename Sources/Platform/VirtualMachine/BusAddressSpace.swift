internal import DeviceModel
internal import PCI
internal import Synchronization

/// The machine's buses as PCI functions see them: where base address registers map their ranges.
final class BusAddressSpace: PCIAddressSpace {
    private struct Range: Hashable {
        let space: PCISpace
        let base: UInt64
        let byteCount: UInt64
    }

    private let ports: Bus
    private let memory: Bus
    private let mapped = Mutex<[Range: Bus.Mapping]>([:])

    init(ports: Bus, memory: Bus) {
        self.ports = ports
        self.memory = memory
    }

    private func bus(_ space: PCISpace) -> Bus { space == .port ? ports : memory }

    func map(_ device: any BusDevice, in space: PCISpace, at base: UInt64, byteCount: UInt64) -> Bool {
        guard let mapping = try? bus(space).map(device, base: base, byteCount: byteCount) else { return false }
        mapped.withLock { $0[Range(space: space, base: base, byteCount: byteCount)] = mapping }
        return true
    }

    func unmap(in space: PCISpace, at base: UInt64, byteCount: UInt64) {
        let mapping = mapped.withLock { $0.removeValue(forKey: Range(space: space, base: base, byteCount: byteCount)) }
        if let mapping { bus(space).unmap(mapping) }
    }
}
