public import MachineState
internal import Synchronization

extension VirtioConsole: Saveable {
    public var stateName: String { "virtio-console" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        let (columns, rows, input) = state.withLock { ($0.columns, $0.rows, $0.input) }
        encoder.encode(columns)
        encoder.encode(rows)
        encoder.encode(input)
    }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        let columns = try decoder.decode(UInt16.self, "columns")
        let rows = try decoder.decode(UInt16.self, "rows")
        let input = try decoder.decodeBytes(limit: Self.inputLimit, "input")
        state.withLock { state in
            state.columns = columns
            state.rows = rows
            state.input = input
        }
    }
}
