/// Where a `pc` has what: ports, interrupts and physical addresses that no register can move, as PCs have had them.
enum PCAddresses {
    /// Physical addresses have this many bits, as CPUID leaf 0x8000_0008 says.
    static let physicalWidth = 40
    static let ioAPIC: UInt64 = 0xFEC0_0000
    static let configurationWindow: UInt64 = 0xB000_0000
    /// Where base address registers are placed when no firmware does it.
    static let pciMemory: Range<UInt64> = 0xC000_0000..<0xFEC0_0000
    static let pciPorts: Range<UInt64> = 0xC000..<0x1_0000

    static let firstInterruptController: UInt64 = 0x20
    static let secondInterruptController: UInt64 = 0xA0
    static let triggerModes: UInt64 = 0x4D0
    static let intervalTimer: UInt64 = 0x40
    static let speaker: UInt64 = 0x61
    static let keyboardData: UInt64 = 0x60
    static let keyboardCommand: UInt64 = 0x64
    static let realTimeClock: UInt64 = 0x70
    static let progressCode: UInt64 = 0x80
    static let systemControl: UInt64 = 0x92
    static let debugConsole: UInt64 = 0xE9
    static let debugExit: UInt64 = 0xF4
    static let serial: UInt64 = 0x3F8
    static let firmwareConfiguration: UInt64 = 0x510
    static let firmwareConfigurationDMA: UInt64 = 0x514

    /// The ACPI ports, as offsets from a base that the LPC bridge places.
    static let powerManagement: UInt16 = 0x600
    static let controlOffset: UInt16 = 0x04
    static let timerOffset: UInt16 = 0x08
    static let generalPurposeOffset: UInt16 = 0x20

    enum Interrupt {
        static let timer = 0
        static let keyboard = 1
        static let serial = 4
        static let realTimeClock = 8
        static let systemControl = 9
        static let mouse = 12
    }
}
