internal import Glibc

extension UnifiedControlGroup {
    func apply(_ resources: ResourceConfiguration) throws(CgroupError) -> [String] {
        // In a user namespace the kernel gives nobody the right, and denies devices itself.
        if !isRootless {
            try DeviceProgram(resources.devices + DevicePolicy.defaults).attach(to: directory(for: "devices"))
        }
        return try update(resources)
    }

    func update(_ resources: ResourceConfiguration) throws(CgroupError) -> [String] {
        var ignored = LimitReport()
        if let limit = resources.processLimit {
            try directory("pids").write(limit > 0 ? "\(limit)" : "max", to: "pids.max")
        }
        if let memory = resources.memory { try setMemory(memory, &ignored) }
        if let blockIO = resources.blockIO { try setBlockIO(blockIO, &ignored) }
        if let cpu = resources.cpu { try setCPU(cpu, &ignored) }
        for (size, limit) in resources.hugePageLimits {
            let directory = try directory("hugetlb")
            let name = try LimitReport.hugePageFile(size)
            try directory.write("\(limit)", to: "\(name).max")
            if directory.has("\(name).rsvd.max") { try directory.write("\(limit)", to: "\(name).rsvd.max") }
        }
        for entry in resources.rdma {
            guard let line = LimitReport.rdmaLine(entry) else { continue }
            try directory("rdma").write(line, to: "rdma.max")
        }
        if let identifier = resources.networkClassID, identifier != 0 {
            ignored.add("network.classID", "\(identifier)", "version 2 has no such controller")
        }
        for (name, priority) in resources.networkPriorities {
            ignored.add("network.priorities", "\(name) \(priority)", "version 2 has no such controller")
        }
        // What is named by file comes last: it overrides the rest.
        for (name, value) in resources.unified { try setUnified(name, value) }
        return ignored.sentences
    }

