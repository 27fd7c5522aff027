/// What a machine tells its guest through ACPI: the machine's own list of what it has.
public struct ACPIDescription: Hashable, Sendable {
    /// An ISA interrupt that reaches the I/O APIC elsewhere, or otherwise triggered, than its number says.
    public struct InterruptOverride: Hashable, Sendable {
        public var isaLine: UInt8
        public var gsi: UInt32
        /// Polarity 1:0 and trigger mode 3:2 (ACPI 6.4 table 5.26): 0 as the bus, 0xD level and active high.
        public var flags: UInt16

        public init(isaLine: UInt8, gsi: UInt32, flags: UInt16 = 0) {
            self.isaLine = isaLine
            self.gsi = gsi
            self.flags = flags
        }
    }

    /// PCI's memory-mapped configuration space, 1 MiB a bus.
    public struct ECAM: Hashable, Sendable {
        public var base: UInt64
        public var buses: ClosedRange<UInt8>

        public init(base: UInt64 = 0xB000_0000, buses: ClosedRange<UInt8> = 0...255) {
            self.base = base
            self.buses = buses
        }
    }

    /// The ACPI fixed hardware's ports (ACPI 6.4 §4.8).
    public struct PowerManagement: Hashable, Sendable {
        /// PM1 status, 2 bytes, and PM1 enable after it.
        public var eventPort: UInt16
        /// PM1 control, 2 bytes.
        public var controlPort: UInt16
        public var timerPort: UInt16
        /// Whether the PM timer has 32 bits and not 24.
        public var hasWideTimer: Bool
        public var interrupt: UInt8
        /// The value of SLP_TYP that powers off.
        public var powerOffType: UInt8

        public init(
            eventPort: UInt16 = 0x600,
            controlPort: UInt16 = 0x604,
            timerPort: UInt16 = 0x608,
            hasWideTimer: Bool = false,
            interrupt: UInt8 = 9,
            powerOffType: UInt8 = 5
        ) {
            self.eventPort = eventPort
            self.controlPort = controlPort
            self.timerPort = timerPort
            self.hasWideTimer = hasWideTimer
            self.interrupt = interrupt
            self.powerOffType = powerOffType
        }
    }

    /// The windows through which PCI devices are reached.
    public struct PCIWindows: Hashable, Sendable {
        public var memory: [Range<UInt64>]
        public var hasVGA: Bool

        public init(memory: [Range<UInt64>] = [0xC000_0000..<0xFEC0_0000], hasVGA: Bool = false) {
            self.memory = memory
            self.hasVGA = hasVGA
        }
    }

    public struct SerialPort: Hashable, Sendable {
        public var port: UInt16
        public var interrupt: UInt8

        public init(port: UInt16, interrupt: UInt8) {
            self.port = port
            self.interrupt = interrupt
        }

        public static let com1 = SerialPort(port: 0x3F8, interrupt: 4)
        public static let com2 = SerialPort(port: 0x2F8, interrupt: 3)
        public static let com3 = SerialPort(port: 0x3E8, interrupt: 4)
        public static let com4 = SerialPort(port: 0x2E8, interrupt: 3)
    }

    /// The local APIC identifiers of the CPUs, the first one being the one that boots.
    public var apicIDs: [UInt32]
    public var localAPICAddress: UInt32 = 0xFEE0_0000
    public var ioAPICAddress: UInt32 = 0xFEC0_0000
    public var ioAPICIdentifier: UInt8 = 0
    public var interruptOverrides = [
        InterruptOverride(isaLine: 0, gsi: 2),
        InterruptOverride(isaLine: 9, gsi: 9, flags: 0xD),
    ]
    public var ecam: ECAM? = ECAM()
    public var powerManagement = PowerManagement()
    /// The port and the value whose writing resets the machine.
    public var reset: (port: UInt16, value: UInt8) {
        get { (resetPort, resetValue) }
        set { (resetPort, resetValue) = newValue }
    }
    private var resetPort: UInt16 = 0xCF9
    private var resetValue: UInt8 = 0x06
    /// nil for a machine without PCI.
    public var pci: PCIWindows? = PCIWindows()
    /// The first of the global interrupts that PCI pins are spread over, and how many there are.
    public var pciInterrupts: Range<UInt32> = 16..<24
    public var hpetAddress: UInt64?
    public var serialPorts: [SerialPort] = [.com1]
    public var hasKeyboardController = true
    public var hasPowerButton = true

    public init(cpuCount: Int = 1) { apicIDs = (0..<UInt32(cpuCount)).map(\.self) }

    /// The global interrupt of an interrupt pin, 0 for INTA to 3 for INTD, of the device in `slot` of bus 0, as `_PRT` has it.
    public func pciInterrupt(slot: Int, pin: Int) -> UInt32 {
        pciInterrupts.lowerBound + UInt32((slot + pin) % max(1, pciInterrupts.count))
    }
}
