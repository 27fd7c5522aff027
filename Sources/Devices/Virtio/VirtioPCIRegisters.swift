internal import DeviceModel
internal import GuestMemory
internal import PCI

/// The memory range of a virtio device on PCI (Virtio 1.3 §4.1.4).
///
///     0000 common configuration    1000 ISR status    2000 device configuration    3000 notification
///     4000 MSI-X table and pending bits
final class VirtioPCIRegisters: BusDevice {
    static let byteCount: UInt64 = 0x8000
    static let commonOffset: UInt64 = 0x0000
    static let isrOffset: UInt64 = 0x1000
    static let deviceOffset: UInt64 = 0x2000
    static let notifyOffset: UInt64 = 0x3000
    static let vectorOffset: UInt64 = 0x4000
    static let partByteCount: UInt64 = 0x1000
    /// Bytes between the notification addresses of two queues.
    static let notifyMultiplier: UInt64 = 4

    private let core: VirtioTransportCore
    private let interrupts: VirtioPCIInterrupts
    private let vectors: MSIX

    init(core: VirtioTransportCore, interrupts: VirtioPCIInterrupts, vectors: MSIX) {
        self.core = core
        self.interrupts = interrupts
        self.vectors = vectors
    }

    func read(at offset: UInt64, width: AccessWidth) -> UInt64 {
        switch offset {
        case Self.vectorOffset...: return vectors.read(at: offset - Self.vectorOffset, width: width)
        case Self.notifyOffset...: return 0
        case Self.deviceOffset...: return core.device.readConfig(at: offset - Self.deviceOffset, width: width)
        case Self.isrOffset...: return offset == Self.isrOffset ? UInt64(interrupts.takeStatus()) : 0
        default:
            // Byte by byte over fields: drivers use each field's own width, or halves of the 64-bit ones.
            var value: UInt64 = 0
            var index: UInt64 = 0
            while index < UInt64(width.rawValue) {
                guard let field = VirtioCommonField.holding(offset + index) else {
                    index += 1
                    continue
                }
                let skipped = offset + index - field.place.offset
                value |= (read(field) >> (skipped * 8)) << (index * 8)
                index += field.place.byteCount - skipped
            }
            return value & width.mask
        }
    }

    func write(_ value: UInt64, at offset: UInt64, width: AccessWidth) {
        switch offset {
        case Self.vectorOffset...: vectors.write(value, at: offset - Self.vectorOffset, width: width)
        case Self.notifyOffset...: core.notify(queue: Int((offset - Self.notifyOffset) / Self.notifyMultiplier))
        case Self.deviceOffset...: core.device.writeConfig(value, at: offset - Self.deviceOffset, width: width)
        case Self.isrOffset...: break
        default:
            // One field an access; a part of a field is merged with the rest of it.
            guard let field = VirtioCommonField.holding(offset) else { return }
            let skipped = offset - field.place.offset
            guard skipped + UInt64(width.rawValue) <= field.place.byteCount else { return }
            let mask = width.mask << (skipped * 8)
            let whole = width.rawValue == Int(field.place.byteCount)
            let rest = whole ? 0 : read(field) & ~mask
            write(rest | (value << (skipped * 8)) & mask, to: field)
        }
    }

    private func read(_ field: VirtioCommonField) -> UInt64 {
        switch field {
        case .deviceFeatureSelect: UInt64(core.deviceFeatureSelect)
        case .deviceFeature: UInt64(core.deviceFeatures)
        case .driverFeatureSelect: UInt64(core.driverFeatureSelect)
        case .driverFeature: UInt64(core.driverFeatures)
        case .configurationVector: UInt64(interrupts.configurationVector)
        case .queueCount: UInt64(core.queueCount)
        case .deviceStatus: UInt64(core.status)
        case .configurationGeneration: UInt64(core.configurationGeneration)
        case .queueSelect: UInt64(core.queueSelect)
        case .queueSize: UInt64(core.selectedQueue?.size ?? 0)
        case .queueVector: UInt64(interrupts.vector(ofQueue: Int(core.queueSelect)))
        case .queueEnable: core.selectedQueue?.isEnabled == true ? 1 : 0
        case .queueNotifyOffset: core.selectedQueue == nil ? 0 : UInt64(core.queueSelect)
        case .queueDescriptors: core.selectedQueue?.descriptors ?? 0
        case .queueDriver: core.selectedQueue?.available ?? 0
        case .queueDevice: core.selectedQueue?.used ?? 0
        }
    }

    private func write(_ value: UInt64, to field: VirtioCommonField) {
        let word = UInt16(truncatingIfNeeded: value)
        let dword = UInt32(truncatingIfNeeded: value)
        switch field {
        case .deviceFeatureSelect: core.deviceFeatureSelect = dword
        case .driverFeatureSelect: core.driverFeatureSelect = dword
        case .driverFeature: core.driverFeatures = dword
        case .configurationVector: interrupts.configurationVector = word
        case .deviceStatus: core.writeStatus(UInt8(truncatingIfNeeded: value))
        case .queueSelect: core.queueSelect = word
        case .queueSize: core.updateSelectedQueue { $0.size = word }
        case .queueVector: interrupts.setVector(word, ofQueue: Int(core.queueSelect))
        case .queueEnable: if word == 1 { core.updateSelectedQueue { $0.isEnabled = true } }
        case .queueDescriptors: core.updateSelectedQueue { $0.descriptors = value }
        case .queueDriver: core.updateSelectedQueue { $0.available = value }
        case .queueDevice: core.updateSelectedQueue { $0.used = value }
        case .deviceFeature, .queueCount, .configurationGeneration, .queueNotifyOffset: break
        }
    }
}
