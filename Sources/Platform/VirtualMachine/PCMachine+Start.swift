internal import Boot
internal import DeviceModel
internal import GuestMemory
internal import LegacyDevices

extension PCMachine {
    /// Loads what is to be started and puts vCPU 0 into the state for it.
    func start() throws(MachineError) {
        do throws(BootError) {
            switch configuration.boot {
            case .kernel(let kernel, let initrd, let commandLine):
                let image = try KernelImage(kernel)
                let rsdp = try ACPITables(description).place(in: memory, map)
                let request = BootRequest(memoryMap: map, rsdp: rsdp, commandLine: commandLine, initrd: initrd)
                try image.load(into: memory, request).apply(to: members[0].processor.state)
            case .firmware(let file):
                try Firmware(file).load(into: memory).apply(to: members[0].processor.state)
            case .saved: return
            }
            members[0].processor.stateChanged()
            try describeToFirmware()
        } catch {
            throw .boot(error)
        }
    }

    /// What ACPI tells: the machine's own list.
    private var description: ACPIDescription {
        var description = ACPIDescription(cpuCount: members.count)
        description.powerManagement.hasWideTimer = true
        return description
    }

    /// What fw_cfg and the battery-backed memory tell firmware.
    private func describeToFirmware() throws(BootError) {
        typealias Selector = FirmwareConfiguration.Selector
        let items = legacy.firmwareConfiguration
        let count = UInt16(members.count)
        items.set(Selector.ramByteCount, to: UInt64(configuration.memoryByteCount))
        items.set(Selector.cpuCount, to: count)
        items.set(Selector.maximumCPUCount, to: count)
        items.add(file: "etc/e820", map.firmwareFile)
        items.add(file: "etc/max-cpus", [UInt8(truncatingIfNeeded: count), UInt8(count >> 8)])
        for file in ACPITables(description).firmwareFiles { items.add(file: file.name, file.bytes) }
        // A line a disk, as firmware names them; a zero byte ends the file.
        let order = pci.diskSlots.map { "/pci@i0cf8/scsi@\(String($0, radix: 16))/disk@0,0" }.joined(separator: "\n")
        items.add(file: "bootorder", Array(order.utf8) + [0])
        legacy.realTimeClock.setMemorySize(
            below4GiB: map.lowEnd,
            above4GiB: map.highEnd - MemoryMap.fourGiB
        )
        legacy.realTimeClock.setMemory(UInt8(truncatingIfNeeded: members.count - 1), at: 0x5F)
    }
}

extension BootSource {
    var isFirmware: Bool {
        switch self {
        case .kernel: false
        case .firmware: true
        case .saved(let firmwareByteCount): firmwareByteCount > 0
        }
    }

    /// The size of the checked BIOS image; 0 where none is started.
    var firmwareByteCount: Int {
        get throws(BootError) {
            switch self {
            case .kernel: 0
            case .firmware(let file): try Firmware(file).byteCount
            case .saved(let firmwareByteCount): firmwareByteCount
            }
        }
    }
}
