import Testing

@testable import OCIRuntime

@Suite struct CgroupHostTests {
    @Test func `A host of version 1 with controllers mounted together`() throws {
        let host = try CgroupHost(
            mountInfo: """
                25 1 0:22 / / rw - ext4 /dev/vda rw
                32 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
                33 25 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
                34 25 0:31 / /elsewhere/memory rw - cgroup cgroup rw,memory
                """,
            membership: "4:cpu,cpuacct:/user\n3:memory:/\n1:name=systemd:/user/1:2\n",
            root: "/sys/fs/cgroup"
        )
        #expect(host.mode == .legacy)
        #expect(
            host.hierarchies == [
                .init(controllers: ["cpu", "cpuacct"], mountPoint: "/sys/fs/cgroup/cpu,cpuacct", ownPath: "/user"),
                .init(controllers: ["name=systemd"], mountPoint: "/sys/fs/cgroup/systemd", ownPath: "/user/1:2"),
            ]
        )
        let group = host.controlGroup(at: .absolute("/x"))
        #expect(group.paths["cpuacct"] == "/sys/fs/cgroup/cpu,cpuacct/x")
        #expect(group.paths["memory"] == nil)
    }

    @Test func `A hybrid host`() throws {
        let host = try CgroupHost(
            mountInfo: """
                32 25 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
                41 25 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
                """,
            membership: "8:pids:/p\n0::/u/v",
            root: "/sys/fs/cgroup"
        )
        #expect(host.mode == .hybrid)
        let group = host.controlGroup(at: .relative("/x", isDefault: true))
        #expect(group.paths == ["pids": "/sys/fs/cgroup/pids/p/x", "": "/sys/fs/cgroup/unified/u/v/x"])
    }

    @Test func `A host of version 2`() throws {
        let host = try CgroupHost(
            mountInfo: "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate",
            membership: "0::/user.slice/session-1.scope",
            root: "/sys/fs/cgroup"
        )
        #expect(host.mode == .unified)
        let group = host.controlGroup(at: .relative("/x", isDefault: true))
        #expect(group.paths == ["": "/sys/fs/cgroup/user.slice/x"])
    }

    @Test(arguments: [
        ("/docker/abc", "/docker/abc/x", "/x"), ("/docker/abc", "/docker/abc", ""), ("/docker/abc", "/docker/abcd", ""),
        ("/docker/abc", "/", ""), ("/", "/../other", ""), ("/a\\040b", "/a b/c", "/c"),
    ])
    func `In a container the own group is seen from the mounted part`(root: String, group: String, own: String) throws {
        let host = try CgroupHost(
            mountInfo: "32 25 0:29 \(root) /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
            membership: "8:pids:\(group)",
            root: "/sys/fs/cgroup"
        )
        #expect(host.hierarchies.first?.ownPath == own)
    }

    @Test(arguments: ["", "32 25", "nonsense - - -", "32 25 0:29 / /sys/fs/cgroup/x rw - cgroup"])
    func `A host without control groups is refused`(mountInfo: String) {
        #expect(throws: CgroupError.noHierarchy(root: "/sys/fs/cgroup")) {
            try CgroupHost(mountInfo: mountInfo, membership: "::\n:", root: "/sys/fs/cgroup")
        }
    }
}
