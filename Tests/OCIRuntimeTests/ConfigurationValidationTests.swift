import JSON
import OCIRuntime
import Testing

@Suite struct ConfigurationValidationTests {
    /// What is said against a configuration; empty where it is accepted without a word.
    func messages(_ configuration: Configuration, host: HostFacts = HostFacts()) -> [String] {
        do { return try ContainerValidation.validate(configuration, host: host) } catch { return ["refused: \(error)"] }
    }

    static let user =
        #", "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}], "#
        + #""gidMappings": [{"containerID": 0, "hostID": 2000, "size": 10}]"#

    @Test func `An ordinary configuration is accepted`() throws {
        #expect(messages(try Sample.configuration()) == [])
        #expect(messages(try Sample.configuration(#", "hostname": "a", "domainname": "b""#)) == [])
        #expect(messages(try Sample.configuration(linux: Self.user, namespaces: "mount user")) == [])
        #expect(
            messages(
                try Sample.configuration(
                    linux:
                        #", "timeOffsets": {"monotonic": {"secs": -5, "nanosecs": 999999999}, "boottime": {"secs": 5}}"#,
                    namespaces: "mount time"
                )
            ) == []
        )
        #expect(messages(try Sample.configuration(linux: #", "rootfsPropagation": "rslave""#)) == [])
    }

    @Test(arguments: ["", "1", "2.0.0", "0.6.0", "x", "invalid", "11.0"])
    func `Versions of other specifications are refused`(version: String) throws {
        var configuration = try Sample.configuration()
        configuration.version = version
        #expect(messages(configuration).first?.hasPrefix("refused: ociVersion is '\(version)': ") == true)
    }

    @Test(arguments: ["1.0.0", "1.0.2-dev", "1.1.0", "1.2.0", "1.3.0"])
    func `Versions of this specification are accepted`(version: String) throws {
        var configuration = try Sample.configuration()
        configuration.version = version
        #expect(messages(configuration) == [])
    }

    @Test(arguments: [
        (#", "hostname": "box""#, "", "mount", "hostname is 'box': the container has no uts namespace of its own"),
        (#", "domainname": "box""#, "", "mount", "domainname is 'box': the container has no uts namespace of its own"),
        ("", #", "maskedPaths": ["/proc/kcore"]"#, "pid", "linux.maskedPaths is '/proc/kcore': "),
        ("", #", "readonlyPaths": ["/proc/sys"]"#, "pid", "linux.readonlyPaths is '/proc/sys': "),
        ("", #", "rootfsPropagation": "sideways""#, "mount", "linux.rootfsPropagation is 'sideways': "),
        ("", #", "rootfsPropagation": "bind""#, "mount", "linux.rootfsPropagation is 'bind': "),
        ("", #", "timeOffsets": {"monotonic": {"secs": 1}}"#, "mount", "linux.timeOffsets is 'monotonic': "),
        ("", #", "timeOffsets": {"monotonic": {"secs": 1}}"#, "time=/t", "linux.timeOffsets is 'monotonic': "),
        ("", #", "timeOffsets": {"realtime": {"secs": 1}}"#, "time", "linux.timeOffsets is 'realtime': "),
        (
            "", #", "timeOffsets": {"boottime": {"nanosecs": 1000000000}}"#, "time",
            "linux.timeOffsets.boottime.nanosecs is '1000000000': "
        ),
        ("", #", "intelRdt": {"closID": "x"}"#, "mount", #"linux.intelRdt is '{"closID":"x"}': "#),
        (
            "", #", "resources": {"unified": {"memory.high": "1"}}"#, "mount",
            "linux.resources.unified is 'memory.high': "
        ),
        ("", #", "personality": {"domain": "BSD"}"#, "mount", "linux.personality.domain is 'BSD': "),
        ("", #", "sysctl": {"net.ipv4.ip_forward": "1"}"#, "mount", "linux.sysctl is 'net.ipv4.ip_forward': "),
        ("", #", "sysctl": {"net.ipv4.ip_forward": "1"}"#, "network=/own", "linux.sysctl is 'net.ipv4.ip_forward': "),
        ("", #", "devices": [{"type": "c", "path": "dev/x"}]"#, "mount", "linux.devices[0].path is 'dev/x': "),
        (
            "", #", "devices": [{"type": "b", "path": "/dev/x", "major": 4096}]"#, "mount",
            "linux.devices[0].major is '4096': "
        ),
        (
            "", #", "devices": [{"type": "c", "path": "/dev/x", "minor": -1}]"#, "mount",
            "linux.devices[0].minor is '-1': "
        ),
        ("", "", "pid=relative", "linux.namespaces[0].path is 'relative': "),
        ("", user, "mount", "linux.uidMappings is '0 1000 10': the container has no user namespace"),
        ("", "", "user", "linux.uidMappings is missing: "),
        (
            "", #", "uidMappings": [{"containerID": 1, "hostID": 0, "size": 1}]"#, "user",
            "linux.uidMappings is missing: nothing"
        ),
        (
            "", #", "uidMappings": [{"containerID": 0, "hostID": 0, "size": 0}]"#, "user",
            "linux.uidMappings[0].size is '0': "
        ),
        (
            "",
            #", "uidMappings": [{"containerID": 0, "hostID": 0, "size": 9}, {"containerID": 8, "hostID": 9, "size": 1}]"#,
            "user", "linux.uidMappings[1].containerID is '8': "
        ),
        (
            "",
            #", "gidMappings": [{"containerID": 0, "hostID": 0, "size": 9}, {"containerID": 9, "hostID": 8, "size": 1}]"#,
            "user", "linux.gidMappings[1].hostID is '8': "
        ),
        (
            "", #", "gidMappings": [{"containerID": 0, "hostID": 4294967295, "size": 2}]"#, "user",
            "linux.gidMappings[0].hostID is '4294967295': "
        ),
        (#", "mounts": [{"destination": ""}]"#, "", "mount", "mounts[0].destination is '': "),
        (
            #", "mounts": [{"destination": "/x", "type": "tmpfs", "options": ["idmap"]}]"#, "", "mount",
            "mounts[0].type is 'tmpfs': "
        ),
        (
            #", "mounts": [{"destination": "/x", "type": "bind", "options": ["idmap"]}]"#, "", "mount",
            "mounts[0].uidMappings is missing: "
        ),
        (
            #", "mounts": [{"destination": "/x", "type": "bind", "gidMappings": [{"containerID": 0, "hostID": 1, "size": 1}]}]"#,
            "", "mount", "mounts[0].uidMappings is missing: "
        ),
    ])
    func `What makes no container is named`(members: String, linux: String, namespaces: String, message: String) throws
    {
        let configuration = try Sample.configuration(members, linux: linux, namespaces: namespaces)
        let host = HostFacts(hasUnifiedCgroups: false, isOwn: { $0.path == "/own" })
        let found = messages(configuration, host: host)
        #expect(found.first?.hasPrefix("refused: \(message)") == true, "\(found)")
    }

    @Test(arguments: [
        (#", "selinuxLabel": "a:b:c""#, "process.selinuxLabel is 'a:b:c': "),
        (#", "apparmorProfile": "tight""#, "process.apparmorProfile is 'tight': "),
        (#", "oomScoreAdj": 1001"#, "process.oomScoreAdj is '1001': "),
        (#", "oomScoreAdj": -1001"#, "process.oomScoreAdj is '-1001': "),
        (#", "env": ["A=1", "B"]"#, "process.env[1] is 'B': "), (#", "env": ["=1"]"#, "process.env[0] is '=1': "),
        (#", "execCPUAffinity": {"initial": "x"}"#, "process.execCPUAffinity.initial is 'x': "),
        (#", "execCPUAffinity": {"final": "3-1"}"#, "process.execCPUAffinity.final is '3-1': "),
        (#", "ioPriority": {"class": "x"}"#, "process.ioPriority.class is 'x': "),
        (#", "rlimits": [{"type": "x", "soft": 1, "hard": 1}]"#, "process.rlimits[0].type is 'x': "),
    ])
    func `A process that cannot be is named`(members: String, message: String) throws {
        let found = messages(try Sample.configuration(process: members))
        #expect(found.first?.hasPrefix("refused: \(message)") == true, "\(found)")
    }

    @Test func `A process without a program is refused`() throws {
        var configuration = try Sample.configuration()
        configuration.process?.arguments = []
        #expect(messages(configuration) == ["refused: process.args is missing: there is no program to run"])
        configuration.process = nil
        #expect(messages(configuration) == [])
        let process = try Sample.process(#", "oomScoreAdj": 5000"#)
        let error = #expect(throws: ValidationError.self) { try ProcessSettings(process, host: HostFacts(), place: "") }
        #expect(error?.description.hasPrefix("oomScoreAdj is '5000'") == true)
    }

    @Test func `What a host has is accepted`() throws {
        let host = HostFacts(hasSELinux: true, hasAppArmor: true, hasResourceControl: true)
        let configuration = try Sample.configuration(
            process: #", "selinuxLabel": "a", "apparmorProfile": "b""#,
            linux: #", "intelRdt": {"closID": "x"}, "resources": {"unified": {"memory.high": "1"}}"#
        )
        #expect(messages(configuration, host: host) == [])
        #expect(messages(try Sample.configuration(process: #", "apparmorProfile": "unconfined""#)) == [])
        let parent = try Sample.configuration(linux: #", "intelRdt": {"closID": ".."}"#)
        #expect(messages(parent, host: host).first?.hasPrefix("refused: linux.intelRdt.closID is '..': ") == true)
    }

    @Test func `Namespaces that a kernel lacks are named`() throws {
        let host = HostFacts(namespaces: [.pid, .mount])
        #expect(
            messages(try Sample.configuration(namespaces: "pid time"), host: host) == [
                "refused: linux.namespaces[1].type is 'time': this host's kernel has no such namespaces"
            ]
        )
        #expect(HostFacts.current().namespaces.isSuperset(of: [.pid, .mount, .network]))
    }

    @Test func `Identifiers outside of the user namespace are named`() throws {
        for (user, field) in [
            (#""uid": 10"#, "uid is '10'"), (#""gid": 11"#, "gid is '11'"),
            (#""additionalGids": [9, 12]"#, "additionalGids[1] is '12'"),
        ] {
            let configuration = try Sample.configuration(
                process: #", "user": {\#(user)}"#,
                linux: Self.user,
                namespaces: "mount user"
            )
            #expect(messages(configuration).first?.hasPrefix("refused: process.user.\(field): ") == true)
        }
        // Who knows what a namespace maps that is joined.
        let joined = try Sample.configuration(process: #", "user": {"uid": 10}"#, namespaces: "user=/run/user")
        #expect(messages(joined) == [])
    }

    @Test func `Old usage is told, not refused`() throws {
        #expect(
            messages(try Sample.configuration(linux: Self.user, namespaces: "user=/run/user")).first?
                .contains("are ignored") == true
        )
        let mounts = #", "mounts": [{"destination": "data", "type": "bind", "options": ["ro", "x-odd=1"]}]"#
        #expect(
            messages(try Sample.configuration(mounts)) == [
                "mounts[0].destination is 'data': a relative path is taken as one below /",
                "mounts[0].options: ignoring 'x-odd=1', which means nothing to a bind mount",
            ]
        )
    }

    @Test func `A runtime without the superuser's rights makes less`() throws {
        let host = HostFacts(isRootless: true)
        #expect(messages(try Sample.configuration(linux: Self.user, namespaces: "mount user"), host: host) == [])
        for (members, process, namespaces, message) in [
            ("", "", "mount", "linux.namespaces is missing: "),
            ("", #", "user": {"additionalGids": [1]}"#, "mount user", "process.user.additionalGids is '1': "),
            (
                #", "mounts": [{"destination": "/x", "type": "tmpfs", "options": ["uid=55"]}]"#, "", "mount user",
                "mounts[0].options is 'uid=55': "
            ),
            (
                #", "mounts": [{"destination": "/x", "type": "bind", "options": ["idmap"]}]"#, "", "mount user",
                "mounts[0] is '/x': "
            ),
        ] {
            let linux = namespaces.contains("user") ? Self.user : ""
            let configuration = try Sample.configuration(
                members,
                process: process,
                linux: linux,
                namespaces: namespaces
            )
            let found = messages(configuration, host: host)
            #expect(found.first?.hasPrefix("refused: \(message)") == true, "\(found)")
        }
    }

    @Test func `Kernel parameters of the container's own are read`() throws {
        let linux = try Sample.configuration(
            linux: #", "sysctl": {"net.ipv4.ip_forward": "1", "kernel.msgmax": "65536"}"#
        ).linux
        let settings = try ContainerValidation.sysctls(linux, host: HostFacts())
        #expect(settings.map(\.path) == ["net/ipv4/ip_forward", "kernel/msgmax"])
        #expect(settings.map(\.value) == ["1", "65536"])
    }
}
