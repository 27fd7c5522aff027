internal import Glibc

extension LegacyControlGroup {
    func apply(_ resources: ResourceConfiguration) throws(CgroupError) -> [String] {
        var ignored = LimitReport()
        try setCPUSet(resources.cpu)
        try setDevices(resources.devices)
        try setLimits(resources, &ignored)
        return ignored.sentences
    }

    func update(_ resources: ResourceConfiguration) throws(CgroupError) -> [String] {
        var ignored = LimitReport()
        try setCPUSet(resources.cpu)
        try setLimits(resources, &ignored)
        return ignored.sentences
    }

    private func setLimits(_ resources: ResourceConfiguration, _ ignored: inout LimitReport) throws(CgroupError) {
        if let unified = resources.unified.first {
            throw .badValue(
                name: unified.name,
                value: unified.value,
                reason: "the host's control groups are of version 1"
            )
        }
        if let memory = resources.memory { try setMemory(memory, &ignored) }
        if let cpu = resources.cpu { try setCPU(cpu, &ignored) }
        if let limit = resources.processLimit {
            try directory("pids").write(limit > 0 ? "\(limit)" : "max", to: "pids.max")
        }
        if let blockIO = resources.blockIO { try setBlockIO(blockIO, &ignored) }
        for (size, limit) in resources.hugePageLimits {
            let directory = try directory("hugetlb")
            let name = try LimitReport.hugePageFile(size)
            try directory.write("\(limit)", to: "\(name).limit_in_bytes")
            if directory.has("\(name).rsvd.limit_in_bytes") {
                try directory.write("\(limit)", to: "\(name).rsvd.limit_in_bytes")
            }
        }
        if let identifier = resources.networkClassID, identifier != 0 {
            try directory("net_cls").write("\(identifier)", to: "net_cls.classid")
        }
        for (name, priority) in resources.networkPriorities {
            try directory("net_prio").write("\(name) \(priority)", to: "net_prio.ifpriomap")
        }
        for entry in resources.rdma {
            guard let line = LimitReport.rdmaLine(entry) else { continue }
            try directory("rdma").write(line, to: "rdma.max")
        }
    }

    private func setDevices(_ rules: [ResourceConfiguration.DeviceRule]) throws(CgroupError) {
        // In a user namespace the kernel gives nobody the right, and denies devices itself.
        guard !isRootless else { return }
        let policy = try DevicePolicy(rules + DevicePolicy.defaults)
        let directory = try directory("devices")
        for (file, value) in policy.writes {
            if value == "a", file == "devices.allow", directory.readIfPresent("devices.list") == "a *:* rwm" {
                continue
            }
            try directory.write(value, to: file)
        }
    }

    private func setCPUSet(_ cpu: ResourceConfiguration.CPU?) throws(CgroupError) {
        for (file, value) in [("cpuset.cpus", cpu?.cpus), ("cpuset.mems", cpu?.memoryNodes)] {
            if let value, !value.isEmpty { try directory("cpuset").write(value, to: file) }
        }
    }

    // MARK: Memory

    private func setMemory(
        _ memory: ResourceConfiguration.Memory,
        _ ignored: inout LimitReport
    ) throws(CgroupError) {
        let limit = memory.limit ?? 0
        var swap = memory.swap ?? 0
        let limitFile = "memory.limit_in_bytes"
        let swapFile = "memory.memsw.limit_in_bytes"
        if limit != 0 || swap != 0 {
            let directory = try directory("memory")
            if limit == -1, swap == 0, directory.has(swapFile) { swap = -1 }
            if limit > 0, swap > 0, swap < limit {
                throw .badValue(name: "memory.swap", value: "\(swap)", reason: "it is below memory.limit, \(limit)")
            }
            if memory.checksBeforeUpdate == true, limit > 0 {
                let usage = try directory.number("memory.usage_in_bytes")
                guard UInt64(limit) > usage else {
                    throw .belowUsage(name: "memory", limit: UInt64(limit), usage: usage)
                }
            }
            // The kernel takes no limit of memory above that of memory with swap: the one that makes room is first.
            let old = try directory.number(limitFile)
            let isSwapFirst = swap == -1 || swap > 0 && old < UInt64(swap)
            if isSwapFirst { try setBytes(swap, swapFile, directory) }
            if limit != 0 { try setBytes(limit, limitFile, directory) }
            if swap != 0, !isSwapFirst { try setBytes(swap, swapFile, directory) }
        }
        if let reservation = memory.reservation, reservation != 0 {
            try directory("memory").write("\(reservation)", to: "memory.soft_limit_in_bytes")
        }
        if let kernel = memory.kernel, kernel != 0 {
            ignored.add("memory.kernel", "\(kernel)", "the kernel's memory counts as the container's")
        }
        if let kernelTCP = memory.kernelTCP, kernelTCP != 0 {
            let directory = try directory("memory")
            if directory.has("memory.kmem.tcp.limit_in_bytes") {
                try directory.write("\(kernelTCP)", to: "memory.kmem.tcp.limit_in_bytes")
            } else {
                ignored.add("memory.kernelTCP", "\(kernelTCP)", "the kernel has no such limit")
            }
        }
        if let isDisabled = memory.disablesOOMKiller {
            if isDisabled {
                try directory("memory").write("1", to: "memory.oom_control")
            } else if let path = paths["memory"],
                CgroupDirectory(path).table("memory.oom_control").contains(where: { $0 == ("oom_kill_disable", 1) })
            {
                try CgroupDirectory(path).write("0", to: "memory.oom_control")
            }
        }
        // As -1 it means that the group above decides.
        if let swappiness = memory.swappiness, swappiness != .max {
            guard swappiness <= 100 else {
                throw .badValue(name: "memory.swappiness", value: "\(swappiness)", reason: "it is at most 100")
            }
            try directory("memory").write("\(swappiness)", to: "memory.swappiness")
        }
    }

