public import DeviceModel
internal import Synchronization

/// The 8042 keyboard controller of a PC with a keyboard, and no mouse (IBM PS/2 Technical Reference, "Keyboard and Auxiliary
/// Device Controller"; commands D0, D1, FE and the A20 gate as on every AT).
public final class KeyboardController: Sendable {
    /// Every register.
    struct State {
        /// The controller command byte.
        var commandByte: UInt8 = 0x61
        /// The output port: bit 0 reset (active low), bit 1 the A20 gate.
        var outputPort: UInt8 = 0xCF
        /// A command whose data byte is awaited.
        var pendingCommand: UInt8?
        /// The last byte written was a command.
        var lastWasCommand = false
        var hasPassedSelfTest = false
        /// Bytes for the processor, with whether each comes from the mouse's channel.
        var output: [(byte: UInt8, isAuxiliary: Bool)] = []
        var keyboard = Keyboard()

        static let outputLimit = 64

        mutating func put(_ byte: UInt8, isAuxiliary: Bool = false) {
            guard output.count < Self.outputLimit else { return }
            output.append((byte, isAuxiliary))
        }

        var keyboardInterrupt: Bool { commandByte & 1 != 0 && output.first.map { !$0.isAuxiliary } ?? false }
        var auxiliaryInterrupt: Bool { commandByte & 2 != 0 && output.first?.isAuxiliary ?? false }
    }

    let state = Mutex(State())
    let interrupt: InterruptLine
    let auxiliaryInterrupt: InterruptLine
    private let machine: any MachineRequestSink
    private let addressLine20: @Sendable (Bool) -> Void

    /// - Parameters:
    ///   - interrupt: Interrupt 1.
    ///   - auxiliaryInterrupt: Interrupt 12.
    ///   - machine: Told of the reset pulse.
    ///   - addressLine20: Told when the gate of address line 20 opens (true) or closes.
    public init(
        interrupt: InterruptLine,
        auxiliaryInterrupt: InterruptLine,
        machine: any MachineRequestSink,
        addressLine20: @escaping @Sendable (Bool) -> Void = { _ in }
    ) {
        self.interrupt = interrupt
        self.auxiliaryInterrupt = auxiliaryInterrupt
        self.machine = machine
        self.addressLine20 = addressLine20
    }

    /// To the state after power-on.
    public func reset() { perform { $0 = State() } }

    /// Scan codes of set 2 from a keyboard; translated to set 1 if the guest asked for that.
    public func press(_ scanCodes: [UInt8]) {
        perform { state in
            guard state.keyboard.isScanning, state.commandByte & 0x10 == 0 else { return }
            let bytes = state.commandByte & 0x40 != 0 ? Keyboard.translate(scanCodes) : scanCodes
            for byte in bytes { state.put(byte) }
        }
    }

    /// One port: 0x60 on a PC.
    public var dataPort: any BusDevice {
        RegisterWindow(
            readByte: { [self] _ in perform { $0.readData() } },
            writeByte: { [self] value, _ in perform { $0.writeData(value) } }
        )
    }

    /// One port: 0x64 on a PC.
    public var commandPort: any BusDevice {
        RegisterWindow(
            readByte: { [self] _ in state.withLock { $0.status } },
            writeByte: { [self] value, _ in
                let resets = perform { $0.command(value) }
                if resets { machine.request(.reset) }
            }
        )
    }

    private func perform<Result>(_ body: (inout State) -> Result) -> Result {
        let (result, gate, resets, takes) = state.withLock { state -> (Result, Bool?, Bool, Bool) in
            let before = (state.outputPort, state.output.count)
            let result = body(&state)
            let gate = (before.0 ^ state.outputPort) & 2 != 0 ? state.outputPort & 2 != 0 : nil
            let resets = before.0 & 1 != 0 && state.outputPort & 1 == 0
            if resets { state.outputPort |= 1 }
            return (result, gate, resets, state.output.count < before.1)
        }
        if let gate { addressLine20(gate) }
        if resets { machine.request(.reset) }
        // Each byte is an edge of its own.
        if takes {
            interrupt.set(false)
            auxiliaryInterrupt.set(false)
        }
        interrupt.follow { state.withLock { $0.keyboardInterrupt } }
        auxiliaryInterrupt.follow { state.withLock { $0.auxiliaryInterrupt } }
        return result
    }
}

extension KeyboardController.State {
    /// The status register: output full, system flag, last was command, not inhibited, auxiliary output.
    var status: UInt8 {
        (output.isEmpty ? 0 : 1) | (hasPassedSelfTest || commandByte & 4 != 0 ? 4 : 0) | (lastWasCommand ? 8 : 0) | 0x10
            | (output.first?.isAuxiliary ?? false ? 0x20 : 0)
    }

    mutating func readData() -> UInt8 { output.isEmpty ? 0 : output.removeFirst().byte }

    /// A controller command; whether it pulses the reset line.
    mutating func command(_ value: UInt8) -> Bool {
        lastWasCommand = true
        pendingCommand = nil
        switch value {
        case 0x20: put(commandByte)
        case 0x60, 0xD1, 0xD2, 0xD3, 0xD4: pendingCommand = value
        // Other bytes of the controller's memory.
        case 0x21...0x3F: put(0)
        case 0x61...0x7F: pendingCommand = value
        // Mouse channel: off, on, interface test passed.
        case 0xA7: commandByte |= 0x20
        case 0xA8: commandByte &= ~0x20
        case 0xA9: put(0)
        case 0xAA:
            output = []
            hasPassedSelfTest = true
            commandByte |= 0x04
            put(0x55)
        // Keyboard: interface test passed, off, on.
        case 0xAB: put(0)
        case 0xAD: commandByte |= 0x10
        case 0xAE: commandByte &= ~0x10
        // Input port: keyboard not locked.
        case 0xC0: put(0x80)
        case 0xD0: put(outputPort & ~0x30 | (keyboardInterrupt ? 0x10 : 0) | (auxiliaryInterrupt ? 0x20 : 0))
        case 0xDD: outputPort &= ~2
        case 0xDF: outputPort |= 2
        // Pulse output lines: those of bits 3:0 that are 0; bit 0 is reset.
        case 0xF0...0xFF: return value & 1 == 0
        default: break
        }
        return false
    }

    mutating func writeData(_ value: UInt8) {
        lastWasCommand = false
        guard let command = pendingCommand else {
            // A byte to the keyboard enables it.
            commandByte &= ~0x10
            for byte in keyboard.receive(value) { put(byte) }
            return
        }
        pendingCommand = nil
        switch command {
        case 0x60: commandByte = value
        case 0xD1: outputPort = value
        case 0xD2: put(value)
        case 0xD3: put(value, isAuxiliary: true)
        // No mouse: the controller's time-out answer.
        case 0xD4: put(0xFE, isAuxiliary: true)
        default: break
        }
    }
}
