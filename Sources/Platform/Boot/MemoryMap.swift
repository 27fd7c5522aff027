internal import ByteCoding
public import GuestMemory

/// What lies where in the physical address space of a `pc`, and the e820 map that tells its guest (ACPI 6.4 §15).
///
/// ```
/// 0                 RAM                                   0x9fc00       EBDA, reserved
/// 0xa0000           (VGA)                                 0xe0000       BIOS, or the RSDP; reserved
/// 0x100000          RAM, up to 0xb0000000 at most; its last 64 KiB hold the ACPI tables
/// 0xb0000000        ECAM, reserved                        4 GiB − n     firmware image, reserved
/// 4 GiB             the RAM that found no place below
/// ```
public struct MemoryMap: Hashable, Sendable {
    /// The types of e820 entries.
    public enum Kind: UInt32, Sendable {
        case usable = 1
        case reserved = 2
        case acpiTables = 3
        case acpiNonVolatile = 4
    }

    public struct Entry: Hashable, Sendable {
        public let base: UInt64
        public let byteCount: UInt64
        public let kind: Kind

        public var end: UInt64 { base &+ byteCount }
    }

    /// Where RAM below 4 GiB ends at the latest, and devices begin.
    public static let deviceHoleBase: UInt64 = 0xB000_0000
    public static let fourGiB: UInt64 = 1 << 32
    /// The extended BIOS data area: the last KiB below 640 KiB.
    public static let extendedBIOSData: UInt64 = 0x9FC00
    /// Where the RSDP lies when no firmware is there to place it.
    public static let rsdpAddress: UInt64 = 0xE0000

    public let memoryByteCount: Int
    /// Where RAM below 4 GiB ends.
    public let lowEnd: UInt64
    /// Where RAM above 4 GiB ends; 4 GiB where there is none.
    public let highEnd: UInt64
    /// The part of low RAM that holds the ACPI tables.
    public let acpiTables: Range<UInt64>
    public let ecam: Range<UInt64>?
    public let firmwareByteCount: Int

    /// Lays out `memoryByteCount` bytes of RAM, a multiple of 4096 from 2 MiB to 1 TiB.
    ///
    /// `ecam` is PCI's memory-mapped configuration space, `firmwareByteCount` the size of the ROM that ends at 4 GiB (0 for
    /// none) and `acpiByteCount` what is kept for the ACPI tables.
    public init(
        memoryByteCount: Int,
        ecam: Range<UInt64>? = 0xB000_0000..<0xC000_0000,
        firmwareByteCount: Int = 0,
        acpiByteCount: Int = 0x10000
    ) throws(BootError) {
        guard acpiByteCount >= 4096, acpiByteCount <= 1 << 19, acpiByteCount.isMultiple(of: 4096) else {
            throw .tablesTooLarge(byteCount: acpiByteCount, limit: 1 << 19)
        }
        guard memoryByteCount >= 2 << 20, memoryByteCount <= 1 << 40, memoryByteCount.isMultiple(of: 4096) else {
            throw .badMemorySize(byteCount: memoryByteCount)
        }
        self.memoryByteCount = memoryByteCount
        lowEnd = min(UInt64(memoryByteCount), Self.deviceHoleBase)
        highEnd = Self.fourGiB + UInt64(memoryByteCount) - lowEnd
        acpiTables = (lowEnd - UInt64(acpiByteCount))..<lowEnd
        self.ecam = ecam
        self.firmwareByteCount = firmwareByteCount
    }

    /// The e820 map for a guest that is started without firmware, in ascending order.
    public var entries: [Entry] {
        var entries = [
            Entry(base: 0, byteCount: Self.extendedBIOSData, kind: .usable),
            Entry(base: Self.extendedBIOSData, byteCount: 0xA0000 - Self.extendedBIOSData, kind: .reserved),
            Entry(base: Self.rsdpAddress, byteCount: 0x10_0000 - Self.rsdpAddress, kind: .reserved),
            Entry(base: 0x10_0000, byteCount: acpiTables.lowerBound - 0x10_0000, kind: .usable),
            Entry(base: acpiTables.lowerBound, byteCount: UInt64(acpiTables.count), kind: .acpiTables),
        ]
        if let ecam { entries.append(Entry(base: ecam.lowerBound, byteCount: UInt64(ecam.count), kind: .reserved)) }
        if firmwareByteCount > 0 {
            let byteCount = UInt64(firmwareByteCount)
            entries.append(Entry(base: Self.fourGiB - byteCount, byteCount: byteCount, kind: .reserved))
        }
        if highEnd > Self.fourGiB {
            entries.append(Entry(base: Self.fourGiB, byteCount: highEnd - Self.fourGiB, kind: .usable))
        }
        return entries
    }

    /// The regions to make ``GuestMemory`` with: RAM, and the firmware's ROM below 4 GiB.
    public var regions: [(base: GuestAddress, byteCount: Int, isReadOnly: Bool)] {
        var regions = [(base: GuestAddress(0), byteCount: Int(lowEnd), isReadOnly: false)]
        if firmwareByteCount > 0 {
            regions.append((GuestAddress(Self.fourGiB - UInt64(firmwareByteCount)), firmwareByteCount, true))
        }
        if highEnd > Self.fourGiB {
            regions.append((GuestAddress(Self.fourGiB), Int(highEnd - Self.fourGiB), false))
        }
        return regions
    }

    /// The `fw_cfg` file `etc/e820`, from which SeaBIOS takes RAM: whole RAM ranges and the reserved ECAM.
    public var firmwareFile: [UInt8] {
        var ranges = [Entry(base: 0, byteCount: lowEnd, kind: .usable)]
        if highEnd > Self.fourGiB {
            ranges.append(Entry(base: Self.fourGiB, byteCount: highEnd - Self.fourGiB, kind: .usable))
        }
        if let ecam { ranges.append(Entry(base: ecam.lowerBound, byteCount: UInt64(ecam.count), kind: .reserved)) }
        return ranges.flatMap(\.e820Bytes)
    }

    /// Whether `byteCount` bytes at `base` are usable RAM that nothing of ours lies in.
    func isFree(base: UInt64, byteCount: UInt64) -> Bool {
        let (end, overflow) = base.addingReportingOverflow(byteCount)
        guard !overflow, base >= LowMemory.end else { return false }
        return entries.contains { $0.kind == .usable && base >= $0.base && end <= $0.end }
    }

    /// Where usable RAM below 4 GiB ends.
    var usableLowEnd: UInt64 { acpiTables.lowerBound }
}

extension MemoryMap.Entry {
    /// The 20 bytes of an e820 entry.
    var e820Bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: base)
        bytes.append(littleEndian: byteCount)
        bytes.append(littleEndian: kind.rawValue)
        return bytes
    }
}
