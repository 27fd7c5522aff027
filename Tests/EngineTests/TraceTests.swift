import Engine
import Testing

@Suite struct TraceTests {
    @Test func `Every class of events has a name, and all is their union`() {
        let union = TraceEvents.names.filter { $0.name != "all" }.reduce(into: TraceEvents()) {
            $0.formUnion($1.events)
        }
        #expect(TraceEvents.names.first { $0.name == "all" }?.events == union)
        #expect(union == [.exits, .exceptions, .io, .blocks])
        #expect(Set(TraceEvents.names.map(\.name)).count == TraceEvents.names.count)
    }
}