    private func setUnified(_ name: String, _ value: String) throws(CgroupError) {
        let parts = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard !name.contains("/"), parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
            throw .badValue(name: "unified", value: name, reason: "it is not the name of a file of the group")
        }
        let controller = String(parts[0])
        let directory = try directory(for: controller)
        do throws(CgroupError) {
            for line in value.split(separator: "\n", omittingEmptySubsequences: !value.isEmpty) {
                try directory.write(String(line), to: name)
            }
        } catch {
            // The reason is more than that the file is not there.
            if controller != "cgroup" { _ = try self.directory(controller) }
            throw error
        }
    }

    // MARK: Memory

    private func setMemory(
        _ memory: ResourceConfiguration.Memory,
        _ ignored: inout LimitReport
    ) throws(CgroupError) {
        let limit = memory.limit ?? 0
        let swap = memory.swap ?? 0
        if memory.disablesOOMKiller == true {
            throw .badValue(name: "memory.disableOOMKiller", value: "true", reason: "version 2 has no such setting")
        }
        if limit != 0 || swap != 0 {
            let swapLimit = try Self.swapLimit(limit: limit, swap: swap)
            let directory = try directory("memory")
            if memory.checksBeforeUpdate == true {
                let usage = try directory.number("memory.current")
                for (name, bound) in [("memory.swap", swap), ("memory", limit)]
                where bound > 0 && UInt64(bound) <= usage {
                    throw .belowUsage(name: name, limit: UInt64(bound), usage: usage)
                }
            }
            if let swapLimit {
                // A host without swap has no limit of it, and needs none where all or nothing is allowed.
                if directory.has("memory.swap.max") || !["max", "0"].contains(swapLimit) {
                    try directory.write(swapLimit, to: "memory.swap.max")
                }
            }
            if limit != 0 { try directory.write(Self.text(limit), to: "memory.max") }
        }
        if let reservation = memory.reservation, reservation != 0 {
            try directory("memory").write(Self.text(reservation), to: "memory.low")
        }
        for (name, value) in [("memory.kernel", memory.kernel), ("memory.kernelTCP", memory.kernelTCP)] {
            if let value, value != 0 { ignored.add(name, "\(value)", "version 2 has no such limit") }
        }
        if let swappiness = memory.swappiness, swappiness != .max {
            ignored.add("memory.swappiness", "\(swappiness)", "version 2 has no such setting")
        }
    }

    private static func text(_ limit: Int64) -> String { limit == -1 ? "max" : "\(limit)" }

    /// What `memory.swap`, which is memory and swap together, is as `memory.swap.max`; nil to leave it.
    ///
    /// 0 is for not given.
    static func swapLimit(limit: Int64, swap: Int64) throws(CgroupError) -> String? {
        if swap == 0 { return limit == -1 ? "max" : nil }
        if swap == -1 { return "max" }
        func bad(_ reason: String) -> CgroupError { .badValue(name: "memory.swap", value: "\(swap)", reason: reason) }
        guard swap > 0 else { throw bad("it is neither -1 nor a size") }
        guard limit > 0 else { throw bad("memory.limit is not given") }
        guard swap >= limit else { throw bad("it is below memory.limit, \(limit)") }
        return "\(swap - limit)"
    }

    // MARK: Processors

    /// Shares of version 1, 2 to 262144, as a weight, 1 to 10000.
    static func weight(ofShares shares: UInt64) -> UInt64 {
        1 + (min(max(shares, 2), 262_144) - 2) * 9999 / 262_142
    }

    private func setCPU(_ cpu: ResourceConfiguration.CPU, _ ignored: inout LimitReport) throws(CgroupError) {
        if let idle = cpu.idle {
            let directory = try directory("cpu")
            if directory.has("cpu.idle") {
                try directory.write("\(idle)", to: "cpu.idle")
            } else if idle != 0 {
                ignored.add("cpu.idle", "\(idle)", "the kernel has no such setting")
            }
        }
        // An idle group has no weight.
        if let shares = cpu.shares, shares != 0, cpu.idle != 1 {
            try directory("cpu").write("\(Self.weight(ofShares: shares))", to: "cpu.weight")
        }
        var lateBurst: String?
        let changesQuota = (cpu.quota ?? 0) != 0 || (cpu.period ?? 0) != 0
        if let burst = cpu.burst {
            let directory = try directory("cpu")
            if directory.has("cpu.max.burst") {
                do throws(CgroupError) { try directory.write("\(burst)", to: "cpu.max.burst") } catch {
                    // It may be above the old quota only.
                    guard changesQuota, case .refused(_, _, let cause) = error, cause == EINVAL else { throw error }
                    lateBurst = "\(burst)"
                }
            } else if burst != 0 {
                ignored.add("cpu.burst", "\(burst)", "the kernel has no such limit")
            }
        }
        if changesQuota {
            let directory = try directory("cpu")
            let old = (directory.readIfPresent("cpu.max") ?? "").split(separator: " ")
            var quota = old.first.map(String.init) ?? "max"
            if let wanted = cpu.quota, wanted != 0 { quota = wanted > 0 ? "\(wanted)" : "max" }
            var period = old.count == 2 ? String(old[1]) : "100000"
            if let wanted = cpu.period, wanted != 0 { period = "\(wanted)" }
            try directory.write("\(quota) \(period)", to: "cpu.max")
        }
        if let lateBurst { try directory("cpu").write(lateBurst, to: "cpu.max.burst") }
        if let runtime = cpu.realtimeRuntime, runtime != 0 {
            ignored.add("cpu.realtimeRuntime", "\(runtime)", "version 2 has no such limit")
        }
        if let period = cpu.realtimePeriod, period != 0 {
            ignored.add("cpu.realtimePeriod", "\(period)", "version 2 has no such limit")
        }
        for (file, value) in [("cpuset.cpus", cpu.cpus), ("cpuset.mems", cpu.memoryNodes)] {
            if let value, !value.isEmpty { try directory("cpuset").write(value, to: file) }
        }
    }

    // MARK: Block devices

    /// A weight of version 1, 10 to 1000, as one of version 2, 1 to 10000.
    static func ioWeight(_ weight: UInt16) -> UInt64 { 1 + (UInt64(min(max(weight, 10), 1000)) - 10) * 9999 / 990 }

    private func setBlockIO(
        _ blockIO: ResourceConfiguration.BlockIO,
        _ ignored: inout LimitReport
    ) throws(CgroupError) {
        if let weight = blockIO.weight, weight != 0 {
            let directory = try directory("io")
            if directory.has("io.bfq.weight") {
                try directory.write("\(weight)", to: "io.bfq.weight")
            } else if directory.has("io.weight") {
                try directory.write("\(Self.ioWeight(weight))", to: "io.weight")
            } else {
                ignored.add("blockIO.weight", "\(weight)", "no I/O scheduler of the host has weights")
            }
        }
        if let weight = blockIO.leafWeight, weight != 0 {
            ignored.add("blockIO.leafWeight", "\(weight)", "version 2 has no such weight")
        }
        for device in blockIO.weights {
            guard let weight = device.weight, weight != 0 else { continue }
            let directory = try directory("io")
            let number = "\(device.major):\(device.minor)"
            if directory.has("io.bfq.weight") {
                try directory.write("\(number) \(weight)", to: "io.bfq.weight")
            } else if directory.has("io.weight") {
                try directory.write("\(number) \(Self.ioWeight(weight))", to: "io.weight")
            } else {
                ignored.add("blockIO.weightDevice", "\(number) \(weight)", "no I/O scheduler of the host has weights")
            }
        }
        for (throttles, key) in [
            (blockIO.readBytesPerSecond, "rbps"), (blockIO.writeBytesPerSecond, "wbps"),
            (blockIO.readOperationsPerSecond, "riops"), (blockIO.writeOperationsPerSecond, "wiops"),
        ] {
            for throttle in throttles {
                // 0 is for none, as in version 1.
                let rate = throttle.rate == 0 ? "max" : "\(throttle.rate)"
                try directory("io").write("\(throttle.major):\(throttle.minor) \(key)=\(rate)", to: "io.max")
            }
        }
    }
}
