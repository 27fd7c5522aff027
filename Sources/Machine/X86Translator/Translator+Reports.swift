public import Engine
public import Telemetry
internal import X86
internal import X86Interpreter

extension Translator: ReportingCPU {
    public var counters: [(name: String, value: UInt64)] { reports.flatMap(\.rows) }

    public var reports: [CounterReport] {
        var guest = CounterReport(part: "guest")
        for counter in interpreter.counters { guest.add(counter.name, counter.value) }
        return [guest, translation, control, interpretation] + [time, share, checked].compactMap { $0 }
    }

    private var checked: CounterReport? {
        guard let check else { return nil }
        var report = CounterReport(part: "check")
        for counter in check.counters { report.add(counter.name, counter.value) }
        return report
    }

    private var translation: CounterReport {
        let c = statistics
        var report = CounterReport(part: "translation")
        report.add("blocks translated", c.blocks)
        report.add("guest instructions translated", c.translatedInstructions)
        report.add("guest bytes translated", c.guestByteCount, .bytes)
        report.add("host bytes made", c.hostByteCount, .bytes)
        if let spent = observation.ledger.nanoseconds.first(where: { $0.activity == .translating })?.value,
            reportsShared
        {
            report.add("nanoseconds to translate a guest instruction", spent / max(1, c.translatedInstructions))
        }
        return report
    }

    private var control: CounterReport {
        let c = statistics
        var report = CounterReport(part: "code")
        report.add("tlb misses", c.misses)
        report.add("links made", c.links)
        report.add("indirect branches looked up", c.dispatches)
        report.add("reads across pages", c.gathers)
        report.add("writes beside code", c.writesBesideCode)
        report.add("code cache resets of the translator", c.resets)
        report.add("pages of translated code changed", store.invalidations)
        report.add("blocks thrown away", store.invalidatedBlocks)
        return report
    }

    private var interpretation: CounterReport {
        let s = statistics.steps
        var report = CounterReport(part: "fallbacks")
        report.add("interpreted: not 64-bit code", s.otherMode)
        report.add("interpreted: shadow or step", s.mode)
        report.add("interpreted: instruction", s.instruction)
        report.add("interpreted: device or fault", s.access)
        report.add("interpreted: page crossing", s.crossing)
        report.add("interpreted: host signal", s.hostFault)
        report.add("interpreted: cannot be fetched", s.fetch)
        for row in statistics.mostInterpreted { report.add(row.name, row.value) }
        return report
    }

    /// Where the time of all vCPUs went: they share a thread.
    private var time: CounterReport? {
        let spent = observation.ledger.nanoseconds
        guard reportsShared, !spent.isEmpty else { return nil }
        var report = CounterReport(part: "time")
        for (activity, value) in spent { report.add("time: \(activity.name)", value, .nanoseconds) }
        return report
    }

    /// Parts of a million of the guest's instructions that ran translated; known only where instructions are counted.
    var translatedShare: UInt64? {
        let all = state.instructionCount
        let interpreted = statistics.interpretedInstructions
        guard observation.isCounting, all > 0, interpreted <= all else { return nil }
        return UInt64(Double(all - interpreted) / Double(all) * 1_000_000)
    }

    private var share: CounterReport? {
        guard let translatedShare else { return nil }
        var report = CounterReport(part: "share")
        report.add("instructions interpreted", statistics.interpretedInstructions)
        report.add("guest instructions that ran translated", translatedShare, .share)
        return report
    }
}
