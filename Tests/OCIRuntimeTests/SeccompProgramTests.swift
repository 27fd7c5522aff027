import JSON
import OCIRuntime
import Testing

/// Programs that are made here do what libseccomp's do.
@Suite struct SeccompProgramTests {
    static let architectures = [
        [], ["SCMP_ARCH_X86"], ["SCMP_ARCH_X32"], ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    ]

    static let values: [UInt64] = [
        0, 1, 2, 8, 16, 0xFFFF_FFFF, 0x1_0000_0000, 0x1_0000_0001, 0x7E02_0000, 0x1000_0000, .max, .max - 3,
    ]

    /// The first differences between both programs, over all calls.
    func differences(
        _ configuration: SeccompConfiguration,
        arguments: [[UInt64]],
        calls numbers: [UInt32] = Array(0..<560)
    ) throws -> [String] {
        let library = SeccompSimulation(
            try SeccompFilter(configuration: configuration, unnotifiable: [], byLibrary: true)
        )
        let own = SeccompSimulation(try SeccompFilter(configuration: configuration))
        var found: [String] = []
        for architecture in [SeccompSimulation.amd64, SeccompSimulation.i386, 0xC000_00B7] {
            let marked = architecture == SeccompSimulation.amd64 ? numbers.map { $0 | 0x4000_0000 } : []
            for call in numbers + marked + [0x3FFF_FFFF, 0x7FFF_FFFF, 0xFFFF_FFFE, 0xFFFF_FFFF] {
                for list in arguments {
                    let expected = library.result(call, architecture: architecture, list)
                    let result = own.result(call, architecture: architecture, list)
                    if expected != result || result == nil {
                        found.append(
                            "call \(call) of \(architecture) with \(list): \(result ?? 7), not \(expected ?? 7)"
                        )
                    }
                }
            }
        }
        return Array(found.prefix(5))
    }

    static func names(_ names: String) -> String {
        names.split(whereSeparator: \.isWhitespace).map { "\"\($0)\"" }.joined(separator: ", ")
    }

    @Test(arguments: architectures)
    func `A profile as engines have it is the same`(architectures: [String]) throws {
        let configuration = try Sample.seccomp(
            """
            "defaultAction": "SCMP_ACT_ERRNO", "architectures": [\(Self.names(architectures.joined(separator: " ")))],
            "syscalls": [
              {"names": ["bdflush", "io_pgetevents", "fanotify_init"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
              {"names": [\(Self.names("""
                _llseek accept accept4 access arch_prctl bind brk chown32 clock_gettime64 close connect execve exit futex_time64
                getpid getsockname ioctl ipc listen mmap mmap2 msgget msgsnd openat2 read recv recvmmsg sendmmsg rt_sigaction rt_sigreturn select
                semctl semget semop semtimedop send sendmsg sendto shmat shmget shmctl socketpair stat64 statx time ugetrlimit
                waitpid write writev faccessat2
                """))], "action": "SCMP_ACT_ALLOW"},
              {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
              {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 4294967295, "op": "SCMP_CMP_EQ"}]},
              {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args":
                [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
              {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 2, "value": 8, "op": "SCMP_CMP_NE"}]},
              {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_NE"}]}]
            """
        )
        let lists = [0, 1, 8, 16, 0xFFFF_FFFF, 0x7E02_0000, 0x100_0000_0011].flatMap { first in
            [0, 8, 0x1_0000_0008].map { [first, 0, $0] as [UInt64] }
        }
        #expect(try differences(configuration, arguments: lists) == [])
    }

