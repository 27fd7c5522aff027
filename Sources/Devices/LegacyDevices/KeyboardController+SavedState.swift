internal import DeviceModel
public import MachineState
internal import Synchronization

extension KeyboardController: Saveable {
    public var stateName: String { "keyboard" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        let now = state.withLock { $0 }
        encoder.encode(now.commandByte)
        encoder.encode(now.outputPort)
        encoder.encode(now.pendingCommand)
        encoder.encode(now.lastWasCommand)
        encoder.encode(now.hasPassedSelfTest)
        encoder.encode(UInt8(clamping: now.output.count))
        for entry in now.output {
            encoder.encode(entry.byte)
            encoder.encode(entry.isAuxiliary)
        }
        let keyboard = now.keyboard
        encoder.encode(keyboard.isScanning)
        for byte in [keyboard.scanCodeSet, keyboard.lights, keyboard.repeatRate, keyboard.lastAnswer] {
            encoder.encode(byte)
        }
        encoder.encode(keyboard.pendingCommand)
    }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        var new = State()
        new.commandByte = try decoder.decode(UInt8.self, "command byte")
        new.outputPort = try decoder.decode(UInt8.self, "output port")
        new.pendingCommand = try decoder.decodeOptional(UInt8.self, "pending command")
        new.lastWasCommand = try decoder.decode(Bool.self, "last byte was a command")
        new.hasPassedSelfTest = try decoder.decode(Bool.self, "self-test")
        for _ in 0..<(try decoder.decode(in: 0...UInt8(State.outputLimit), "number of output bytes")) {
            let byte = try decoder.decode(UInt8.self, "output byte")
            new.output.append((byte, try decoder.decode(Bool.self, "channel of an output byte")))
        }
        new.keyboard.isScanning = try decoder.decode(Bool.self, "scanning")
        new.keyboard.scanCodeSet = try decoder.decode(in: UInt8(1)...3, "scan code set")
        new.keyboard.lights = try decoder.decode(mask: 7, "lights")
        new.keyboard.repeatRate = try decoder.decode(mask: 0x7F, "repeat rate")
        new.keyboard.lastAnswer = try decoder.decode(UInt8.self, "last answer")
        new.keyboard.pendingCommand = try decoder.decodeOptional(UInt8.self, "keyboard's pending command")
        let loaded = new
        state.withLock { $0 = loaded }
        interrupt.set(loaded.keyboardInterrupt)
        auxiliaryInterrupt.set(loaded.auxiliaryInterrupt)
    }
}
