public import Telemetry

/// A vCPU whose counters come in groups, with units.
public protocol ReportingCPU: VirtualCPU {
    /// A report a group, in the order in which `--stats` prints them.
    var reports: [CounterReport] { get }
}
