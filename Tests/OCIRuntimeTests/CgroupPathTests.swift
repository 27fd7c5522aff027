import Testing

@testable import OCIRuntime

@Suite struct CgroupPathTests {
    let hierarchy = CgroupHost.Hierarchy(controllers: ["pids"], mountPoint: "/cg/pids", ownPath: "/a/b")
    let booted = CgroupHost(hierarchies: [], unified: nil, hasSystemd: true)

    @Test(arguments: [
        ("/x/y", "/cg/pids/x/y"), ("x/y", "/cg/pids/a/b/x/y"), ("/../../etc", "/cg/pids/etc"),
        ("../../../etc", "/cg/pids/a/b/etc"), ("/x/./../y//z/", "/cg/pids/y/z"),
    ])
    func `A path stays in its hierarchy`(text: String, folder: String) throws {
        #expect(try CgroupPath(text, id: "id").folder(in: hierarchy) == folder)
    }

    @Test(arguments: [nil, ""]) func `Without a path the group has the container's name`(text: String?) throws {
        let path = try CgroupPath(text, id: "c1")
        #expect(path == .relative("/c1", isDefault: true))
        #expect(path.folder(in: hierarchy) == "/cg/pids/a/b/c1")
    }

    @Test func `On version 2 a relative path is beside the runtime's own group`() throws {
        let own = CgroupHost.Hierarchy(controllers: [], mountPoint: "/cg", ownPath: "/a/b")
        #expect(try CgroupPath("x", id: "c1").folder(in: own, isBeside: true) == "/cg/a/x")
        let top = CgroupHost.Hierarchy(controllers: [], mountPoint: "/cg", ownPath: "")
        #expect(try CgroupPath("x", id: "c1").folder(in: top, isBeside: true) == "/cg/x")
    }

    @Test(arguments: ["/", "/..", "/a/..", "."]) func `The top of the hierarchy is no container's group`(text: String) {
        #expect(throws: CgroupError.badPath(text, reason: "it is the top of the hierarchy")) {
            try CgroupPath(text, id: "c1")
        }
    }

    @Test(arguments: [
        ("user-1000.slice:docker:abc", "/user.slice/user-1000.slice/docker-abc.scope"),
        (":runc:abc", "/system.slice/runc-abc.scope"), ("-.slice:p:n", "/p-n.scope"),
        ("a.slice::n", "/a.slice/n.scope"), ("a-b-c.slice:p:n.slice", "/a.slice/a-b.slice/a-b-c.slice/n.slice"),
    ])
    func `systemd's form is the place that systemd gives the unit`(text: String, folder: String) throws {
        #expect(try CgroupPath(systemd: text, id: "c1", isRootless: false, host: booted) == .absolute(folder))
    }

    @Test func `Without a path systemd's unit has the container's name`() throws {
        let path = try CgroupPath(systemd: nil, id: "c1", isRootless: true, host: booted)
        #expect(path == .absolute("/user.slice/runc-c1.scope"))
    }

    @Test(arguments: ["/a/b", "a.slice:b", "a:b:c", "a--b.slice:p:n", "../x.slice:p:n", "a.slice:p:", "a.slice:..:/x"])
    func `What is not of systemd's form is refused`(text: String) {
        #expect(throws: CgroupError.self) { try CgroupPath(systemd: text, id: "c1", isRootless: false, host: booted) }
    }

    @Test func `Where systemd does not run its form is refused with the reason`() {
        let host = CgroupHost(hierarchies: [], unified: nil)
        #expect(throws: CgroupError.badPath("a.slice:p:n", reason: "systemd does not run on this host")) {
            try CgroupPath(systemd: "a.slice:p:n", id: "c1", isRootless: false, host: host)
        }
    }
}
