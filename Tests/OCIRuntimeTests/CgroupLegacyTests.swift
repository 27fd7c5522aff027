import Glibc
import JSON
import Testing

@testable import OCIRuntime

/// Version 1, by the kernel of the host.
@Suite(.enabled(if: CgroupFixture.legacyHost != nil, "needs root and version 1's pids, freezer and memory"))
struct CgroupLegacyTests {
    private func directory(_ group: any ControlGroup, _ controller: String) throws -> CgroupDirectory {
        CgroupDirectory(try #require(group.paths[controller]))
    }

    @Test func `A process is in the group in every hierarchy, and the group goes by its saved paths`() throws {
        let host = try #require(CgroupFixture.legacyHost)
        try withGroup(host) { group in
            let child = try Child(["/bin/sleep", "100"])
            try group.add(child.pid)
            for path in Set(group.paths.values) {
                #expect(try CgroupDirectory(path).processes() == [child.pid], "\(path)")
            }
            var second = host.controlGroup(saved: group.paths)
            #expect(throws: CgroupError.self) { try second.create() }
            #expect(throws: CgroupError.self) { try second.delete() }
            try second.killAll(signal: SIGKILL)
            #expect(child.wait() == -SIGKILL)
            try second.delete()
            for path in group.paths.values { #expect(!CgroupDirectory(path).exists, "\(path)") }
        }
    }

    @Test func `A process limit holds forks`() throws {
        try withGroup(try #require(CgroupFixture.legacyHost)) { group in
            _ = try group.apply(CgroupFixture.resources(#"{"pids": {"limit": 2}}"#))
            // The shell and one more; the third is refused.
            let child = try Child(["/bin/sh", "-c", "sleep 100 & sleep 0 & wait $!"], isStopped: true)
            try group.add(child.pid)
            child.resume()
            #expect(child.wait() == 2)
            #expect(try group.statistics().processLimit == 2)
        }
    }

    @Test func `A memory limit kills who needs more, and that is told`() throws {
        try withGroup(try #require(CgroupFixture.legacyHost)) { group in
            _ = try group.apply(CgroupFixture.resources(#"{"memory": {"limit": 16777216, "swap": 16777216}}"#))
            var events = try group.oomEvents()
            #expect(events.next() == nil)
            let child = try Child(["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"], isStopped: true)
            try group.add(child.pid)
            child.resume()
            #expect(child.wait() == -SIGKILL)
            var watched = pollfd(fd: events.descriptor, events: Int16(POLLIN), revents: 0)
            #expect(poll(&watched, 1, 5000) == 1)
            #expect(events.next() == .outOfMemory)
            let memory = try group.statistics().memory
            #expect(memory.usage.limit == 16_777_216)
            #expect(memory.usage.maximum > 8_388_608)
            try group.delete()
            #expect(poll(&watched, 1, 5000) == 1)
            #expect(events.next() == .ended)
        }
    }

    @Test func `Memory limits go up and down in the order that the kernel takes`() throws {
        try withGroup(try #require(CgroupFixture.legacyHost)) { group in
            let memory = try directory(group, "memory")
            for (limit, swap) in [(32, 64), (128, 256), (16, 16), (64, 64), (8, 128)] {
                let text = #"{"memory": {"limit": \#(limit << 20), "swap": \#(swap << 20)}}"#
                #expect(try group.update(CgroupFixture.resources(text)).isEmpty)
                #expect(try memory.number("memory.limit_in_bytes") == UInt64(limit << 20))
                #expect(try memory.number("memory.memsw.limit_in_bytes") == UInt64(swap << 20))
            }
            _ = try group.update(CgroupFixture.resources(#"{"memory": {"limit": -1}}"#))
            #expect(try memory.number("memory.limit_in_bytes") > 1 << 60)
            #expect(try memory.number("memory.memsw.limit_in_bytes") > 1 << 60)
            #expect(throws: CgroupError.self) {
                try group.update(CgroupFixture.resources(#"{"memory": {"limit": 8388608, "swap": 4194304}}"#))
            }
        }
    }

    @Test func `A limit that is not above the usage is refused where that is asked for`() throws {
        try withGroup(try #require(CgroupFixture.legacyHost)) { group in
            let child = try Child(
                ["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=8M", "count=1", "status=none"],
                isStopped: true
            )
            try group.add(child.pid)
            child.resume()
            #expect(child.wait() == 0)
            let sleeper = try Child(
                ["/bin/sh", "-c", "x=$(head -c 4194304 /dev/zero | tr '\\0' x); sleep 100"],
                isStopped: true
            )
            try group.add(sleeper.pid)
            sleeper.resume()
            let memory = try directory(group, "memory")
            while try memory.number("memory.usage_in_bytes") < 2_097_152 { usleep(1000) }
            #expect {
                try group.update(CgroupFixture.resources(#"{"memory": {"limit": 65536, "checkBeforeUpdate": true}}"#))
            } throws: { error in
                if case CgroupError.belowUsage(_, limit: 65536, _) = error { true } else { false }
            }
            #expect(try memory.number("memory.limit_in_bytes") > 1 << 60)
        }
    }

    @Test func `A weight without an I/O scheduler that has weights is reported`() throws {
        try withGroup(try #require(CgroupFixture.legacyHost)) { group in
            let block = try directory(group, "blkio")
            let isKnown = block.has("blkio.weight") || block.has("blkio.bfq.weight")
            let warnings = try group.apply(CgroupFixture.resources(#"{"blockIO": {"weight": 500}}"#))
            #expect(warnings.count == (isKnown ? 0 : 1))
        }
    }

    @Test func `Processor limits are set in an order that the kernel takes`() throws {
        try withGroup(try #require(CgroupFixture.legacyHost)) { group in
            let cpu = try directory(group, "cpu")
            for (quota, period, burst) in [(50000, 100_000, 20000), (900_000, 1_000_000, 500_000), (2000, 2000, 1000)] {
                let text = #"{"cpu": {"shares": 512, "quota": \#(quota), "period": \#(period), "burst": \#(burst)}}"#
                #expect(try group.update(CgroupFixture.resources(text)).isEmpty)
                #expect(try cpu.read("cpu.cfs_quota_us") == "\(quota)")
                #expect(try cpu.read("cpu.cfs_period_us") == "\(period)")
                #expect(try cpu.read("cpu.cfs_burst_us") == "\(burst)")
            }
            #expect(try cpu.read("cpu.shares") == "512")
            #expect(throws: CgroupError.self) { try group.update(CgroupFixture.resources(#"{"cpu": {"shares": 1}}"#)) }
            _ = try group.update(CgroupFixture.resources(#"{"cpu": {"quota": -1}}"#))
            #expect(try cpu.read("cpu.cfs_quota_us") == "-1")
        }
    }

    @Test func `A new group inherits processors and memory nodes, also through groups between`() throws {
        let host = try #require(CgroupFixture.legacyHost)
        let name = "/" + CgroupFixture.uniqueName()
        var group = host.controlGroup(at: .absolute(name + "/between/leaf"))
        let outer = host.controlGroup(at: .absolute(name))
        defer { try? outer.delete() }
        try group.create()
        let set = try directory(group, "cpuset")
        let top = CgroupDirectory(try #require(host.hierarchy(of: "cpuset")).mountPoint)
        #expect(try set.read("cpuset.cpus") == top.read("cpuset.cpus"))
        _ = try group.apply(CgroupFixture.resources(#"{"cpu": {"cpus": "0", "mems": "0"}}"#))
        #expect(try set.read("cpuset.cpus") == "0")
        #expect(try group.statistics().cpuSet.cpus == [0])
    }

    @Test func `Devices are denied but for the rules' and every container's`() throws {
        try withGroup(try #require(CgroupFixture.legacyHost)) { group in
            let rules =
                #"{"devices": [{"allow": false}, {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}]}"#
            _ = try group.apply(CgroupFixture.resources(rules))
            let list = try directory(group, "devices").read("devices.list").split(separator: "\n").sorted()
            #expect(
                list == [
                    "b *:* m", "c *:* m", "c 10:229 rw", "c 136:* rwm", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm",
                    "c 1:8 rwm",
                    "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm",
                ]
            )
            _ = try group.apply(CgroupFixture.resources(#"{"devices": [{"allow": true}]}"#))
            #expect(try directory(group, "devices").read("devices.list") == "a *:* rwm")
            _ = try group.update(CgroupFixture.resources(#"{"devices": [{"allow": false}]}"#))
            #expect(try directory(group, "devices").read("devices.list") == "a *:* rwm")
        }
    }

    @Test func `What is frozen does not run until it is thawed, but dies when killed`() throws {
        try withGroup(try #require(CgroupFixture.legacyHost)) { group in
            let child = try Child(["/bin/sh", "-c", "while :; do :; done"])
            try group.add(child.pid)
            try group.freeze()
            #expect(try group.isFrozen)
            let before = try group.statistics().cpu.total
            usleep(50_000)
            #expect(try group.statistics().cpu.total == before)
            try group.thaw()
            #expect(try !group.isFrozen)
            try group.freeze()
            try group.killAll(signal: SIGTERM)
            #expect(try group.isFrozen)
            #expect(waitpid(child.pid, nil, WNOHANG) == 0)
            try group.killAll(signal: SIGKILL)
            #expect(child.wait() < 0)
            try group.delete()
        }
    }

    @Test(arguments: [
        #"{"unified": {"memory.max": "1"}}"#, #"{"memory": {"swappiness": 101}}"#, #"{"cpu": {"cpus": "4000"}}"#,
        #"{"blockIO": {"throttleReadBpsDevice": [{"major": 4000, "minor": 0, "rate": 1}]}}"#,
    ])
    func `What version 1 cannot do is refused`(resources: String) throws {
        try withGroup(try #require(CgroupFixture.legacyHost)) { group in
            #expect(throws: CgroupError.self) { try group.apply(CgroupFixture.resources(resources)) }
        }
    }

    @Test func `A controller that the host has not is named`() throws {
        var host = try #require(CgroupFixture.legacyHost)
        host.hierarchies.removeAll { $0.controllers == ["pids"] }
        try withGroup(host) { group in
            #expect(throws: CgroupError.controllerAbsent("pids", reason: nil)) {
                try group.apply(CgroupFixture.resources(#"{"pids": {"limit": 5}}"#))
            }
            #expect(throws: Never.self) { try group.update(CgroupFixture.resources("{}")) }
        }
    }

    @Test func `A refused write names file, value and reason`() throws {
        try withGroup(try #require(CgroupFixture.legacyHost)) { group in
            let path = try directory(group, "cpuset") / "cpuset.cpus"
            #expect(throws: CgroupError.refused(path: path, value: "x", errno: EINVAL)) {
                try group.apply(CgroupFixture.resources(#"{"cpu": {"cpus": "x"}}"#))
            }
        }
    }

    @Test func `Where one hierarchy refuses the group none is left of it`() throws {
        var host = try #require(CgroupFixture.legacyHost)
        host.hierarchies.append(.init(controllers: ["made-up"], mountPoint: "/proc/self", ownPath: ""))
        let name = "/" + CgroupFixture.uniqueName()
        var group = host.controlGroup(at: .absolute(name))
        #expect(throws: CgroupError.self) { try group.create() }
        for path in group.paths.values { #expect(!CgroupDirectory(path).exists, "\(path)") }
    }

    @Test func `A rootless container goes without the group that it may not make`() throws {
        let host = CgroupHost(
            hierarchies: [.init(controllers: ["pids"], mountPoint: "/sys", ownPath: "/kernel")],
            unified: nil
        )
        var group = host.controlGroup(at: try CgroupPath(nil, id: "c1"), isRootless: true)
        try group.create()
        #expect(group.paths.isEmpty)
        #expect(try group.apply(CgroupFixture.resources("{}")).isEmpty)
        #expect(throws: CgroupError.self) { try group.apply(CgroupFixture.resources(#"{"pids": {"limit": 5}}"#)) }
        var asked = host.controlGroup(at: try CgroupPath("/c1", id: "c1"), isRootless: true)
        #expect(throws: CgroupError.self) { try asked.create() }
    }

    @Test func `Statistics have the layout of events`() throws {
        try withGroup(try #require(CgroupFixture.legacyHost)) { group in
            let child = try Child(["/bin/sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 100"])
            try group.add(child.pid)
            while try group.statistics().cpu.total == 0 { usleep(1000) }
            let json = try group.statistics().json
            guard case .object(let members) = json else { return #expect(Bool(false)) }
            #expect(
                members.map(\.name) == [
                    "cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt", "network_interfaces",
                ]
            )
            guard case .integer(let total)? = json["cpu"]?["usage"]?["total"] else { return #expect(Bool(false)) }
            #expect(total > 0)
            #expect(json["cpuset"]?["sched_relax_domain_level"] == -1)
            #expect(json["memory"]?["usage"]?["limit"] != nil)
            #expect(json["memory"]?["raw"]?["hierarchical_memory_limit"] != nil)
        }
    }

    @Test func `A group that is not of the host's hierarchies is left alone`() throws {
        let path = "/tmp/" + CgroupFixture.uniqueName("cgroup")
        mkdir(path, 0o755)
        defer { rmdir(path) }
        let host = try #require(CgroupFixture.legacyHost)
        let top = try #require(host.hierarchy(of: "pids")).mountPoint
        let group = host.controlGroup(saved: ["pids": path, "memory": top + "/../../../.." + path])
        #expect(group.paths.isEmpty)
        try group.delete()
        #expect(CgroupDirectory(path).exists)
    }

    @Test func `While a group has processes nothing below it is deleted`() throws {
        try withGroup(try #require(CgroupFixture.legacyHost)) { group in
            let folders = Set(group.paths.values)
            for path in folders {
                mkdir(path + "/a", 0o755)
                mkdir(path + "/b", 0o755)
            }
            // As cpuset inherits nothing here, the process is in one controller's group below.
            let child = try Child(["/bin/sleep", "100"])
            try group.add(child.pid, below: ["pids": "/a"])
            #expect(throws: CgroupError.self) { try group.delete() }
            #expect(try CgroupDirectory(directory(group, "pids") / "b").exists)
            try group.killAll(signal: SIGKILL)
            _ = child.wait()
            try group.delete()
            for path in folders { #expect(!CgroupDirectory(path).exists, "\(path)") }
        }
    }

    @Test func `A controller that the group has not cannot be joined`() throws {
        try withGroup(try #require(CgroupFixture.legacyHost)) { group in
            #expect(throws: CgroupError.self) { try group.add(getpid(), below: ["nothing": "/a"]) }
        }
    }

    @Test func `The top of a hierarchy and what is mounted are never deleted`() throws {
        let host = try #require(CgroupFixture.legacyHost)
        let top = try #require(host.hierarchy(of: "pids")).mountPoint
        #expect(throws: CgroupError.cannotDelete(path: top, errno: EBUSY)) {
            try host.controlGroup(saved: ["pids": top]).delete()
        }
    }
}
