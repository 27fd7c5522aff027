import JSON
import OCIRuntime
import Testing

/// Configurations with one or two things wrong: each is accepted, or refused with words; none ends the process.
@Suite struct ConfigurationFuzzTests {
    struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            // Marsaglia's xorshift64.
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
    }

    static let whole = #"""
        {"ociVersion": "1.2.0", "hostname": "box", "domainname": "dom", "root": {"path": "rootfs", "readonly": true},
         "process": {"terminal": true, "consoleSize": {"height": 24, "width": 80}, "cwd": "/", "args": ["sh", "-c"],
          "env": ["A=1"], "user": {"uid": 1, "gid": 1, "umask": 18, "additionalGids": [2, 3]},
          "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"],
           "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"]},
          "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 18446744073709551615}], "noNewPrivileges": true,
          "oomScoreAdj": 5, "scheduler": {"policy": "SCHED_DEADLINE", "runtime": 1, "deadline": 2, "period": 3},
          "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4}, "execCPUAffinity": {"initial": "0-3,7", "final": "1"}},
         "mounts": [{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "size=1k"]},
          {"destination": "/b", "type": "bind", "source": "/", "options": ["rbind", "rro", "idmap"],
           "uidMappings": [{"containerID": 0, "hostID": 5, "size": 9}],
           "gidMappings": [{"containerID": 0, "hostID": 5, "size": 9}]}],
         "hooks": {"prestart": [{"path": "/bin/true", "args": ["a"], "env": ["B=2"], "timeout": 5}]},
         "annotations": {"a": "b"},
         "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "uts"}, {"type": "network", "path": "/n"},
           {"type": "user"}, {"type": "time"}, {"type": "ipc"}],
          "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
          "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}, {"containerID": 10, "hostID": 9, "size": 1}],
          "timeOffsets": {"monotonic": {"secs": 1, "nanosecs": 2}}, "cgroupsPath": "/a/b",
          "devices": [{"type": "c", "path": "/dev/x", "major": 1, "minor": 3, "fileMode": 438, "uid": 0, "gid": 0}],
          "resources": {"devices": [{"allow": false, "access": "rwm"}], "memory": {"limit": -1}, "cpu": {"cpus": "0"},
           "pids": {"limit": 5}, "hugepageLimits": [{"pageSize": "2MB", "limit": 9}], "unified": {"memory.high": "5"}},
          "rootfsPropagation": "rprivate", "sysctl": {"net.ipv4.ip_forward": "1", "kernel.sem": "1 2 3 4"},
          "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"], "personality": {"domain": "LINUX32"},
          "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "listenerPath": "/l",
           "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
           "syscalls": [{"names": ["read", "openat2"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"},
            {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "args":
             [{"index": 0, "value": 2114060288, "valueTwo": 18446744073709551612, "op": "SCMP_CMP_MASKED_EQ"}]}]}}}
        """#

    static let odd: [JSON] = [
        .null, true, 0, -1, .integer(.max), .integer(.min), .unsigned(.max), .real(1e300), .real(0.5), "", "/", "..",
        "x",
        .string(String(repeating: "a", count: 5000)), "\u{1F600}", "-", ",", "0-99999999", "a.b/c", .array([]),
        .object([]),
        .array([.array([])]), 4_294_967_295, 4_294_967_296, "SCMP_ACT_KILL", "CAP_SYS_ADMIN", "1e9", "\n\t\u{1}",
    ]

    static func changed(_ value: JSON, _ generator: inout Generator) -> JSON {
        switch value {
        case .array(let values) where !values.isEmpty && Int.random(in: 0..<8, using: &generator) != 0:
            var values = values
            let place = Int.random(in: 0..<values.count, using: &generator)
            switch Int.random(in: 0..<8, using: &generator) {
            case 0: values.remove(at: place)
            case 1: values.append(values[place])
            default: values[place] = changed(values[place], &generator)
            }
            return .array(values)
        case .object(let members) where !members.isEmpty && Int.random(in: 0..<10, using: &generator) != 0:
            var members = members
            let place = Int.random(in: 0..<members.count, using: &generator)
            switch Int.random(in: 0..<12, using: &generator) {
            case 0: members.remove(at: place)
            case 1: members[place] = JSON.Member("odd", members[place].value)
            default: members[place] = JSON.Member(members[place].name, changed(members[place].value, &generator))
            }
            return .object(members)
        default: return odd.randomElement(using: &generator) ?? .null
        }
    }

    /// What becomes of a document: nil where it is accepted.
    static func refusal(_ bytes: [UInt8], host: HostFacts) -> String? {
        do {
            let configuration = try Configuration(JSON(parsing: bytes))
            try ContainerValidation.validate(configuration, host: host)
            if let seccomp = configuration.linux.seccomp { _ = try SeccompFilter(configuration: seccomp) }
            return nil
        } catch { return "\(error)" }
    }

    @Test func `The configuration that is varied is accepted`() {
        #expect(Self.refusal(Array(Self.whole.utf8), host: HostFacts()) == nil)
    }

    @Test func `A configuration with odd values is accepted or refused with the field's name`() throws {
        let whole = try JSON(parsing: Array(Self.whole.utf8))
        var names: Set<String> = ["the document"]
        func collect(_ value: JSON) {
            if case .object(let members) = value {
                for member in members {
                    names.insert(member.name)
                    collect(member.value)
                }
            }
            if case .array(let values) = value { for value in values { collect(value) } }
        }
        collect(whole)
        var generator = Generator(state: 0x5EED)
        var refused = 0
        var unnamed: [String] = []
        for _ in 0..<1500 {
            var value = Self.changed(whole, &generator)
            if Bool.random(using: &generator) { value = Self.changed(value, &generator) }
            guard let message = Self.refusal(Array(value.text().utf8), host: HostFacts()) else { continue }
            refused += 1
            // The first of `linux.seccomp.flags[0] is …`.
            let field = message.prefix { !" .[".contains($0) }
            if !names.contains(String(field)), !message.hasPrefix("the document") { unnamed.append(message) }
        }
        #expect(refused > 500)
        #expect(unnamed.prefix(10) == [])
    }

    @Test func `A configuration with odd bytes is accepted or refused with words`() {
        let whole = Array(Self.whole.utf8)
        var generator = Generator(state: 0xB17E5)
        var refused = 0
        for _ in 0..<1500 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(contentsOf: bytes.suffix(9), at: place)
                default: bytes.removeLast(min(bytes.count - 1, Int.random(in: 0..<40, using: &generator)))
                }
            }
            guard let message = Self.refusal(bytes, host: HostFacts()) else { continue }
            refused += 1
            #expect(!message.isEmpty)
        }
        #expect(refused > 500)
    }
}
