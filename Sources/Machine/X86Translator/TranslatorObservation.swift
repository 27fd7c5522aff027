public import Engine

/// What is to be measured of a machine's translator, and what was.
///
/// One for all vCPUs of a machine, which take turns on one thread; it outlives resets.
public final class TranslatorObservation: @unchecked Sendable {
    // SAFETY: touched only by the one thread that runs the machine's vCPUs in turn, and by whoever reads counters between runs.
    /// Whether instructions and time are counted, at some cost.
    public let isCounting: Bool
    let profile: (any ProfileSink)?
    let perfMap: PerfMap?
    let ledger: TimeLedger

    /// `perfMapPath`: Where `perf report` is told the names of translated blocks; nothing is written if it cannot be opened.
    public init(isCounting: Bool = false, profile: (any ProfileSink)? = nil, perfMapPath: String? = nil) {
        self.isCounting = isCounting
        self.profile = profile
        perfMap = perfMapPath.flatMap(PerfMap.init(path:))
        ledger = TimeLedger(isOn: isCounting || profile != nil)
    }

    /// Whether the file for `perf` could be made.
    public var hasPerfMap: Bool { perfMap != nil }

    /// Whether the place of each instruction in its block's code is kept.
    var recordsInstructions: Bool { profile != nil }
}
