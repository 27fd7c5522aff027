internal import ByteCoding

/// A list of the resources that a device decodes or produces, as a `_CRS` buffer (ACPI 6.4 §6.4).
public struct ResourceTemplate: Sendable {
    private var bytes: [UInt8] = []

    public init() {}

    /// The buffer's content with its end tag; a checksum of 0 says that none is kept.
    public var value: AMLBuilder.Value { .buffer(bytes + [0x79, 0]) }

    /// Ports at a fixed base, decoded with 16 bits.
    public mutating func ports(_ base: UInt16, count: UInt8) {
        bytes += [0x47, 1]
        bytes.append(littleEndian: base)
        bytes.append(littleEndian: base)
        bytes += [1, count]
    }

    /// An edge-triggered, active-high ISA interrupt.
    public mutating func interrupt(_ line: UInt8) {
        bytes.append(0x22)
        bytes.append(littleEndian: UInt16(1) << UInt16(line & 15))
    }

    /// Memory at a fixed base below 4 GiB.
    public mutating func memory32(_ base: UInt32, byteCount: UInt32) {
        bytes += [0x86, 9, 0, 1]
        bytes.append(littleEndian: base)
        bytes.append(littleEndian: byteCount)
    }

    /// The bus numbers below a host bridge.
    public mutating func busWindow(_ buses: ClosedRange<UInt8>) {
        bytes += [0x88, 13, 0, 2, Self.producer, 0]
        words(UInt16(buses.lowerBound), UInt16(buses.upperBound))
    }

    /// Ports that a host bridge passes on.
    public mutating func portWindow(_ ports: ClosedRange<UInt16>) {
        bytes += [0x88, 13, 0, 1, Self.producer, 3]
        words(ports.lowerBound, ports.upperBound)
    }

    /// Memory that a host bridge passes on; 64-bit descriptors are used where it ends above 4 GiB.
    public mutating func memoryWindow(_ window: Range<UInt64>) {
        guard !window.isEmpty else { return }
        if window.upperBound <= 1 << 32 {
            bytes += [0x87, 23, 0, 0, Self.producer, 1]
            words(UInt32(truncatingIfNeeded: window.lowerBound), UInt32(truncatingIfNeeded: window.upperBound - 1))
        } else {
            bytes += [0x8A, 43, 0, 0, Self.producer, 1]
            words(window.lowerBound, window.upperBound - 1)
        }
    }

    /// Minimum and maximum are fixed, decoding is positive, the device produces.
    private static let producer: UInt8 = 0x0C

    /// Granularity, minimum, maximum, translation and length.
    private mutating func words<T: FixedWidthInteger>(_ minimum: T, _ maximum: T) {
        for word in [0, minimum, maximum, 0, maximum &- minimum &+ 1] { bytes.append(littleEndian: word) }
    }
}
