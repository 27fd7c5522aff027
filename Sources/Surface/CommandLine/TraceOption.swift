public import ArgumentParser
internal import Engine
public import VirtualMachine

extension TraceConfiguration: ExpressibleByArgument {
    /// Reads `LIST` or `LIST:FILE`, where LIST holds event classes separated by commas.
    public init?(argument: String) {
        let parts = argument.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        var events: TraceEvents = []
        for word in parts[0].split(separator: ",", omittingEmptySubsequences: false) {
            guard let found = TraceEvents.names.first(where: { $0.name == word }) else { return nil }
            events.formUnion(found.events)
        }
        guard parts.count == 1 || !parts[1].isEmpty else { return nil }
        self.init(events: events, path: parts.count == 2 ? String(parts[1]) : nil)
    }
}
