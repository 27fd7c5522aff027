public import GuestMemory
public import PCI

/// A virtio device as a function of a PCI bus, modern only (Virtio 1.3 §4.1).
///
/// One 32-bit memory range of 32 KiB in base address register 0; MSI-X with a vector for each queue and one for
/// configuration changes; INTA# while MSI-X is off.
public final class VirtioPCITransport: PCIFunction {
    public let configuration: PCIConfiguration
    public let core: VirtioTransportCore
    let interrupts: VirtioPCIInterrupts
    private let registers: VirtioPCIRegisters
    /// Where the PCI configuration access capability lies (§4.1.4.9).
    private let accessOffset: Int

    private enum Access {
        static let bar = 4
        static let offset = 8
        static let length = 12
        static let data = 16
    }

    /// `classCode`: 0xBBSSPP; nil takes what fits the device's type.
    public init(_ device: any VirtioDevice, memory: GuestMemory, classCode: UInt32? = nil) {
        let queueCount = device.queueSizes.count
        let vectors = MSIX(vectorCount: queueCount + 1)
        let pin = PCIInterruptPin()
        let interrupts = VirtioPCIInterrupts(queueCount: queueCount, vectors: vectors, pin: pin)
        self.interrupts = interrupts
        core = VirtioTransportCore(device, memory: memory, interrupts: interrupts)
        registers = VirtioPCIRegisters(core: core, interrupts: interrupts, vectors: vectors)

        let identity = PCIIdentity(
            vendor: 0x1AF4,
            device: UInt16(truncatingIfNeeded: 0x1040 &+ device.deviceID),
            revision: 1,
            classCode: classCode ?? Self.classCode(ofDevice: device.deviceID),
            subsystemVendor: 0x1AF4,
            subsystem: 0x1100
        )
        typealias Places = VirtioPCIRegisters
        var space = PCIConfigurationSpace(identity, interruptPin: 1)
        space.addStructure(1, offset: Places.commonOffset, byteCount: VirtioCommonField.byteCount)
        space.addStructure(3, offset: Places.isrOffset, byteCount: 4)
        space.addStructure(4, offset: Places.deviceOffset, byteCount: Places.partByteCount)
        space.addStructure(
            2,
            offset: Places.notifyOffset,
            byteCount: UInt64(queueCount) * Places.notifyMultiplier,
            extra: [UInt8(Places.notifyMultiplier), 0, 0, 0]
        )
        accessOffset = space.addStructure(5, offset: 0, byteCount: 0, extra: [0, 0, 0, 0], isWindow: true)
        configuration = PCIConfiguration(
            space,
            baseAddresses: [
                PCIBaseAddress(register: 0, kind: .memory32, byteCount: Places.byteCount, device: registers)
            ],
            msix: (vectors, barRegister: 0, tableOffset: UInt32(Places.vectorOffset)),
            pin: pin
        )
    }

    private static func classCode(ofDevice deviceID: UInt32) -> UInt32 {
        switch deviceID {
        case 1: 0x02_00_00  // Ethernet controller
        case 2: 0x01_00_00  // SCSI storage controller
        case 3: 0x07_80_00  // other communication controller
        default: 0x00_FF_00  // none of the classes
        }
    }

    public func readConfiguration(at offset: Int, width: AccessWidth) -> UInt32 {
        if touchesWindow(offset, width), let place = window {
            let value = UInt32(
                truncatingIfNeeded: registers.read(at: place.offset, width: place.width) & place.width.mask
            )
            configuration.update { $0.setDword(value, at: accessOffset + Access.data) }
        }
        return configuration.read(at: offset, width: width)
    }

    public func writeConfiguration(_ value: UInt32, at offset: Int, width: AccessWidth) {
        configuration.write(value, at: offset, width: width)
        if touchesWindow(offset, width), let place = window {
            let value = configuration.read(at: accessOffset + Access.data, width: .dword)
            registers.write(UInt64(value) & place.width.mask, at: place.offset, width: place.width)
        }
    }

    /// Stops the device's worker before it returns.
    public func reset() {
        core.reset()
        configuration.reset()
    }

    private func touchesWindow(_ offset: Int, _ width: AccessWidth) -> Bool {
        let data = accessOffset + Access.data
        return offset < data + 4 && offset &+ width.rawValue > data
    }

    /// The register that the capability's fields point to, if they make sense.
    private var window: (offset: UInt64, width: AccessWidth)? {
        let offset = UInt64(configuration.read(at: accessOffset + Access.offset, width: .dword))
        let length = configuration.read(at: accessOffset + Access.length, width: .dword)
        guard configuration.read(at: accessOffset + Access.bar, width: .byte) == 0,
            length <= 4, let width = AccessWidth(rawValue: Int(length)), offset % UInt64(length) == 0,
            offset < VirtioPCIRegisters.byteCount
        else { return nil }
        return (offset, width)
    }
}

extension PCIConfigurationSpace {
    /// Appends the vendor capability that tells where a structure lies in base address register 0 (Virtio 1.3 §4.1.4).
    ///
    ///      00 id 09, next, length, type    04 bar, id, 0, 0    08 offset    0C length    10 extra
    ///
    /// `isWindow`: Whether the driver may write bar, offset, length and extra.
    @discardableResult
    fileprivate mutating func addStructure(
        _ type: UInt8,
        offset: UInt64,
        byteCount: UInt64,
        extra: [UInt8] = [],
        isWindow: Bool = false
    ) -> Int {
        var body = [UInt8(16 + extra.count), type, 0, 0, 0, 0]
        for value in [offset, byteCount] {
            for index in 0..<4 as Range<UInt64> { body.append(UInt8(truncatingIfNeeded: value >> (index * 8))) }
        }
        let writable = [0, 0, 0xFF, 0, 0, 0] + [UInt8](repeating: 0xFF, count: 8 + extra.count)
        return addCapability(0x09, body: body + extra, writable: isWindow ? writable : [])
    }
}
