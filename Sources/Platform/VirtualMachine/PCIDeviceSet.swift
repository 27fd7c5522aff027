internal import DeviceModel
internal import GuestMemory
internal import InterruptControllers
internal import LegacyDevices
internal import PCI
internal import Telemetry
internal import Virtio
internal import VirtioBalloon
internal import VirtioBlock
internal import VirtioConsole
internal import VirtioEntropy
internal import VirtioNet

/// Bus 0 of a machine: bridges, the entropy device, a block device for each disk, and a network device for each port.
struct PCIDeviceSet {
    let bus: PCIBus
    let configurationPorts: any BusDevice
    /// The slots of the disks, in the order of the configuration.
    let diskSlots: [Int]

    /// In the order of the configuration.
    let disks: [VirtioBlock]
    let balloon: VirtioBalloon?
    private let networkDevices: [VirtioNet]

    private static let firstVirtioSlot = 1

    init(
        _ parts: MachineParts,
        messages: any MSISink,
        ports: Bus,
        memoryBus: Bus,
        powerManagement: ACPIPowerManagement
    ) throws(MachineError) {
        let hasFirmware = parts.configuration.boot.isFirmware
        let space = BusAddressSpace(ports: ports, memory: memoryBus)
        let placement = PowerManagementPorts(powerManagement, on: ports)
        let bridge = LPCBridge(powerManagementBase: hasFirmware ? nil : PCAddresses.powerManagement) { base in
            placement.place(at: base)
        }
        if !hasFirmware { placement.place(at: PCAddresses.powerManagement) }
        bus = PCIBus(
            addressSpace: space,
            interruptLines: (0..<PCIBus.lineCount).map { Self.line($0, parts.router, bridge) },
            messages: messages
        )
        configurationPorts = PCIConfigurationPorts(bus)
        let hostBridge = PCIHostBridge(
            window: PCIExpressWindow(bus),
            in: space,
            windowBase: hasFirmware ? nil : PCAddresses.configurationWindow
        )
        var devices: [any VirtioDevice] = [VirtioEntropy()]
        if parts.configuration.hasVirtioConsole {
            let serial = parts.serial
            let console = VirtioConsole { serial.write($0) }
            serial.connect(console)
            devices.append(console)
        }
        let firstDiskSlot = Self.firstVirtioSlot + devices.count
        disks = parts.disks.makeDevices(timers: parts.timers)
        devices += disks
        networkDevices = parts.networks.map { port in
            VirtioNet(port.configuration, backend: port.backend, timers: parts.timers, observer: port.observer)
        }
        devices += networkDevices
        let services = parts.services.makeDevices()
        balloon = services.lazy.compactMap { $0 as? VirtioBalloon }.first
        devices += services
        diskSlots = disks.indices.map { firstDiskSlot + $0 }
        do throws(PCIError) {
            try bus.add(hostBridge, at: PCIHostBridge.location)
            try bus.add(bridge, at: LPCBridge.location)
            for (index, device) in devices.enumerated() {
                let slot = Self.firstVirtioSlot + index
                guard slot < LPCBridge.location.slot else { throw .slotUnavailable(LPCBridge.location) }
                try bus.add(VirtioPCITransport(device, memory: parts.memory), at: PCILocation(slot: slot))
            }
            if !hasFirmware {
                try bus.assignResources(memoryWindow: PCAddresses.pciMemory, portWindow: PCAddresses.pciPorts)
            }
        } catch {
            throw .pci(error)
        }
    }

    /// One of the eight lines that PCI interrupt pins share: a pin of the I/O APIC, and the 8259 input that the bridge routes it to.
    private static func line(_ number: Int, _ router: InterruptRouter, _ bridge: LPCBridge) -> InterruptLine {
        let direct = router.line(globalSystemInterrupt: PCIBus.firstGSI + number)
        let routed = (0..<16).map { router.line($0) }
        return InterruptLine { level in
            direct.set(level)
            if let irq = bridge.interruptRoute(ofLine: number) { routed[Int(irq)].set(level) }
        }
    }

    /// The counters of the devices.
    var reports: [CounterReport] {
        networkDevices.enumerated().map { index, device in
            let counters = device.counters
            var report = CounterReport(part: "net\(index)")
            report.add("frames sent", counters.sentFrames)
            report.add("bytes sent", counters.sentBytes, .bytes)
            report.add("frames received", counters.receivedFrames)
            report.add("bytes received", counters.receivedBytes, .bytes)
            report.add("malformed frames", counters.malformedFrames)
            report.add("frames lost for want of room", counters.lostFrames)
            report.add("frames for other stations", counters.filteredFrames)
            return report
        }
    }

    /// Ends the devices' threads.
    func stop() {
        bus.reset()
        bus.detach()
    }
}