    private func setBytes(_ limit: Int64, _ file: String, _ directory: CgroupDirectory) throws(CgroupError) {
        do throws(CgroupError) { try directory.write("\(limit)", to: file) } catch {
            // The kernel could not free enough.
            guard case .refused(_, _, let cause) = error, cause == EBUSY, limit > 0,
                let usage = directory.numberIfPresent("memory.usage_in_bytes")
            else { throw error }
            throw .belowUsage(name: "memory", limit: UInt64(limit), usage: usage)
        }
    }

    // MARK: Processors

    private func setCPU(_ cpu: ResourceConfiguration.CPU, _ ignored: inout LimitReport) throws(CgroupError) {
        if let shares = cpu.shares, shares != 0 {
            let directory = try directory("cpu")
            try directory.write("\(shares)", to: "cpu.shares")
            let effective = try directory.number("cpu.shares")
            guard effective == shares else {
                let bound = effective < shares ? "most" : "least"
                throw .badValue(
                    name: "cpu.shares",
                    value: "\(shares)",
                    reason: "the kernel takes at \(bound) \(effective)"
                )
            }
        }
        if let period = cpu.realtimePeriod, period != 0 {
            try directory("cpu").write("\(period)", to: "cpu.rt_period_us")
        }
        if let runtime = cpu.realtimeRuntime, runtime != 0 {
            try directory("cpu").write("\(runtime)", to: "cpu.rt_runtime_us")
        }
        let quota = cpu.quota ?? 0
        var later: [(file: String, value: String)] = []
        if quota != 0 { later.append(("cpu.cfs_quota_us", "\(quota)")) }
        if let period = cpu.period, period != 0 {
            try setBeforeQuota("\(period)", "cpu.cfs_period_us", hasQuota: quota != 0, &later)
        }
        if let burst = cpu.burst {
            if try directory("cpu").has("cpu.cfs_burst_us") {
                try setBeforeQuota("\(burst)", "cpu.cfs_burst_us", hasQuota: quota != 0, &later)
            } else if burst != 0 {
                ignored.add("cpu.burst", "\(burst)", "the kernel has no such limit")
            }
        }
        for (file, value) in later { try directory("cpu").write(value, to: file) }
        if let idle = cpu.idle {
            let directory = try directory("cpu")
            if directory.has("cpu.idle") {
                try directory.write("\(idle)", to: "cpu.idle")
            } else if idle != 0 {
                ignored.add("cpu.idle", "\(idle)", "the kernel has no such setting")
            }
        }
    }

    /// Writes what may be refused only because of the old quota; then it comes again after the new one.
    private func setBeforeQuota(
        _ value: String,
        _ file: String,
        hasQuota: Bool,
        _ later: inout [(file: String, value: String)]
    ) throws(CgroupError) {
        do throws(CgroupError) { try directory("cpu").write(value, to: file) } catch {
            guard hasQuota, case .refused(_, _, let cause) = error, cause == EINVAL else { throw error }
            later.append((file, value))
        }
    }

    // MARK: Block devices

    private func setBlockIO(
        _ blockIO: ResourceConfiguration.BlockIO,
        _ ignored: inout LimitReport
    ) throws(CgroupError) {
        /// A share, not a limit: the kernel's I/O scheduler may have none.
        func share(_ value: String, _ files: [String], _ name: String) throws(CgroupError) {
            let directory = try directory("blkio")
            guard let file = files.first(where: { directory.has($0) }) else {
                return ignored.add(name, value, "no I/O scheduler of the host has weights")
            }
            try directory.write(value, to: file)
        }
        if let weight = blockIO.weight, weight != 0 {
            try share("\(weight)", ["blkio.bfq.weight", "blkio.weight"], "blockIO.weight")
        }
        if let weight = blockIO.leafWeight, weight != 0 {
            try share("\(weight)", ["blkio.leaf_weight"], "blockIO.leafWeight")
        }
        for device in blockIO.weights {
            let number = "\(device.major):\(device.minor)"
            if let weight = device.weight, weight != 0 {
                let files = ["blkio.bfq.weight_device", "blkio.weight_device"]
                try share("\(number) \(weight)", files, "blockIO.weightDevice")
            }
            if let weight = device.leafWeight, weight != 0 {
                try share("\(number) \(weight)", ["blkio.leaf_weight_device"], "blockIO.weightDevice")
            }
        }
        for (throttles, file) in [
            (blockIO.readBytesPerSecond, "read_bps"), (blockIO.writeBytesPerSecond, "write_bps"),
            (blockIO.readOperationsPerSecond, "read_iops"), (blockIO.writeOperationsPerSecond, "write_iops"),
        ] {
            for throttle in throttles {
                try directory("blkio").write(
                    "\(throttle.major):\(throttle.minor) \(throttle.rate)",
                    to: "blkio.throttle.\(file)_device"
                )
            }
        }
    }
}
