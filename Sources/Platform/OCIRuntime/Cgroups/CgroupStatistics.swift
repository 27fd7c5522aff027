/// What a control group has used, as far as the host's controllers count it.
public struct CgroupStatistics: Sendable {
    /// Processor time in nanoseconds.
    public struct CPU: Sendable {
        public var total: UInt64 = 0
        public var perCPU: [UInt64] = []
        public var perCPUKernel: [UInt64] = []
        public var perCPUUser: [UInt64] = []
        public var kernel: UInt64 = 0
        public var user: UInt64 = 0
        /// Periods in which the quota counted, those in which it ran out, and how long processes then waited.
        public var periods: UInt64 = 0
        public var throttledPeriods: UInt64 = 0
        public var throttledTime: UInt64 = 0
        public var pressure: Pressure?
    }

    public struct CPUSet: Sendable {
        public var cpus: [UInt64] = []
        public var memoryNodes: [UInt64] = []
        /// The settings of version 1, by the names that `events --stats` has for them.
        public var settings: [(name: String, value: Int64)] = []
    }

    /// Bytes; a limit of `UInt64.max` is none.
    public struct MemoryUse: Sendable {
        public var limit: UInt64 = 0
        public var usage: UInt64 = 0
        public var maximum: UInt64 = 0
        public var failureCount: UInt64 = 0
    }

    public struct Memory: Sendable {
        public var cache: UInt64 = 0
        public var usage = MemoryUse()
        public var swap = MemoryUse()
        public var kernel = MemoryUse()
        public var kernelTCP = MemoryUse()
        /// All of `memory.stat`.
        public var raw: [(name: String, value: UInt64)] = []
        public var pressure: Pressure?
    }

    public struct BlockEntry: Hashable, Sendable {
        public var major: UInt64
        public var minor: UInt64
        /// Such as `Read` or `Total`; empty where the table does not tell operations apart.
        public var operation: String
        public var value: UInt64
    }

    public struct HugePages: Sendable {
        public var size: String
        public var usage: UInt64
        public var maximum: UInt64
        public var failureCount: UInt64
    }

    /// Pressure stall information (Linux: Documentation/accounting/psi.rst).
    public struct Pressure: Sendable {
        public struct Share: Sendable {
            /// Percent of the time, in the last 10, 60 and 300 seconds.
            public var averages: [Double]
            /// Microseconds.
            public var total: UInt64
        }
        public var some: Share?
        public var full: Share?
    }

    public var cpu = CPU()
    public var cpuSet = CPUSet()
    public var memory = Memory()
    public var processCount: UInt64 = 0
    /// 0 for none.
    public var processLimit: UInt64 = 0
    /// By the names that `events --stats` has for them, such as `ioServiceBytesRecursive`.
    public var blockIO: [(table: String, entries: [BlockEntry])] = []
    public var blockIOPressure: Pressure?
    public var hugePages: [HugePages] = []

    public init() {}
}

extension CgroupStatistics {
    /// A list such as `0-3,8` in full.
    static func numbers(inList text: String) -> [UInt64] {
        var numbers: [UInt64] = []
        for part in text.split(separator: ",") {
            let bounds = part.split(separator: "-").compactMap { UInt64($0) }
            guard let first = bounds.first, let last = bounds.last, first <= last, last - first < 65536 else {
                continue
            }
            numbers += first...last
        }
        return numbers
    }
}

extension CgroupStatistics.Pressure {
    /// A file such as `cpu.pressure`; nil where it is not there.
    init?(_ directory: CgroupDirectory, _ file: String) {
        guard let text = directory.readIfPresent(file) else { return nil }
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            var averages: [Double] = []
            var total: UInt64 = 0
            for word in words.dropFirst() {
                let pair = word.split(separator: "=")
                guard pair.count == 2 else { continue }
                if pair[0] == "total" { total = UInt64(pair[1]) ?? 0 } else { averages.append(Double(pair[1]) ?? 0) }
            }
            guard averages.count == 3 else { continue }
            let share = Share(averages: averages, total: total)
            if words[0] == "some" { some = share } else { full = share }
        }
    }
}
