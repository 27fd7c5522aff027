internal import DeviceModel
internal import InterruptControllers
internal import LegacyDevices
internal import MachineState

/// The devices that every PC has had at the same ports.
struct LegacyDeviceSet {
    let powerManagement: ACPIPowerManagement
    let firmwareConfiguration: FirmwareConfiguration
    let resetControl: ResetControl
    let realTimeClock: RealTimeClock
    private let pair: InterruptController8259
    private let ioAPIC: IOAPIC
    private let timer: PIT8254
    private let keyboard: KeyboardController
    private let serial: UART16550A
    private let debug: DebugPorts

    init(_ parts: MachineParts, pair: InterruptController8259, ioAPIC: IOAPIC) {
        typealias Interrupt = PCAddresses.Interrupt
        let router = parts.router
        self.pair = pair
        self.ioAPIC = ioAPIC
        timer = PIT8254(timers: parts.timers, interrupt: router.line(Interrupt.timer))
        realTimeClock = RealTimeClock(timers: parts.timers, interrupt: router.line(Interrupt.realTimeClock))
        powerManagement = ACPIPowerManagement(
            timers: parts.timers,
            interrupt: router.line(Interrupt.systemControl),
            machine: parts.control
        )
        keyboard = KeyboardController(
            interrupt: router.line(Interrupt.keyboard),
            auxiliaryInterrupt: router.line(Interrupt.mouse),
            machine: parts.control
        )
        resetControl = ResetControl(machine: parts.control)
        firmwareConfiguration = FirmwareConfiguration(memory: parts.memory)
        debug = DebugPorts(output: StandardError(), machine: parts.control)
        serial = UART16550A(
            output: parts.configuration.hasVirtioConsole ? DroppedOutput() : parts.serial,
            timers: parts.timers,
            interrupt: router.line(Interrupt.serial)
        )
        if !parts.configuration.hasVirtioConsole { parts.serial.connect(serial) }
    }

    /// Gives every device its ports.
    func map(on ports: Bus, memory: Bus) throws(BusError) {
        typealias Place = PCAddresses
        try memory.map(ioAPIC, base: Place.ioAPIC, byteCount: IOAPIC.byteCount)
        try ports.map(pair.firstPorts, base: Place.firstInterruptController, byteCount: 2)
        try ports.map(pair.secondPorts, base: Place.secondInterruptController, byteCount: 2)
        try ports.map(pair.triggerPorts, base: Place.triggerModes, byteCount: 2)
        try ports.map(timer.channelPorts, base: Place.intervalTimer, byteCount: 4)
        try ports.map(timer.speakerPort, base: Place.speaker, byteCount: 1)
        try ports.map(keyboard.dataPort, base: Place.keyboardData, byteCount: 1)
        try ports.map(keyboard.commandPort, base: Place.keyboardCommand, byteCount: 1)
        try ports.map(realTimeClock.ports, base: Place.realTimeClock, byteCount: 2)
        try ports.map(debug.progressPort, base: Place.progressCode, byteCount: 1)
        try ports.map(resetControl.systemControlPort, base: Place.systemControl, byteCount: 1)
        try ports.map(debug.console, base: Place.debugConsole, byteCount: 1)
        try ports.map(debug.exitPort, base: Place.debugExit, byteCount: 4)
        try ports.map(serial, base: Place.serial, byteCount: UART16550A.byteCount)
        try ports.map(firmwareConfiguration.ports, base: Place.firmwareConfiguration, byteCount: 2)
        try ports.map(firmwareConfiguration.dmaPorts, base: Place.firmwareConfigurationDMA, byteCount: 8)
    }

    /// What is saved and loaded before the interrupt controllers.
    var saveables: [any Saveable] {
        [timer, realTimeClock, powerManagement, keyboard, resetControl, firmwareConfiguration, debug, serial]
    }

    var interruptControllers: [any Saveable] { [pair, ioAPIC] }

    /// Hands on what the guest has sent so far.
    func flush() {
        serial.flush()
        debug.flush()
    }
}
