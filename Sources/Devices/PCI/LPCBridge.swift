public import GuestMemory
internal import Synchronization

/// The LPC (ISA) bridge at 00:1f.0, presented as that of Intel's ICH9 (ICH9 datasheet §13.1).
///
/// PMBASE (0x40) with ACPI_CNTL (0x44) places the ACPI power-management ports; the rest of 0x40 to 0xFF, PIRQ routing
/// included, is kept as plain bytes.
public final class LPCBridge: PCIFunction {
    public static let location = PCILocation(slot: 0x1F)
    private enum Register {
        static let powerManagementBase = 0x40
        static let acpiControl = 0x44
        static let pirqAToD = 0x60
        static let pirqEToH = 0x68
    }

    public let configuration: PCIConfiguration
    private let placePowerManagement: @Sendable (UInt16?) -> Void
    private let placed: Mutex<UInt16?>

    /// Makes a bridge after reset.
    ///
    /// `powerManagementBase`: The ports' base after reset, a multiple of 128; nil leaves them to the firmware.
    /// `placePowerManagement`: Called where the base changes, with nil where the ports are turned off. On any
    ///   thread; `init` does not call it.
    public init(
        powerManagementBase: UInt16? = nil,
        placePowerManagement: @escaping @Sendable (UInt16?) -> Void = { _ in }
    ) {
        let identity = PCIIdentity(
            vendor: 0x8086,
            device: 0x2918,
            revision: 2,
            classCode: 0x06_01_00,
            subsystemVendor: 0x1AF4,
            subsystem: 0x1100
        )
        var space = PCIConfigurationSpace(identity, isMultifunction: true)
        space.allowWrites(in: 0x40..<0x100)
        // PMBASE: 15:7 base, 0 reads 1.
        for (index, mask) in ([0x80, 0xFF, 0, 0] as [UInt8]).enumerated() {
            space.allowWrites(mask, at: Register.powerManagementBase + index)
        }
        space.setDword(UInt32(powerManagementBase.map { $0 & 0xFF80 } ?? 0) | 1, at: Register.powerManagementBase)
        space.set(powerManagementBase == nil ? 0 : 0x80, at: Register.acpiControl)
        // PIRQs are routed nowhere after reset: bit 7 set.
        for index in 0..<4 {
            space.set(0x80, at: Register.pirqAToD + index)
            space.set(0x80, at: Register.pirqEToH + index)
        }
        configuration = PCIConfiguration(space)
        self.placePowerManagement = placePowerManagement
        placed = Mutex(powerManagementBase.map { $0 & 0xFF80 })
    }

    /// The 8259 input that PIRQ line 0 to 7 (A to H) is routed to, or nil.
    public func interruptRoute(ofLine line: Int) -> UInt8? {
        guard (0..<8).contains(line) else { return nil }
        let offset = (line < 4 ? Register.pirqAToD : Register.pirqEToH) + line % 4
        let value = configuration.read(at: offset, width: .byte)
        return value & 0x80 == 0 ? UInt8(value & 0xF) : nil
    }

    public func readConfiguration(at offset: Int, width: AccessWidth) -> UInt32 {
        configuration.read(at: offset, width: width)
    }

    public func writeConfiguration(_ value: UInt32, at offset: Int, width: AccessWidth) {
        configuration.write(value, at: offset, width: width)
        if offset < Register.acpiControl + 1, offset &+ width.rawValue > Register.powerManagementBase {
            tellPowerManagement()
        }
    }

    public func reset() {
        configuration.reset()
        tellPowerManagement()
    }

    func tellPowerManagement() {
        let base =
            UInt16(truncatingIfNeeded: configuration.read(at: Register.powerManagementBase, width: .word)) & 0xFF80
        let isEnabled = configuration.read(at: Register.acpiControl, width: .byte) & 0x80 != 0
        let now = isEnabled && base != 0 ? base : nil
        let hasChanged = placed.withLock { placed in
            defer { placed = now }
            return placed != now
        }
        if hasChanged { placePowerManagement(now) }
    }
}
