internal import Boot
internal import DeviceModel
internal import Engine
internal import GuestMemory
internal import InterruptControllers
internal import LegacyDevices
internal import PCI
internal import Telemetry

/// One power cycle of a `pc`: memory, vCPUs, interrupt controllers, devices and buses, put together from a configuration.
///
/// A reset makes a new one. What lies on the host (the serial port's other end, the trace, the user's requests) is handed in.
final class PCMachine {
    let configuration: MachineConfiguration
    let control: MachineControl
    let time: MachineTime
    let map: MemoryMap
    let memory: GuestMemory
    let ports = Bus(name: "port")
    let memoryBus = Bus(name: "memory")
    let fabric = InterruptFabric()
    let router: InterruptRouter
    let members: [MachineRunner.Member]
    let legacy: LegacyDeviceSet
    let pci: PCIDeviceSet
    /// vCPUs as their APICs, which hold them weakly, see them.
    private let processorPorts: [ProcessorPort]
    private let trace: MachineTrace?
    let serial: SerialBackend
    /// The size of its BIOS image, or 0.
    let firmwareByteCount: Int

    /// `pausedAt`: The machine's time, for one that stands still until it is resumed.
    init(
        _ configuration: MachineConfiguration,
        disks: DiskSet,
        networks: [NetworkPort],
        services: HostServices,
        serial: SerialBackend,
        control: MachineControl,
        trace: MachineTrace?,
        factory: any ProcessorFactory,
        pausedAt: UInt64? = nil
    ) throws(MachineError) {
        self.configuration = configuration
        self.serial = serial
        self.control = control
        self.trace = trace
        guard (1...MachineConfiguration.processorLimit).contains(configuration.processorCount) else {
            throw .badProcessorCount(configuration.processorCount)
        }
        let time = MachineTime(configuration.clock, now: pausedAt ?? 0, isPaused: pausedAt != nil)
        self.time = time
        do throws(BootError) {
            firmwareByteCount = try configuration.boot.firmwareByteCount
            map = try MemoryMap(
                memoryByteCount: configuration.memoryByteCount,
                firmwareByteCount: firmwareByteCount
            )
        } catch {
            throw .boot(error)
        }
        do throws(GuestMemoryError) { memory = try GuestMemory(layout: map.regions) } catch { throw .memory(error) }

        // Interrupt controllers.
        let pair = InterruptController8259(output: fabric.externalInterruptLine)
        fabric.connect(externalInterrupts: pair)
        let ioAPIC = IOAPIC(id: 0, fabric: fabric)
        fabric.connect(ioAPIC)
        router = InterruptRouter(pair: pair, ioAPIC: ioAPIC)

        // Processors, each with its APIC.
        let fabric = fabric
        let apics = (0..<configuration.processorCount).map { index in
            LocalAPIC(
                id: UInt32(index),
                isBootstrap: index == 0,
                fabric: fabric,
                timers: time.timers,
                clock: time.clock,
                physicalAddressWidth: PCAddresses.physicalWidth
            )
        }
        var members: [MachineRunner.Member] = []
        for (index, apic) in apics.enumerated() {
            let setup = ProcessorSetup(
                index: index,
                count: apics.count,
                memory: memory,
                controller: apic,
                clock: time.clock,
                model: configuration.model,
                trace: trace
            )
            members.append(MachineRunner.Member(processor: try factory.makeProcessor(setup), localAPIC: apic))
        }
        self.members = members
        processorPorts = members.map { ProcessorPort($0.processor.cpu, control: control) }
        for (apic, port) in zip(apics, processorPorts) { apic.connect(port) }

        // Devices.
        let parts = MachineParts(
            configuration: configuration,
            disks: disks,
            networks: networks,
            services: services,
            memory: memory,
            timers: time.timers,
            router: router,
            control: control,
            serial: serial
        )
        legacy = LegacyDeviceSet(parts, pair: pair, ioAPIC: ioAPIC)
        pci = try PCIDeviceSet(
            parts,
            messages: fabric,
            ports: ports,
            memoryBus: memoryBus,
            powerManagement: legacy.powerManagement
        )
        do throws(BusError) {
            try legacy.map(on: ports, memory: memoryBus)
            try ports.map(
                legacy.resetControl.overlaying(pci.configurationPorts),
                base: PCIConfigurationPorts.basePort,
                byteCount: PCIConfigurationPorts.byteCount
            )
        } catch {
            throw .bus(error)
        }
        try start()
    }

    /// A runner of this machine's vCPUs.
    func makeRunner() -> MachineRunner {
        MachineRunner(
            members: members,
            ports: ports,
            memoryBus: memoryBus,
            control: control,
            time: time,
            trace: trace
        )
    }

    /// Ends every thread and timer of this power cycle; what the guest has sent is handed on first.
    func stop() {
        legacy.flush()
        time.stop()
        pci.stop()
    }
}

/// What devices are made from.
struct MachineParts {
    let configuration: MachineConfiguration
    let disks: DiskSet
    let networks: [NetworkPort]
    let services: HostServices
    let memory: GuestMemory
    let timers: any TimerService
    let router: InterruptRouter
    let control: MachineControl
    let serial: SerialBackend
}
