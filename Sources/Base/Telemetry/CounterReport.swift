/// Named counters of one part of a machine, as `--stats` prints them.
public struct CounterReport: Sendable {
    /// The part, such as `interpreter` or `virtio-blk`.
    public let part: String
    public private(set) var rows: [(name: String, value: UInt64)] = []

    public init(part: String) { self.part = part }

    public mutating func add(_ name: String, _ value: UInt64) { rows.append((name, value)) }
}

extension CounterReport: CustomStringConvertible {
    /// One line a counter: part, name and value, aligned.
    public var description: String {
        let width = rows.map(\.name.count).max() ?? 0
        return rows.map { row in
            "\(part)  \(row.name)\(String(repeating: " ", count: width - row.name.count))  \(row.value)"
        }.joined(separator: "\n")
    }
}
