/// A set of processors as sched_setaffinity(2) takes it (runtime-spec 1.2 config.md `execCPUAffinity`).
public struct CPUAffinity: Hashable, Sendable {
    /// Processor N is bit N % 64 of word N / 64.
    public let mask: [UInt64]

    /// The most processors that a set names: as many as glibc's `cpu_set_t` has room for.
    public static let processorLimit = 1024

    /// Reads a list such as `0-3,7`, the format of cpuset(7); spaces around numbers and empty items do not count.
    /// - Returns: nil for an empty list, which sets nothing.
    public init?(_ list: String, place: String) throws(ValidationError) {
        func refused(_ reason: String) -> ValidationError { .refused(field: place, value: list, reason: reason) }
        func number(_ text: Substring.UTF8View) throws(ValidationError) -> Int {
            let digits = Self.trimmed(text)
            var number = 0
            for digit in digits {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit), number < Self.processorLimit else {
                    throw refused("it is no list of processors from 0 to \(Self.processorLimit - 1)")
                }
                number = number * 10 + Int(digit - UInt8(ascii: "0"))
            }
            guard !digits.isEmpty, number < Self.processorLimit else {
                throw refused("it is no list of processors from 0 to \(Self.processorLimit - 1)")
            }
            return number
        }
        var mask: [UInt64] = []
        for item in list.utf8.split(separator: UInt8(ascii: ",")) where !Self.trimmed(item).isEmpty {
            let ends = item.split(separator: UInt8(ascii: "-"), maxSplits: 1, omittingEmptySubsequences: false)
            guard let start = ends.first, let end = ends.last else { continue }
            let first = try number(start)
            let last = try number(end)
            guard first <= last else { throw refused("a range in it ends before it starts") }
            while mask.count <= last / 64 { mask.append(0) }
            for processor in first...last { mask[processor / 64] |= 1 << UInt64(processor % 64) }
        }
        guard !mask.isEmpty else { return nil }
        self.mask = mask
    }

    private static func trimmed(_ text: Substring.UTF8View) -> Substring.UTF8View {
        var text = text.drop { $0 == UInt8(ascii: " ") }
        while text.last == UInt8(ascii: " ") { text.removeLast() }
        return text
    }
}
