import Glibc
import JSON
import OCIRuntime
import Testing

@Suite struct FeatureTests {
    /// What a command of the host's runc prints; nil where there is none.
    func output(_ command: String) throws -> JSON? {
        guard let pipe = popen(command, "r") else { return nil }
        defer { pclose(pipe) }
        var bytes: [UInt8] = []
        while case let byte = fgetc(pipe), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
        return bytes.isEmpty ? nil : try JSON(parsing: bytes)
    }

    func strings(_ json: JSON?) -> Set<String> {
        guard case .array(let values)? = json else { return [] }
        return Set(values.compactMap { if case .string(let text) = $0 { text } else { nil } })
    }

    static let hasRunc = access("/usr/sbin/runc", X_OK) == 0

    /// Members in the order of their names, below too; without those of `names` at the top.
    func sorted(_ json: JSON, without names: Set<String> = []) -> JSON {
        switch json {
        case .array(let values): .array(values.map { sorted($0) })
        case .object(let members):
            .object(
                members.filter { !names.contains($0.name) }.sorted { $0.name < $1.name }
                    .map { JSON.Member($0.name, sorted($0.value)) }
            )
        default: json
        }
    }

    @Test(.enabled(if: hasRunc), arguments: [false, true])
    func `The configuration to start from is runc's`(rootless: Bool) throws {
        let option = rootless ? "--rootless" : ""
        let theirs = try #require(
            try output("d=$(mktemp -d) && cd $d && runc spec \(option) && cat config.json; rm -r $d")
        )
        let ours = DefaultConfiguration.json(rootless: rootless, uid: geteuid(), gid: getegid())
        // The names of the specification and of the host differ.
        #expect(
            sorted(ours, without: ["ociVersion", "hostname"]) == sorted(theirs, without: ["ociVersion", "hostname"])
        )
        #expect(ours["ociVersion"] == "1.2.0")
    }

    @Test(arguments: [false, true])
    func `The configuration to start from is one that is accepted`(rootless: Bool) throws {
        let json = DefaultConfiguration.json(rootless: rootless, uid: 1000, gid: 1000)
        let configuration = try Configuration(JSON(parsing: Array(json.text(indentation: 4).utf8)))
        let warnings = try ContainerValidation.validate(configuration, host: HostFacts(isRootless: rootless))
        #expect(warnings.count == 1, "\(warnings)")
        #expect(warnings.first?.contains("ambient") == true)
        #expect(configuration.linux.uidMappings.map(\.hostID) == (rootless ? [1000] : []))
    }

    @Test(.enabled(if: hasRunc)) func `All that runc says that it can do is there`() throws {
        let theirs = try #require(try output("runc features"))
        let ours = FeatureReport.json
        #expect(ours["ociVersionMin"] == theirs["ociVersionMin"])
        #expect(ours["hooks"] == theirs["hooks"])
        #expect(ours["linux"]?["capabilities"] == theirs["linux"]?["capabilities"])
        let lists = [
            (ours["mountOptions"], theirs["mountOptions"]),
            (ours["linux"]?["namespaces"], theirs["linux"]?["namespaces"]),
            (ours["linux"]?["seccomp"]?["actions"], theirs["linux"]?["seccomp"]?["actions"]),
            (ours["linux"]?["seccomp"]?["operators"], theirs["linux"]?["seccomp"]?["operators"]),
            (ours["linux"]?["seccomp"]?["archs"], theirs["linux"]?["seccomp"]?["archs"]),
        ]
        for (our, their) in lists {
            #expect(!strings(their).isEmpty)
            #expect(strings(their).subtracting(strings(our)) == [])
        }
        let version = "io.github.seccomp.libseccomp.version"
        #expect(ours["annotations"]?[version] == theirs["annotations"]?[version])
    }

    @Test func `Every option, capability, action, operator and architecture of the report is accepted`() throws {
        let report = FeatureReport.json
        for option in strings(report["mountOptions"]) {
            #expect(MountOptions(options: [option], type: nil).data.isEmpty, "\(option)")
        }
        for name in strings(report["linux"]?["capabilities"]) { #expect(Capabilities.number(of: name) != nil) }
        let filters = report["linux"]?["seccomp"]
        for action in strings(filters?["actions"]) {
            let other = action == "SCMP_ACT_ALLOW" ? "SCMP_ACT_TRAP" : "SCMP_ACT_ALLOW"
            let configuration = try Sample.seccomp(
                """
                "defaultAction": "\(other)", "listenerPath": "/l",
                "syscalls": [{"names": ["mkdir"], "action": "\(action)"}]
                """
            )
            #expect(throws: Never.self) { try SeccompFilter(configuration: configuration) }
        }
        for flag in strings(filters?["knownFlags"]) {
            let configuration = try Sample.seccomp(#""defaultAction": "SCMP_ACT_LOG", "flags": ["\#(flag)"]"#)
            #expect(throws: Never.self) { try SeccompFilter(configuration: configuration) }
        }
        for name in strings(filters?["archs"]) {
            let configuration = try Sample.seccomp(#""defaultAction": "SCMP_ACT_LOG", "architectures": ["\#(name)"]"#)
            do { _ = try SeccompFilter(configuration: configuration) } catch SeccompError.refused {
                // Of the other byte order than the host.
            }
        }
    }
}
