public import DeviceModel

/// An interrupt on its way to local APICs: what an MSI, an I/O APIC pin or an interrupt command says (SDM 3A §10.6.1, §10.11).
public struct InterruptMessage: Hashable, Sendable {
    /// What the receiver does with it; raw values as in the ICR, the redirection table and MSI data.
    public enum DeliveryMode: UInt8, Sendable {
        case fixed = 0
        case lowestPriority = 1
        case systemManagement = 2
        case reserved = 3
        case nonMaskable = 4
        case initialize = 5
        case startUp = 6
        case external = 7
    }

    /// An APIC ID or a logical destination; 0xFF stands for every APIC if ``isWide`` is false, else 0xFFFF_FFFF.
    public var destination: UInt32
    public var isLogical: Bool
    /// The destination has 32 bits: it comes from an x2APIC.
    public var isWide: Bool
    public var mode: DeliveryMode
    public var vector: UInt8
    public var isLevelTriggered: Bool

    public init(
        destination: UInt32,
        isLogical: Bool = false,
        isWide: Bool = false,
        mode: DeliveryMode = .fixed,
        vector: UInt8,
        isLevelTriggered: Bool = false
    ) {
        self.destination = destination
        self.isLogical = isLogical
        self.isWide = isWide
        self.mode = mode
        self.vector = vector
        self.isLevelTriggered = isLevelTriggered
    }

    /// The message that an MSI write carries, or nil if it is not to the interrupt window at 0xFEE0_0000.
    ///
    /// With a redirection hint, fixed delivery goes to one APIC of the set (SDM 3A §10.11.1). Without one the manual has the
    /// destination mode ignored; processors honour it, and Linux relies on that.
    public init?(_ msi: MSI) {
        guard msi.address & 0xFFFF_FFFF_FFF0_0000 == 0xFEE0_0000 else { return nil }
        let hasHint = msi.address & 8 != 0
        let mode = DeliveryMode(rawValue: UInt8(truncatingIfNeeded: msi.data >> 8) & 7) ?? .reserved
        self.init(
            destination: UInt32(truncatingIfNeeded: msi.address >> 12) & 0xFF,
            isLogical: msi.address & 4 != 0,
            mode: hasHint && mode == .fixed ? .lowestPriority : mode,
            vector: UInt8(truncatingIfNeeded: msi.data),
            isLevelTriggered: msi.data & 0x8000 != 0
        )
    }

    /// Whether the destination names every APIC.
    var isBroadcast: Bool { isWide ? destination == .max : destination == 0xFF }
}
