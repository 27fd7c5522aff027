internal import DeviceModel
public import MachineState
internal import Synchronization

extension UART16550A: Saveable {
    private static var byteLimit: Int { 1 << 20 }

    public var stateName: String { "serial" }
    public var stateVersion: UInt16 { 1 }

    /// Output that was not handed on yet is part of the state.
    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        let now = state.withLock { $0 }
        for register in [
            now.interruptEnable, now.lineControl, now.modemControl, now.scratch, now.lineErrors, now.modemChanges,
            now.modemInputs, UInt8(now.trigger),
        ] { encoder.encode(register) }
        encoder.encode(now.divisor)
        encoder.encode(now.hasFIFOs)
        encoder.encode(now.isTransmitterInterruptDue)
        encoder.encode(now.incoming.contents)
        encoder.encode(now.outgoing)
    }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        var new = State()
        new.interruptEnable = try decoder.decode(mask: 0x0F, "IER")
        new.lineControl = try decoder.decode(UInt8.self, "LCR")
        new.modemControl = try decoder.decode(mask: 0x1F, "MCR")
        new.scratch = try decoder.decode(UInt8.self, "SCR")
        new.lineErrors = try decoder.decode(mask: 0x1E, "LSR")
        new.modemChanges = try decoder.decode(mask: 0x0F, "MSR")
        new.modemInputs = try decoder.decode(mask: 0xF0, "modem inputs")
        let trigger = try decoder.decode(in: UInt8(1)...14, "trigger")
        guard [1, 4, 8, 14].contains(trigger) else { throw .badValue(field: "trigger", value: "\(trigger)") }
        new.trigger = Int(trigger)
        new.divisor = try decoder.decode(UInt16.self, "divisor")
        new.hasFIFOs = try decoder.decode(Bool.self, "FIFO enable")
        new.isTransmitterInterruptDue = try decoder.decode(Bool.self, "transmitter interrupt")
        new.incoming.append(try decoder.decodeBytes(limit: Self.byteLimit, "received bytes"))
        new.outgoing = try decoder.decodeBytes(limit: Self.byteLimit, "bytes to send")
        let loaded = new
        state.withLock { $0 = loaded }
        interrupt.set(loaded.interruptLevel)
        flush()
    }
}
