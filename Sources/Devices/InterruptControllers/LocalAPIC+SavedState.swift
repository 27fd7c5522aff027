internal import DeviceModel
public import MachineState
internal import Synchronization

extension LocalAPIC: Saveable {
    public var stateName: String { "apic" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        let now = state.withLock { $0 }
        encoder.encode(now.base)
        encoder.encode(now.id)
        encoder.encode(now.taskPriority)
        for register in [
            now.logicalDestination, now.destinationFormat, now.spuriousVector, now.errors, now.errorStatus,
        ] { encoder.encode(register) }
        for set in [now.inService, now.triggerMode, now.request] {
            for index in UInt8(0)..<8 { encoder.encode(set.register(index)) }
        }
        encoder.encode(now.command)
        for entry in now.localVectors { encoder.encode(entry) }
        encoder.encode(now.divideConfiguration)
        encoder.encode(now.initialCount)
        encoder.encode(now.hasFired)
        encoder.encode(now.countStart)
        encoder.encode(now.timestampDeadline)
        encoder.encode(now.expiry)
        for flag in [now.lint0, now.lint1, now.externalPending] { encoder.encode(flag) }
    }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        let bootstrap = state.withLock { $0.base } & State.bootstrapBit
        let addresses = (UInt64(1) << UInt64(physicalAddressWidth)) - 1
        let base = try decoder.decode(mask: addresses & ~0xFFF | State.modeMask | State.bootstrapBit, "base")
        guard base & State.bootstrapBit == bootstrap, base & State.modeMask != State.x2Bit else {
            throw .badValue(field: "base", value: "0x" + String(base, radix: 16))
        }
        var new = State(base: base, id: try decoder.decode(UInt32.self, "id"))
        new.taskPriority = try decoder.decode(UInt8.self, "task priority")
        new.logicalDestination = try decoder.decode(UInt32.self, "logical destination")
        new.destinationFormat = try decoder.decode(UInt32.self, "destination format")
        new.spuriousVector = try decoder.decode(mask: 0x3FF, "spurious vector")
        new.errors = try decoder.decode(mask: 0xFF, "errors")
        new.errorStatus = try decoder.decode(mask: 0xFF, "error status")
        new.inService = try VectorSet(from: &decoder, "in service")
        new.triggerMode = try VectorSet(from: &decoder, "trigger modes")
        new.request = try VectorSet(from: &decoder, "requests")
        new.command = try decoder.decode(UInt64.self, "command")
        for local in LocalVector.allCases {
            new[local] = try decoder.decode(mask: local.writable, "local vector \(local.rawValue)")
        }
        new.divideConfiguration = try decoder.decode(mask: 0xB, "divide configuration")
        new.initialCount = try decoder.decode(UInt32.self, "initial count")
        new.hasFired = try decoder.decode(Bool.self, "one-shot count is over")
        new.countStart = try decoder.decode(UInt64.self, "start of the count")
        new.timestampDeadline = try decoder.decode(UInt64.self, "deadline")
        new.expiry = try decoder.decodeOptional(UInt64.self, "expiry")
        new.lint0 = try decoder.decode(Bool.self, "LINT0")
        new.lint1 = try decoder.decode(Bool.self, "LINT1")
        new.externalPending = try decoder.decode(Bool.self, "external interrupt")
        let loaded = new
        change { $0 = loaded }
        // An expiry that was due and had not come yet still comes.
        timer.withLock { $0 }?.follow { state.withLock { $0.expiry } }
    }
}

extension VectorSet {
    /// The set that eight registers hold; the first sixteen vectors are no interrupts.
    init(from decoder: inout StateDecoder, _ field: String) throws(StateFault) {
        self.init()
        for index in UInt8(0)..<8 {
            let bits = try decoder.decode(mask: index == 0 ? 0xFFFF_0000 : UInt32.max, field)
            for bit in UInt8(0)..<32 where bits >> UInt32(bit) & 1 != 0 { self[index << 5 | bit] = true }
        }
    }
}
