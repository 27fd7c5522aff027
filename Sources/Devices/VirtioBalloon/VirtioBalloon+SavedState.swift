public import MachineState
internal import Synchronization

extension VirtioBalloon: Saveable {
    public var stateName: String { "virtio-balloon" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        let state = state.withLock { $0 }
        encoder.encode(state.targetPageCount)
        encoder.encode(state.actualPageCount)
        encoder.encode(state.poison)
        encoder.encode(state.inflatedByteCount)
        encoder.encode(state.reportedByteCount)
    }

    /// The guest's statistics come with its buffer, which is taken again.
    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        var new = State()
        new.targetPageCount = try decoder.decode(UInt32.self, "target in pages")
        new.actualPageCount = try decoder.decode(UInt32.self, "pages in the balloon")
        new.poison = try decoder.decode(UInt32.self, "poison")
        new.inflatedByteCount = try decoder.decode(UInt64.self, "bytes inflated")
        new.reportedByteCount = try decoder.decode(UInt64.self, "bytes reported")
        let loaded = new
        state.withLock { $0 = loaded }
    }

    /// The buffer for the next question about statistics.
    public func keptChainCount(ofQueue queue: Int) -> Int { queue == 2 && question.withLock { $0 != nil } ? 1 : 0 }
}
