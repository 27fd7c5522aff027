public import MachineState
internal import Synchronization

extension DebugPorts: Saveable {
    public var stateName: String { "debug" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        let now = state.withLock { $0 }
        encoder.encode(now.progressCode)
        encoder.encode(now.line)
    }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        let code = try decoder.decode(UInt8.self, "progress code")
        let line = try decoder.decodeBytes(limit: Self.batchByteCount, "unfinished line")
        state.withLock { $0 = State(progressCode: code, line: line) }
    }
}
