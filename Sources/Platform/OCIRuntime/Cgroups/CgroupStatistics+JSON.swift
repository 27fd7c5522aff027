public import JSON

extension CgroupStatistics {
    /// The layout of `events --stats`: what is 0 is left out where runc leaves it out.
    public var json: JSON {
        .object([
            .init("cpu", cpu.json),
            .init("cpuset", cpuSet.json),
            .init("memory", memory.json),
            .init("pids", .nonzero([("current", processCount), ("limit", processLimit)])),
            .init("blkio", blockIOJSON),
            .init("hugetlb", .object(hugePages.map { .init($0.size, $0.json) })),
            .init("intel_rdt", [:]),
            .init("network_interfaces", .null),
        ])
    }

    private var blockIOJSON: JSON {
        var members = blockIO.filter { !$0.entries.isEmpty }.map { table in
            JSON.Member(table.table, .array(table.entries.map(\.json)))
        }
        if let blockIOPressure { members.append(.init("psi", blockIOPressure.json)) }
        return .object(members)
    }
}

extension JSON {
    /// Numbers of JSON end at 2^63 - 1 here: what is above (no limit) becomes that.
    fileprivate static func count(_ value: UInt64) -> JSON { .integer(Int64(clamping: value)) }

    fileprivate static func nonzero(_ values: [(name: String, value: UInt64)]) -> JSON {
        .object(values.filter { $0.value != 0 }.map { Member($0.name, count($0.value)) })
    }

    fileprivate func adding(_ members: [Member]) -> JSON {
        guard case .object(let own) = self else { return self }
        return .object(own + members)
    }
}

extension CgroupStatistics.CPU {
    fileprivate var json: JSON {
        var usage: [JSON.Member] = total == 0 ? [] : [.init("total", .count(total))]
        for (name, list) in [("percpu", perCPU), ("percpu_kernel", perCPUKernel), ("percpu_user", perCPUUser)]
        where !list.isEmpty {
            usage.append(.init(name, .array(list.map { .count($0) })))
        }
        usage += [.init("kernel", .count(kernel)), .init("user", .count(user))]
        let throttling = JSON.nonzero([
            ("periods", periods), ("throttledPeriods", throttledPeriods), ("throttledTime", throttledTime),
        ])
        var members: [JSON.Member] = [.init("usage", .object(usage)), .init("throttling", throttling)]
        if let pressure { members.append(.init("psi", pressure.json)) }
        return .object(members)
    }
}

extension CgroupStatistics.CPUSet {
    fileprivate var json: JSON {
        var members: [JSON.Member] = cpus.isEmpty ? [] : [.init("cpus", .array(cpus.map { .count($0) }))]
        func setting(_ name: String) -> JSON.Member {
            .init(name, .integer(settings.first { $0.name == name }?.value ?? 0))
        }
        members.append(setting("cpu_exclusive"))
        if !memoryNodes.isEmpty { members.append(.init("mems", .array(memoryNodes.map { .count($0) }))) }
        for name in Self.settingNames.dropFirst() { members.append(setting(name)) }
        return .object(members)
    }

    /// Each is the file of that name after `cpuset.`.
    static let settingNames = [
        "cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page", "memory_spread_slab",
        "memory_pressure", "sched_load_balance", "sched_relax_domain_level",
    ]
}

extension CgroupStatistics.MemoryUse {
    fileprivate var json: JSON {
        JSON.object([.init("limit", .count(limit))])
            .adding(usage == 0 ? [] : [.init("usage", .count(usage))])
            .adding(maximum == 0 ? [] : [.init("max", .count(maximum))])
            .adding([.init("failcnt", .count(failureCount))])
    }
}

extension CgroupStatistics.Memory {
    fileprivate var json: JSON {
        var members: [JSON.Member] = cache == 0 ? [] : [.init("cache", .count(cache))]
        members += [
            .init("usage", usage.json), .init("swap", swap.json), .init("kernel", kernel.json),
            .init("kernelTCP", kernelTCP.json),
        ]
        if !raw.isEmpty { members.append(.init("raw", .object(raw.map { .init($0.name, .count($0.value)) }))) }
        if let pressure { members.append(.init("psi", pressure.json)) }
        return .object(members)
    }
}

extension CgroupStatistics.BlockEntry {
    fileprivate var json: JSON {
        JSON.nonzero([("major", major), ("minor", minor)])
            .adding(operation.isEmpty ? [] : [.init("op", .string(operation))])
            .adding(value == 0 ? [] : [.init("value", .count(value))])
    }
}

extension CgroupStatistics.HugePages {
    fileprivate var json: JSON {
        JSON.nonzero([("usage", usage), ("max", maximum)]).adding([.init("failcnt", .count(failureCount))])
    }
}

extension CgroupStatistics.Pressure {
    fileprivate var json: JSON {
        var members: [JSON.Member] = []
        for (name, share) in [("some", some), ("full", full)] {
            guard let share else { continue }
            var values = zip(["avg10", "avg60", "avg300"], share.averages).map { JSON.Member($0, .real($1)) }
            values.append(.init("total", .count(share.total)))
            members.append(.init(name, .object(values)))
        }
        return .object(members)
    }
}
