/// Named counters of one part of a machine, as `--stats` prints them.
public struct CounterReport: Sendable {
    /// What a value counts.
    public enum Unit: Sendable {
        case count
        case bytes
        case nanoseconds
        /// Parts of a million, printed as a percentage.
        case share
    }

    /// The part, such as `interpreter` or `virtio-blk`.
    public let part: String
    public private(set) var rows: [(name: String, value: UInt64)] = []
    private var units: [Unit] = []

    public init(part: String) { self.part = part }

    public mutating func add(_ name: String, _ value: UInt64, _ unit: Unit = .count) {
        rows.append((name, value))
        units.append(unit)
    }

    /// The same counters as those of a part of `owner`.
    public func part(of owner: String) -> CounterReport {
        var report = CounterReport(part: "\(owner) \(part)")
        report.rows = rows
        report.units = units
        return report
    }

    /// `value` with its unit.
    public static func text(_ value: UInt64, _ unit: Unit) -> String {
        switch unit {
        case .count: "\(value)"
        case .bytes: "\(value) bytes"
        case .nanoseconds: decimal(value / 1000, 1000, 3) + " ms"
        case .share: decimal(value, 10_000, 4) + " %"
        }
    }

    /// `value` divided by `divisor`, with so many digits behind the point.
    private static func decimal(_ value: UInt64, _ divisor: UInt64, _ digits: Int) -> String {
        let fraction = String(value % divisor)
        return "\(value / divisor).\(String(repeating: "0", count: max(0, digits - fraction.count)))\(fraction)"
    }
}

extension CounterReport: CustomStringConvertible {
    /// One line a counter: part, name and value, aligned.
    public var description: String {
        let width = rows.map(\.name.count).max() ?? 0
        return zip(rows, units).map { row, unit in
            let padding = String(repeating: " ", count: width - row.name.count)
            return "\(part)  \(row.name)\(padding)  \(Self.text(row.value, unit))"
        }.joined(separator: "\n")
    }
}
