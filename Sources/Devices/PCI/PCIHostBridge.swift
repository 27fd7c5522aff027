public import GuestMemory
internal import Synchronization

/// The host bridge at 00:00.0, presented as the memory controller hub of Intel's Q35 (Intel 3 Series datasheet §5.1).
///
/// PCIEXBAR (0x60) places the configuration window of `PCIExpressWindow`. PAM (0x90 to 0x96) and SMRAM (0x9D) are kept
/// as plain bytes: the machine's memory at 0xC0000 to 0xFFFFF is always RAM.
public final class PCIHostBridge: PCIFunction {
    public static let location = PCILocation(slot: 0)
    private static let pciexbar = 0x60

    public let configuration: PCIConfiguration
    private let addressSpace: any PCIAddressSpace
    private let window: PCIExpressWindow
    /// Where the window is mapped.
    ///
    /// Held while it is moved.
    private let mapped = Mutex<(base: UInt64, byteCount: UInt64)?>(nil)

    /// `windowBase`: Where the configuration window lies after reset, a multiple of 256 MiB below 64 GiB; nil
    ///   leaves it to the firmware.
    public init(window: PCIExpressWindow, in addressSpace: any PCIAddressSpace, windowBase: UInt64? = nil) {
        let identity = PCIIdentity(
            vendor: 0x8086,
            device: 0x29C0,
            classCode: 0x06_00_00,
            subsystemVendor: 0x1AF4,
            subsystem: 0x1100
        )
        var space = PCIConfigurationSpace(identity)
        space.allowWrites(in: 0x40..<0x100)
        // PCIEXBAR: 35:26 base (what the length leaves of it), 2:1 length, 0 enable.
        for (index, mask) in ([0x07, 0x00, 0x00, 0xFC, 0x0F, 0, 0, 0] as [UInt8]).enumerated() {
            space.allowWrites(mask, at: Self.pciexbar + index)
        }
        if let windowBase {
            space.setDword(UInt32(truncatingIfNeeded: windowBase & 0xF000_0000) | 1, at: Self.pciexbar)
            space.setDword(UInt32(truncatingIfNeeded: windowBase >> 32 & 0xF), at: Self.pciexbar + 4)
        }
        configuration = PCIConfiguration(space)
        self.window = window
        self.addressSpace = addressSpace
        moveWindow()
    }

    public func readConfiguration(at offset: Int, width: AccessWidth) -> UInt32 {
        configuration.read(at: offset, width: width)
    }

    public func writeConfiguration(_ value: UInt32, at offset: Int, width: AccessWidth) {
        configuration.write(value, at: offset, width: width)
        if offset < Self.pciexbar + 8, offset &+ width.rawValue > Self.pciexbar { moveWindow() }
    }

    public func reset() {
        configuration.reset()
        moveWindow()
    }

    func moveWindow() {
        mapped.withLock { mapped in
            let (low, high) = configuration.update { ($0.dword(at: Self.pciexbar), $0.dword(at: Self.pciexbar + 4)) }
            var wanted: (base: UInt64, byteCount: UInt64)?
            let length = low >> 1 & 3
            if low & 1 != 0, length < 3 {
                let byteCount = PCIExpressWindow.byteCount >> UInt64(length)
                let base = (UInt64(high & 0xF) << 32 | UInt64(low)) & ~(byteCount - 1)
                if base != 0 { wanted = (base, byteCount) }
            }
            if let old = mapped {
                if let wanted, wanted == old { return }
                addressSpace.unmap(in: .memory, at: old.base, byteCount: old.byteCount)
                mapped = nil
            }
            guard let wanted else { return }
            if addressSpace.map(window, in: .memory, at: wanted.base, byteCount: wanted.byteCount) { mapped = wanted }
        }
    }
}
