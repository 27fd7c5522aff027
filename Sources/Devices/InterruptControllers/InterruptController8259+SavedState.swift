public import MachineState
internal import Synchronization

extension InterruptController8259: Saveable {
    public var stateName: String { "8259" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        let now = state.withLock { $0 }
        now.first.save(into: &encoder)
        now.second.save(into: &encoder)
    }

    /// Leaves the INTR wire alone: the processors' APICs have saved its level.
    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        let first = try Chip8259(isFirst: true, from: &decoder)
        let second = try Chip8259(isFirst: false, from: &decoder)
        state.withLock { $0 = State(first: first, second: second) }
    }
}

extension Chip8259 {
    func save(into encoder: inout StateEncoder) {
        for byte in [inputs, requests, inService, mask, levelInputs, vectorBase, cascade, lowestPriority] {
            encoder.encode(byte)
        }
        for flag in [
            isLevelTriggered, isAutomaticEnd, rotatesOnAutomaticEnd, isSpeciallyFullyNested, isSpecialMask, isPolled,
            readsInService,
        ] { encoder.encode(flag) }
        switch initialization {
        case .waiting: encoder.encode(UInt8(0))
        case .vectorBase(let needsMode, let isSingle):
            encoder.encode(UInt8(1 | (needsMode ? 8 : 0) | (isSingle ? 16 : 0)))
        case .cascade(let needsMode): encoder.encode(UInt8(2 | (needsMode ? 8 : 0)))
        case .mode: encoder.encode(UInt8(3))
        case .done: encoder.encode(UInt8(4))
        }
    }

    init(isFirst: Bool, from decoder: inout StateDecoder) throws(StateFault) {
        self.init(isFirst: isFirst)
        inputs = try decoder.decode(UInt8.self, "inputs")
        requests = try decoder.decode(UInt8.self, "requests")
        inService = try decoder.decode(UInt8.self, "in service")
        mask = try decoder.decode(UInt8.self, "mask")
        levelInputs = try decoder.decode(UInt8.self, "level-triggered inputs")
        vectorBase = try decoder.decode(mask: UInt8(0xF8), "vector base")
        cascade = try decoder.decode(UInt8.self, "cascade")
        lowestPriority = try decoder.decode(in: UInt8(0)...7, "lowest priority")
        isLevelTriggered = try decoder.decode(Bool.self, "level-triggered")
        isAutomaticEnd = try decoder.decode(Bool.self, "automatic end of interrupt")
        rotatesOnAutomaticEnd = try decoder.decode(Bool.self, "rotation")
        isSpeciallyFullyNested = try decoder.decode(Bool.self, "special fully nested mode")
        isSpecialMask = try decoder.decode(Bool.self, "special mask mode")
        isPolled = try decoder.decode(Bool.self, "poll command")
        readsInService = try decoder.decode(Bool.self, "register read")
        let step = try decoder.decode(mask: UInt8(0x1F), "initialization")
        switch step & 7 {
        case 0: initialization = .waiting
        case 1: initialization = .vectorBase(needsMode: step & 8 != 0, isSingle: step & 16 != 0)
        case 2: initialization = .cascade(needsMode: step & 8 != 0)
        case 3: initialization = .mode
        case 4: initialization = .done
        default: throw .badValue(field: "initialization", value: "\(step)")
        }
    }
}
