extension UnifiedControlGroup {
    func statistics() throws(CgroupError) -> CgroupStatistics {
        var statistics = CgroupStatistics()
        guard let path = paths[""] else { return statistics }
        let directory = CgroupDirectory(path)
        let times = directory.table("cpu.stat")
        statistics.cpu.total = times.value("usage_usec") &* 1000
        statistics.cpu.user = times.value("user_usec") &* 1000
        statistics.cpu.kernel = times.value("system_usec") &* 1000
        statistics.cpu.periods = times.value("nr_periods")
        statistics.cpu.throttledPeriods = times.value("nr_throttled")
        statistics.cpu.throttledTime = times.value("throttled_usec") &* 1000
        statistics.cpu.pressure = CgroupStatistics.Pressure(directory, "cpu.pressure")
        let cpus = directory.readIfPresent("cpuset.cpus.effective") ?? ""
        statistics.cpuSet.cpus = CgroupStatistics.numbers(inList: cpus)
        let nodes = directory.readIfPresent("cpuset.mems.effective") ?? ""
        statistics.cpuSet.memoryNodes = CgroupStatistics.numbers(inList: nodes)
        statistics.memory = Self.memory(directory)
        statistics.processCount = directory.numberIfPresent("pids.current") ?? 0
        let limit = directory.numberIfPresent("pids.max") ?? .max
        statistics.processLimit = limit == .max ? 0 : limit
        statistics.blockIO = Self.blockTables(directory)
        statistics.blockIOPressure = CgroupStatistics.Pressure(directory, "io.pressure")
        statistics.hugePages = HugePageSizes.ofHost.compactMap { size in
            guard let usage = directory.numberIfPresent("hugetlb.\(size).current") else { return nil }
            return CgroupStatistics.HugePages(
                size: size,
                usage: usage,
                maximum: 0,
                failureCount: directory.table("hugetlb.\(size).events").value("max")
            )
        }
        return statistics
    }

    private static func memory(_ directory: CgroupDirectory) -> CgroupStatistics.Memory {
        var memory = CgroupStatistics.Memory()
        let table = directory.table("memory.stat")
        memory.raw = table.map { ($0.key, $0.value) }
        memory.cache = table.value("file")
        memory.usage.usage = directory.numberIfPresent("memory.current") ?? 0
        memory.usage.limit = directory.numberIfPresent("memory.max") ?? 0
        memory.usage.maximum = directory.numberIfPresent("memory.peak") ?? 0
        memory.usage.failureCount = directory.table("memory.events").value("max")
        // As in version 1, swap is what is used and allowed of both together.
        if let swap = directory.numberIfPresent("memory.swap.current") {
            memory.swap.usage = swap.clampedSum(memory.usage.usage)
            memory.swap.limit = (directory.numberIfPresent("memory.swap.max") ?? .max).clampedSum(memory.usage.limit)
        }
        memory.pressure = CgroupStatistics.Pressure(directory, "memory.pressure")
        return memory
    }

    /// `io.stat`: lines `major:minor rbytes=… wbytes=… rios=… wios=… dbytes=… dios=…`.
    private static func blockTables(
        _ directory: CgroupDirectory
    ) -> [(table: String, entries: [CgroupStatistics.BlockEntry])] {
        var bytes: [CgroupStatistics.BlockEntry] = []
        var operations: [CgroupStatistics.BlockEntry] = []
        for line in (directory.readIfPresent("io.stat") ?? "").split(separator: "\n") {
            let words = line.split(separator: " ")
            let numbers = words.first?.split(separator: ":").compactMap { UInt64($0) } ?? []
            guard numbers.count == 2 else { continue }
            for word in words.dropFirst() {
                let pair = word.split(separator: "=")
                guard pair.count == 2, let value = UInt64(pair[1]) else { continue }
                func entry(_ operation: String) -> CgroupStatistics.BlockEntry {
                    .init(major: numbers[0], minor: numbers[1], operation: operation, value: value)
                }
                switch pair[0] {
                case "rbytes": bytes.append(entry("Read"))
                case "wbytes": bytes.append(entry("Write"))
                case "dbytes": bytes.append(entry("Discard"))
                case "rios": operations.append(entry("Read"))
                case "wios": operations.append(entry("Write"))
                case "dios": operations.append(entry("Discard"))
                default: break
                }
            }
        }
        return [("ioServiceBytesRecursive", bytes), ("ioServicedRecursive", operations)]
    }
}

extension UInt64 {
    fileprivate func clampedSum(_ other: UInt64) -> UInt64 {
        let (sum, isOver) = addingReportingOverflow(other)
        return isOver ? .max : sum
    }
}