    @Test(arguments: ["EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ"])
    func `A condition is the same`(comparison: String) throws {
        for value in Self.values {
            for second in comparison == "MASKED_EQ" ? [0, 0x1000_0000, .max] : [0 as UInt64] {
                let configuration = try Sample.seccomp(
                    """
                    "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"],
                    "syscalls": [{"names": ["mkdir", "semget"], "action": "SCMP_ACT_ERRNO", "args": [
                      {"index": 1, "value": \(value), "valueTwo": \(second), "op": "SCMP_CMP_\(comparison)"}]}]
                    """
                )
                let library = SeccompSimulation(
                    try SeccompFilter(configuration: configuration, unnotifiable: [], byLibrary: true)
                )
                let own = SeccompSimulation(try SeccompFilter(configuration: configuration))
                for (call, architecture) in [
                    (83, SeccompSimulation.amd64), (39, SeccompSimulation.i386),
                    (0x4000_0053, SeccompSimulation.amd64),
                    (393, SeccompSimulation.i386), (117, SeccompSimulation.i386),
                ] as [(UInt32, UInt32)] {
                    for argument in Self.values {
                        let expected = library.result(call, architecture: architecture, [2, argument])
                        let result = own.result(call, architecture: architecture, [2, argument])
                        #expect(result == expected, "\(call) \(argument) \(comparison) \(value) \(second)")
                    }
                }
            }
        }
    }

    /// Whether a condition holds, as the specification has it.
    static func holds(_ argument: SeccompConfiguration.Argument, _ values: [UInt64]) -> Bool {
        let value = values[Int(argument.index)]
        return switch argument.comparison {
        case "SCMP_CMP_EQ": value == argument.value
        case "SCMP_CMP_NE": value != argument.value
        case "SCMP_CMP_LT": value < argument.value
        case "SCMP_CMP_LE": value <= argument.value
        case "SCMP_CMP_GT": value > argument.value
        case "SCMP_CMP_GE": value >= argument.value
        default: value & argument.value == argument.valueTwo & argument.value
        }
    }

    // libseccomp is no oracle here: where conditions on the halves of one argument are alike, its trees lose some.
    @Test func `Random rules hold when their conditions do`() throws {
        var generator = ConfigurationFuzzTests.Generator(state: 0xF117E4)
        func any<T>(_ choices: [T]) -> T { choices[Int.random(in: 0..<choices.count, using: &generator)] }
        let calls: [(name: String, number: UInt32)] = [
            ("read", 0), ("write", 1), ("mkdir", 83), ("socket", 41), ("semop", 65), ("shmget", 29), ("openat2", 437),
        ]
        var found: [String] = []
        for _ in 0..<400 {
            let rules = (0..<Int.random(in: 1...7, using: &generator)).map { _ in
                let conditions = (0..<Int.random(in: 0...3, using: &generator)).map { _ in
                    """
                    {"index": \(any([0, 0, 1, 2])), "value": \(any(Self.values)), "valueTwo": \(any(Self.values)),
                     "op": "SCMP_CMP_\(any(["EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ"]))"}
                    """
                }
                return """
                    {"names": ["\(any(calls).name)", "\(any(calls).name)"], "action": "SCMP_ACT_TRAP",
                     "args": [\(conditions.joined(separator: ","))]}
                    """
            }
            let configuration = try Sample.seccomp(
                #""defaultAction": "SCMP_ACT_ALLOW", "syscalls": [\#(rules.joined(separator: ",\n"))]"#
            )
            let own = SeccompSimulation(try SeccompFilter(configuration: configuration))
            for (name, number) in calls {
                for _ in 0..<20 {
                    let values = (0..<3).map { _ in any(Self.values) }
                    let holds = configuration.rules.contains { rule in
                        guard rule.names.contains(name) else { return false }
                        let indices = Set(rule.arguments.map(\.index))
                        return indices.count == rule.arguments.count
                            ? rule.arguments.allSatisfy { Self.holds($0, values) }
                            : rule.arguments.contains { Self.holds($0, values) }
                    }
                    if own.result(number, values) != (holds ? 0x0003_0000 : 0x7FFF_0000) {
                        found.append("\(name) with \(values): \(rules)")
                    }
                }
            }
        }
        #expect(found.prefix(3) == [])
    }
}
