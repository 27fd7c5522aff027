import Glibc
import JSON
import Testing

@testable import OCIRuntime

/// Version 2: files against a folder that looks like it, processes against the kernel.
@Suite struct CgroupUnifiedTests {
    let files = [
        "cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma", "memory.max": "max", "memory.swap.max": "max",
        "memory.low": "0", "memory.current": "1048576", "pids.max": "max", "cpu.weight": "100", "cpu.max": "max 100000",
        "cpu.max.burst": "0", "cpu.idle": "0", "cpuset.cpus": "", "cpuset.mems": "", "io.weight": "default 100",
        "io.max": "", "hugetlb.2MB.max": "max", "hugetlb.2MB.rsvd.max": "max", "rdma.max": "", "memory.high": "max",
    ]

    /// The files that differ after `resources` are set.
    private func changes(
        _ resources: String,
        _ files: [String: String]
    ) throws -> (files: [String: String], warnings: [String]) {
        let (host, directory) = try CgroupFixture.fakeUnified(files)
        defer { CgroupFixture.removeFake(host) }
        let group = host.controlGroup(at: .absolute("/c"), isRootless: true)
        let warnings = try group.apply(CgroupFixture.resources(resources))
        var found: [String: String] = [:]
        for (name, old) in files {
            let new = try directory.read(name)
            if new != old { found[name] = new }
        }
        return (found, warnings)
    }

