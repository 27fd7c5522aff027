internal import Glibc

extension LegacyControlGroup {
    func statistics() throws(CgroupError) -> CgroupStatistics {
        var statistics = CgroupStatistics()
        func directory(_ controller: String) -> CgroupDirectory? { paths[controller].map { CgroupDirectory($0) } }
        if let cpu = directory("cpu") {
            let table = cpu.table("cpu.stat")
            statistics.cpu.periods = table.value("nr_periods")
            statistics.cpu.throttledPeriods = table.value("nr_throttled")
            statistics.cpu.throttledTime = table.value("throttled_time")
        }
        if let accounting = directory("cpuacct") { Self.readTimes(accounting, &statistics.cpu) }
        if let set = directory("cpuset") {
            statistics.cpuSet.cpus = CgroupStatistics.numbers(inList: set.readIfPresent("cpuset.cpus") ?? "")
            statistics.cpuSet.memoryNodes = CgroupStatistics.numbers(inList: set.readIfPresent("cpuset.mems") ?? "")
            statistics.cpuSet.settings = CgroupStatistics.CPUSet.settingNames.compactMap { name in
                set.readIfPresent("cpuset." + name).flatMap { Int64($0) }.map { (name, $0) }
            }
        }
        if let memory = directory("memory") {
            statistics.memory.raw = memory.table("memory.stat").map { ($0.key, $0.value) }
            statistics.memory.cache = memory.table("memory.stat").value("cache")
            statistics.memory.usage = Self.memoryUse(memory, "memory")
            statistics.memory.swap = Self.memoryUse(memory, "memory.memsw")
            statistics.memory.kernel = Self.memoryUse(memory, "memory.kmem")
            statistics.memory.kernelTCP = Self.memoryUse(memory, "memory.kmem.tcp")
        }
        if let pids = directory("pids") {
            statistics.processCount = pids.numberIfPresent("pids.current") ?? 0
            let limit = pids.numberIfPresent("pids.max") ?? .max
            statistics.processLimit = limit == .max ? 0 : limit
        }
        if let block = directory("blkio") { statistics.blockIO = Self.blockTables(block) }
        if let pages = directory("hugetlb") {
            statistics.hugePages = HugePageSizes.ofHost.map { size in
                CgroupStatistics.HugePages(
                    size: size,
                    usage: pages.numberIfPresent("hugetlb.\(size).usage_in_bytes") ?? 0,
                    maximum: pages.numberIfPresent("hugetlb.\(size).max_usage_in_bytes") ?? 0,
                    failureCount: pages.numberIfPresent("hugetlb.\(size).failcnt") ?? 0
                )
            }
        }
        return statistics
    }

    private static func readTimes(_ directory: CgroupDirectory, _ cpu: inout CgroupStatistics.CPU) {
        func list(_ file: String) -> [UInt64] {
            (directory.readIfPresent(file) ?? "").split(separator: " ").compactMap { UInt64($0) }
        }
        cpu.total = directory.numberIfPresent("cpuacct.usage") ?? 0
        cpu.perCPU = list("cpuacct.usage_percpu")
        // Lines `cpu user system` after a head.
        for line in (directory.readIfPresent("cpuacct.usage_all") ?? "").split(separator: "\n").dropFirst() {
            let values = line.split(separator: " ").compactMap { UInt64($0) }
            guard values.count == 3 else { continue }
            cpu.perCPUUser.append(values[1])
            cpu.perCPUKernel.append(values[2])
        }
        // Ticks of the clock.
        let table = directory.table("cpuacct.stat")
        let rate = UInt64(max(sysconf(Int32(_SC_CLK_TCK)), 1))
        cpu.user = table.value("user") &* 1_000_000_000 / rate
        cpu.kernel = table.value("system") &* 1_000_000_000 / rate
    }

    private static func memoryUse(_ directory: CgroupDirectory, _ name: String) -> CgroupStatistics.MemoryUse {
        CgroupStatistics.MemoryUse(
            limit: directory.numberIfPresent("\(name).limit_in_bytes") ?? 0,
            usage: directory.numberIfPresent("\(name).usage_in_bytes") ?? 0,
            maximum: directory.numberIfPresent("\(name).max_usage_in_bytes") ?? 0,
            failureCount: directory.numberIfPresent("\(name).failcnt") ?? 0
        )
    }

    /// The tables of the I/O scheduler that counts, or else those of the throttle, which knows two.
    private static func blockTables(
        _ directory: CgroupDirectory
    ) -> [(table: String, entries: [CgroupStatistics.BlockEntry])] {
        let names = [
            ("ioServiceBytesRecursive", "io_service_bytes_recursive"), ("ioServicedRecursive", "io_serviced_recursive"),
            ("ioQueueRecursive", "io_queued_recursive"), ("ioServiceTimeRecursive", "io_service_time_recursive"),
            ("ioWaitTimeRecursive", "io_wait_time_recursive"), ("ioMergedRecursive", "io_merged_recursive"),
            ("ioTimeRecursive", "time_recursive"), ("sectorsRecursive", "sectors_recursive"),
        ]
        for prefix in ["blkio.bfq.", "blkio.", "blkio.throttle."] {
            let tables = names.map { (table: $0.0, entries: entries(directory, prefix + $0.1)) }
            if tables.contains(where: { !$0.entries.isEmpty }) { return tables }
        }
        return []
    }

    /// Lines `major:minor operation value` or `major:minor value`.
    private static func entries(_ directory: CgroupDirectory, _ file: String) -> [CgroupStatistics.BlockEntry] {
        (directory.readIfPresent(file) ?? "").split(separator: "\n").compactMap { line in
            let words = line.split { $0 == " " || $0 == ":" }
            guard words.count >= 3, let major = UInt64(words[0]), let minor = UInt64(words[1]) else { return nil }
            guard let value = words.last.flatMap({ UInt64($0) }) else { return nil }
            return .init(major: major, minor: minor, operation: words.count > 3 ? String(words[2]) : "", value: value)
        }
    }
}

extension [(key: String, value: UInt64)] {
    /// 0 where there is no such line.
    func value(_ key: String) -> UInt64 { first { $0.key == key }?.value ?? 0 }
}

/// The sizes of huge pages that the host has, such as `2MB`.
enum HugePageSizes {
    static var ofHost: [String] {
        CgroupDirectory("/sys/kernel/mm/hugepages").children.compactMap { directory in
            let name = directory.path.split(separator: "-").last ?? ""
            guard name.hasSuffix("kB"), let kilobytes = UInt64(name.dropLast(2)) else { return nil }
            if kilobytes >= 1 << 20 { return "\(kilobytes >> 20)GB" }
            return kilobytes >= 1 << 10 ? "\(kilobytes >> 10)MB" : "\(kilobytes)KB"
        }.sorted()
    }
}
