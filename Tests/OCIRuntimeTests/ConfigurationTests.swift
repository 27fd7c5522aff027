import JSON
import OCIRuntime
import Testing

@Suite struct ConfigurationTests {
    @Test func `A configuration is read whole`() throws {
        let configuration = try Sample.configuration(
            #", "hostname": "box", "mounts": [{"destination": "/data", "source": "/srv", "options": ["rbind"]}]"#,
            process: #", "env": ["A=1"], "user": {"uid": 5, "gid": 6, "additionalGids": [7, 8]}, "oomScoreAdj": -5"#,
            linux:
                #", "sysctl": {"net.ipv4.ip_forward": "1"}, "devices": [{"type": "c", "path": "/dev/x", "major": 1}]"#,
            namespaces: "network=/run/net mount"
        )
        #expect(configuration.hostname == "box")
        #expect(configuration.mounts.map(\.destination) == ["/data"])
        #expect(configuration.process?.user.additionalGroups == [7, 8])
        #expect(configuration.process?.oomScoreAdjustment == -5)
        #expect(configuration.linux.namespace(.network)?.path == "/run/net")
        #expect(configuration.linux.namespace(.mount)?.path == nil)
        #expect(configuration.linux.namespace(.user) == nil)
        #expect(configuration.linux.sysctl.map(\.name) == ["net.ipv4.ip_forward"])
        #expect(configuration.linux.devices.map(\.mode) == [0o666])
    }

    @Test(arguments: [
        ("7", "the document is not an object"), ("{}", "ociVersion is missing"),
        (#"{"ociVersion": 1}"#, "ociVersion is not a string"), (#"{"ociVersion": "1.0.0"}"#, "root is missing"),
        (#"{"ociVersion": "1.0.0", "root": {}}"#, "root.path is missing"),
        (#"{"ociVersion": "1.0.0", "root": {"path": "r", "readonly": 1}}"#, "root.readonly is not true or false"),
    ])
    func `A document that is none says what it lacks`(text: String, message: String) throws {
        let json = try Sample.json(text)
        let error = #expect(throws: JSONError.self) { try Configuration(json) }
        #expect(error?.description == message)
    }

    @Test(arguments: [
        (#", "mounts": {}"#, "mounts is not an array"),
        (#", "mounts": [{"source": "x"}]"#, "mounts[0].destination is missing"),
        (#", "mounts": [{"destination": "/x", "options": ["a", 1]}]"#, "mounts[0].options[1] is not a string"),
        (
            #", "mounts": [{"destination": "/x", "uidMappings": [{"containerID": 0}]}]"#,
            "mounts[0].uidMappings[0].hostID is missing"
        ),
        (#", "hooks": {"poststop": [{"path": "x"}]}"#, "hooks.poststop[0].path is 'x', not an absolute path"),
        (
            #", "hooks": {"prestart": [{"path": "/x", "timeout": 0}]}"#,
            "hooks.prestart[0].timeout is '0', not more than 0 seconds"
        ),
        (#", "annotations": {"a": 1}"#, "annotations.a is not a string"),
        (#", "hostname": []"#, "hostname is not a string"),
    ])
    func `A wrong member is named`(members: String, message: String) {
        let error = #expect(throws: JSONError.self) { try Sample.configuration(members) }
        #expect(error?.description == message)
    }

    @Test(arguments: [
        (#", "user": {"uid": -1}"#, "process.user.uid is '-1', not a number from 0 to 4294967295"),
        (#", "user": {"additionalGids": [1, "x"]}"#, "process.user.additionalGids[1] is not a number"),
        (#", "rlimits": [{"type": "RLIMIT_AS", "soft": 1}]"#, "process.rlimits[0].hard is missing"),
        (#", "capabilities": {"bounding": "CAP_KILL"}"#, "process.capabilities.bounding is not an array"),
        (
            #", "consoleSize": {"height": 70000, "width": 1}"#,
            "process.consoleSize.height is '70000', not a number from 0 to 65535"
        ),
        (#", "scheduler": {}"#, "process.scheduler.policy is missing"),
        (#", "oomScoreAdj": 1.5"#, "process.oomScoreAdj is '1.5', not a number from -2147483648 to 2147483647"),
    ])
    func `A wrong member of the process is named`(members: String, message: String) {
        let error = #expect(throws: JSONError.self) { try Sample.configuration(process: members) }
        #expect(error?.description == message)
    }

    @Test(arguments: [
        (#", "devices": [{"type": "x", "path": "/dev/x"}]"#, "linux.devices[0].type is 'x', not c, u, b or p"),
        (
            #", "uidMappings": [{"containerID": 0, "hostID": 0, "size": 4294967296}]"#,
            "linux.uidMappings[0].size is '4294967296', not a number from 0 to 4294967295"
        ),
        (#", "timeOffsets": {"monotonic": 1}"#, "linux.timeOffsets.monotonic"),
        (#", "seccomp": {}"#, "linux.seccomp.defaultAction is missing"),
        (
            #", "seccomp": {"defaultAction": "x", "syscalls": [{"names": ["a"], "action": "y", "args": [{"index": 0}]}]}"#,
            "linux.seccomp.syscalls[0].args[0].value is missing"
        ),
        (#", "resources": {"memory": {"limit": "1"}}"#, "linux.resources.memory.limit is not a number"),
        (#", "resources": {"devices": [{"type": "c"}]}"#, "linux.resources.devices[0].allow is missing"),
        (#", "sysctl": {"a.b": 1}"#, "linux.sysctl.a.b is not a string"),
        (#", "maskedPaths": [null]"#, "linux.maskedPaths[0] is not a string"),
        (#", "personality": {}"#, "linux.personality.domain is missing"),
    ])
    func `A wrong member of the Linux part is named`(members: String, message: String) {
        let error = #expect(throws: JSONError.self) { try Sample.configuration(linux: members) }
        #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "")")
    }

    @Test func `Namespaces that are none or there twice are named`() {
        for (kinds, message) in [
            ("pid net", "linux.namespaces[1].type is 'net', not one of pid, network"),
            ("pid pid", "linux.namespaces is 'pid', not there once"),
        ] {
            let error = #expect(throws: JSONError.self) { try Sample.configuration(namespaces: kinds) }
            #expect(error?.description.hasPrefix(message) == true)
        }
    }

    @Test func `A seccomp mask of 64 bits keeps all of them`() throws {
        let seccomp = try Sample.seccomp(
            """
            "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args":
            [{"index": 0, "value": 18446744073709551612, "valueTwo": 18446744073709551615, "op": "SCMP_CMP_MASKED_EQ"}]}]
            """
        )
        #expect(seccomp.rules[0].arguments[0].value == UInt64.max - 3)
        #expect(seccomp.rules[0].arguments[0].valueTwo == UInt64.max)
    }
}