    @Test func `Limits are written to version 2's files`() throws {
        let (found, warnings) = try changes(
            """
            {"memory": {"limit": 8388608, "swap": 12582912, "reservation": 4194304, "disableOOMKiller": false},
             "cpu": {"shares": 1024, "quota": 50000, "period": 200000, "burst": 1000, "cpus": "0-1", "mems": "0"},
             "pids": {"limit": 17}, "blockIO": {"weight": 500, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}]},
             "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}], "rdma": {"mlx5_0": {"hcaHandles": 3}},
             "unified": {"memory.high": "6291456"}}
            """,
            files
        )
        #expect(
            found == [
                "memory.max": "8388608", "memory.swap.max": "4194304", "memory.low": "4194304", "cpu.weight": "39",
                "cpu.max": "50000 200000", "cpu.max.burst": "1000", "cpuset.cpus": "0-1", "cpuset.mems": "0",
                "pids.max": "17", "io.weight": "4950", "io.max": "8:0 rbps=600", "hugetlb.2MB.max": "4194304",
                "hugetlb.2MB.rsvd.max": "4194304", "rdma.max": "mlx5_0 hca_handle=3", "memory.high": "6291456",
            ]
        )
        #expect(warnings.isEmpty)
    }

    @Test(arguments: [(Int64(-1), Int64(0), "max"), (8, -1, "max"), (8, 8, "0"), (8, 20, "12"), (8, 0, nil)])
    func `Swap is what is left of both without memory`(limit: Int64, swap: Int64, expected: String?) throws {
        #expect(try UnifiedControlGroup.swapLimit(limit: limit, swap: swap) == expected)
    }

    @Test(arguments: [(Int64(0), Int64(8)), (-1, 8), (8, 4), (8, -2)])
    func `Swap that memory does not fit in is refused`(limit: Int64, swap: Int64) {
        #expect(throws: CgroupError.self) { try UnifiedControlGroup.swapLimit(limit: limit, swap: swap) }
    }

    @Test func `Shares become weights`() {
        #expect([2, 1024, 262_144].map { UnifiedControlGroup.weight(ofShares: $0) } == [1, 39, 10000])
        #expect([10, 500, 1000].map { UnifiedControlGroup.ioWeight($0) } == [1, 4950, 10000])
    }

    @Test func `A new period keeps the quota and a process limit of 0 is none`() throws {
        var files = files
        files["cpu.max"] = "30000 100000"
        files["pids.max"] = "7"
        let (found, _) = try changes(#"{"cpu": {"period": 50000}, "pids": {"limit": 0}}"#, files)
        #expect(found == ["cpu.max": "30000 50000", "pids.max": "max"])
    }

    @Test(arguments: [
        (#"{"pids": {"limit": 5}}"#, "pids"), (#"{"memory": {"limit": 4096}}"#, "memory"),
        (#"{"cpu": {"shares": 9}}"#, "cpu"),
        (#"{"cpu": {"cpus": "0"}}"#, "cpuset"), (#"{"unified": {"io.max": "8:0 rbps=1"}}"#, "io"),
        (#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}"#, "hugetlb"),
    ])
    func `A limit of an absent controller is refused by its name`(resources: String, name: String) {
        #expect(throws: CgroupError.controllerAbsent(name, reason: nil)) {
            try changes(resources, ["cgroup.controllers": "", "pids.max": "max"])
        }
        #expect(
            "\(CgroupError.controllerAbsent(name, reason: nil))".contains(
                "cannot set \(name) limit: container could not join"
            )
        )
    }

    @Test(arguments: [
        #"{"unified": {"../memory.max": "1"}}"#, #"{"unified": {"memory": "1"}}"#,
        #"{"memory": {"disableOOMKiller": true}}"#,
        #"{"memory": {"limit": 4096, "checkBeforeUpdate": true}}"#, #"{"unified": {"memory.nothing": "1"}}"#,
        #"{"hugepageLimits": [{"pageSize": "../2MB", "limit": 1}]}"#,
    ])
    func `What version 2 cannot do is refused`(resources: String) {
        #expect(throws: CgroupError.self) { try changes(resources, files) }
    }

    @Test func `What version 2 has not is reported`() throws {
        let (found, warnings) = try changes(
            #"{"memory": {"swappiness": 60, "kernelTCP": 5}, "network": {"classID": 1}, "blockIO": {"leafWeight": 10}}"#,
            files
        )
        #expect(found.isEmpty)
        #expect(warnings.count == 4)
    }

    @Test func `Controllers are given to the groups on the way`() throws {
        let (host, directory) = try CgroupFixture.fakeUnified([:])
        defer { CgroupFixture.removeFake(host) }
        let top = CgroupDirectory(try #require(host.unified?.mountPoint))
        try CgroupFixture.write("cpu memory pids", to: top / "cgroup.controllers")
        try CgroupFixture.write("memory", to: top / "cgroup.subtree_control")
        var group = host.controlGroup(at: .absolute("/c/d"), isRootless: true)
        try group.create()
        #expect(try top.read("cgroup.subtree_control") == "+cpu +pids")
        #expect(CgroupDirectory(directory / "d").exists)
    }

    @Test func `A kill for want of memory and the end are told`() throws {
        let (host, directory) = try CgroupFixture.fakeUnified([
            "cgroup.controllers": "memory", "memory.events": "oom 0\noom_kill 2",
            "cgroup.events": "populated 1\nfrozen 0",
        ])
        defer { CgroupFixture.removeFake(host) }
        var events = try host.controlGroup(at: .absolute("/c")).oomEvents()
        #expect(events.next() == nil)
        try directory.write("oom 1\noom_kill 2", to: "memory.events")
        #expect(events.next() == nil)
        try directory.write("oom 1\noom_kill 3", to: "memory.events")
        #expect(events.next() == .outOfMemory)
        try directory.write("populated 0\nfrozen 0", to: "cgroup.events")
        #expect(events.next() == .ended)
    }

    @Test func `Statistics of version 2 are those of its files`() throws {
        let (host, _) = try CgroupFixture.fakeUnified([
            "cpu.stat": "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 4\nnr_throttled 2\nthrottled_usec 7",
            "memory.current": "4096", "memory.max": "max", "memory.peak": "8192",
            "memory.events": "low 0\nmax 3\noom_kill 1",
            "memory.stat": "anon 1\nfile 2", "memory.swap.current": "10", "memory.swap.max": "20",
            "pids.current": "2", "pids.max": "9", "cpuset.cpus.effective": "0-2,5",
            "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0",
            "cpu.pressure": "some avg10=0.50 avg60=0.00 avg300=0.00 total=12",
        ])
        defer { CgroupFixture.removeFake(host) }
        let json = try host.controlGroup(at: .absolute("/c")).statistics().json
        #expect(json["cpu"]?["usage"] == ["total": 30000, "kernel": 10000, "user": 20000])
        #expect(json["cpu"]?["throttling"] == ["periods": 4, "throttledPeriods": 2, "throttledTime": 7000])
        #expect(json["cpu"]?["psi"]?["some"]?["total"] == 12)
        #expect(json["cpuset"]?["cpus"] == [0, 1, 2, 5])
        #expect(json["memory"]?["usage"] == ["limit": .integer(.max), "usage": 4096, "max": 8192, "failcnt": 3])
        #expect(json["memory"]?["swap"]?["usage"] == 4106)
        #expect(json["memory"]?["raw"] == ["anon": 1, "file": 2])
        #expect(json["pids"] == ["current": 2, "limit": 9])
        #expect(
            json["blkio"]?["ioServicedRecursive"] == [
                ["major": 8, "op": "Read", "value": 3], ["major": 8, "op": "Write", "value": 4],
                ["major": 8, "op": "Discard"],
            ]
        )
    }

    @Test(.enabled(if: CgroupFixture.unifiedHost != nil, "needs root and version 2"))
    func `A group of version 2 is frozen, killed and deleted`() throws {
        try withGroup(try #require(CgroupFixture.unifiedHost)) { group in
            let child = try Child(["/bin/sleep", "100"])
            try group.add(child.pid)
            #expect(try group.processes() == [child.pid])
            #expect(throws: CgroupError.self) { try group.delete() }
            try group.freeze()
            #expect(try group.isFrozen)
            try group.thaw()
            #expect(try !group.isFrozen)
            try group.freeze()
            try group.killAll(signal: SIGKILL)
            #expect(child.wait() == -SIGKILL)
            try group.delete()
            #expect(!CgroupDirectory(try #require(group.paths[""])).exists)
            try group.delete()
        }
    }

    @Test(.enabled(if: CgroupFixture.unifiedHost != nil, "needs root and version 2"))
    func `A signal reaches the processes of groups below too`() throws {
        try withGroup(try #require(CgroupFixture.unifiedHost)) { group in
            let path = try #require(group.paths[""])
            mkdir(path + "/below", 0o755)
            let children = try [Child(["/bin/sleep", "100"]), Child(["/bin/sleep", "100"])]
            try group.add(children[0].pid)
            try group.add(children[1].pid, below: "../below")
            #expect(throws: CgroupError.self) { try group.add(children[0].pid, below: ["pids": "/below"]) }
            #expect(try group.processes() == children.map(\.pid).sorted())
            try group.killAll(signal: SIGTERM)
            #expect(children.map { $0.wait() } == [-SIGTERM, -SIGTERM])
            try group.delete()
        }
    }
}
