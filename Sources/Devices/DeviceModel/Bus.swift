public import GuestMemory
internal import Synchronization

/// An address space of devices: the 64 Ki I/O ports, or everything in physical memory that is not RAM.
///
/// Ranges may be mapped and unmapped while vCPUs run, as PCI base address registers move. The lock is held for a binary search
/// only, never during a device's answer, so a device may move its own ranges while it is being written to. An access that was
/// under way when its range was unmapped still reaches the device.
public final class Bus: Sendable {
    /// One mapped range; ``unmap(_:)`` takes it.
    public struct Mapping: Hashable, Sendable {
        public let base: UInt64
        public let byteCount: UInt64

        var last: UInt64 { base &+ (byteCount &- 1) }
    }

    private struct Entry {
        let mapping: Mapping
        let device: any BusDevice
    }

    public let name: String
    /// Sorted by base; no two overlap.
    private let entries = Mutex<[Entry]>([])

    /// - Parameter name: What messages call this bus, such as `port` or `memory`.
    public init(name: String) { self.name = name }

    /// Lets `device` answer for `byteCount` bytes from `base` on.
    @discardableResult
    public func map(_ device: any BusDevice, base: UInt64, byteCount: UInt64) throws(BusError) -> Mapping {
        guard byteCount > 0, !base.addingReportingOverflow(byteCount &- 1).overflow else {
            throw .badRange(bus: name, base: base, byteCount: byteCount)
        }
        let mapping = Mapping(base: base, byteCount: byteCount)
        let neighbour = entries.withLock { entries -> Mapping? in
            let index = Self.lowerBound(entries, base)
            if index > 0, entries[index - 1].mapping.last >= base { return entries[index - 1].mapping }
            if index < entries.count, entries[index].mapping.base <= mapping.last { return entries[index].mapping }
            entries.insert(Entry(mapping: mapping, device: device), at: index)
            return nil
        }
        if let neighbour { throw .overlap(bus: name, base: base, byteCount: byteCount, existing: neighbour) }
        return mapping
    }

    /// Removes a range; nothing happens if it is not mapped.
    public func unmap(_ mapping: Mapping) { entries.withLock { $0.removeAll { $0.mapping == mapping } } }

    /// What the device at `address` answers, zero-extended; all ones where nothing is mapped.
    public func read(_ address: UInt64, width: AccessWidth) -> UInt64 {
        guard let (device, offset, isWhole) = find(address, width) else {
            return width.mask & splitRead(address, width)
        }
        return width.mask & (isWhole ? device.read(at: offset, width: width) : splitRead(address, width))
    }

    /// Hands `value` to the device at `address`; nobody hears it where nothing is mapped.
    public func write(_ value: UInt64, to address: UInt64, width: AccessWidth) {
        guard let (device, offset, isWhole) = find(address, width), isWhole else {
            return splitWrite(value, address, width)
        }
        device.write(value & width.mask, at: offset, width: width)
    }

    /// Whether a device answers at `address`.
    public func isMapped(_ address: UInt64) -> Bool { find(address, .byte) != nil }

    /// The device at `address`, the offset in its range, and whether the range holds every byte of the access.
    private func find(_ address: UInt64, _ width: AccessWidth) -> (any BusDevice, UInt64, Bool)? {
        entries.withLock { entries in
            let index = Self.lowerBound(entries, address &+ 1)
            // An address of all ones wraps to 0 above: only the last range can hold it.
            let candidate = address == .max ? entries.count : index
            guard candidate > 0 else { return nil }
            let entry = entries[candidate - 1]
            guard address <= entry.mapping.last, address >= entry.mapping.base else { return nil }
            let isWhole = entry.mapping.last &- address >= UInt64(width.rawValue - 1)
            return (entry.device, address &- entry.mapping.base, isWhole)
        }
    }

    /// A read that leaves its range, or starts outside any: each byte is asked for alone.
    private func splitRead(_ address: UInt64, _ width: AccessWidth) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<UInt64(width.rawValue) {
            let byte = find(address &+ index, .byte).map { $0.0.read(at: $0.1, width: .byte) } ?? 0xFF
            value |= (byte & 0xFF) << (8 * index)
        }
        return value
    }

    private func splitWrite(_ value: UInt64, _ address: UInt64, _ width: AccessWidth) {
        for index in 0..<UInt64(width.rawValue) {
            guard let (device, offset, _) = find(address &+ index, .byte) else { continue }
            device.write((value >> (8 * index)) & 0xFF, at: offset, width: .byte)
        }
    }

    /// The index of the first range whose base is at or above `base`.
    private static func lowerBound(_ entries: [Entry], _ base: UInt64) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].mapping.base < base { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// Why a range could not be mapped.
public enum BusError: Error, Hashable, Sendable {
    /// Another device answers for some of these bytes.
    case overlap(bus: String, base: UInt64, byteCount: UInt64, existing: Bus.Mapping)
    /// The range is empty or leaves the address space.
    case badRange(bus: String, base: UInt64, byteCount: UInt64)
}

extension BusError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .overlap(let bus, let base, let byteCount, let existing):
            "\(bus) range 0x\(String(base, radix: 16)) of \(byteCount) bytes overlaps"
                + " the range 0x\(String(existing.base, radix: 16)) of \(existing.byteCount) bytes"
        case .badRange(let bus, let base, let byteCount):
            "\(bus) range 0x\(String(base, radix: 16)) of \(byteCount) bytes is empty or leaves the address space"
        }
    }
}
