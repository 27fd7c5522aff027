public import DeviceModel

/// The address spaces that a base address register decodes (PCI 3.0 §6.2.5.1).
public enum PCISpace: Hashable, Sendable {
    case memory
    case port
}

/// Where functions map the ranges that their base address registers decode; the machine adapts it to its buses.
///
/// Called from any thread, while the caller holds its mapping lock: an implementation must not access PCI registers.
public protocol PCIAddressSpace: AnyObject, Sendable {
    /// Maps `device` at `base`.
    ///
    /// - Returns: Whether the range was free. A range that was refused is not unmapped later.
    func map(_ device: any BusDevice, in space: PCISpace, at base: UInt64, byteCount: UInt64) -> Bool
    /// Takes back a range that ``map(_:in:at:byteCount:)`` accepted.
    func unmap(in space: PCISpace, at base: UInt64, byteCount: UInt64)
}
