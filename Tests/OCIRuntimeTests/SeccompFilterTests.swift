import Glibc
import OCIRuntime
import Testing

@Suite struct SeccompFilterTests {
    // Numbers of x86-64.
    static let read: UInt32 = 0
    static let getpid: UInt32 = 39
    static let mkdir: UInt32 = 83
    static let personality: UInt32 = 135
    static let openat2: UInt32 = 437
    static let faccessat2: UInt32 = 439

    static let allow: UInt32 = 0x7FFF_0000
    static func error(_ number: CInt) -> UInt32 { 0x0005_0000 | UInt32(number) }

    func filter(_ members: String) throws -> SeccompSimulation {
        SeccompSimulation(try SeccompFilter(configuration: Sample.seccomp(members)))
    }

    @Test func `A call does what its rule says and another what the default says`() throws {
        let filter = try filter(
            """
            "defaultAction": "SCMP_ACT_ERRNO",
            "syscalls": [{"names": ["read", "openat2"], "action": "SCMP_ACT_ALLOW"},
                         {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30}]
            """
        )
        #expect(filter.result(Self.read) == Self.allow)
        #expect(filter.result(Self.openat2) == Self.allow)
        #expect(filter.result(Self.mkdir) == Self.error(EROFS))
        #expect(filter.result(Self.getpid) == Self.error(EPERM))
    }

    @Test(
        arguments: [
            ("SCMP_ACT_ALLOW", 0x7FFF_0000), ("SCMP_ACT_ERRNO", 0x0005_0001), ("SCMP_ACT_KILL", 0),
            ("SCMP_ACT_KILL_THREAD", 0), ("SCMP_ACT_KILL_PROCESS", 0x8000_0000), ("SCMP_ACT_LOG", 0x7FFC_0000),
            ("SCMP_ACT_TRACE", 0x7FF0_0001), ("SCMP_ACT_TRAP", 0x0003_0000), ("SCMP_ACT_NOTIFY", 0x7FC0_0000),
        ] as [(String, UInt32)]
    )
    func `Every action is the kernel's`(name: String, value: UInt32) throws {
        let other = name == "SCMP_ACT_ALLOW" ? "SCMP_ACT_TRAP" : "SCMP_ACT_ALLOW"
        let filter = try filter(
            """
            "defaultAction": "\(other)", "listenerPath": "/run/listener",
            "syscalls": [{"names": ["mkdir", "openat2"], "action": "\(name)"}]
            """
        )
        #expect(filter.result(Self.mkdir) == value)
        if name != "SCMP_ACT_NOTIFY" {
            #expect(
                try self.filter(
                    #""defaultAction": "\#(name)", "syscalls": [{"names": ["openat2"], "action": "\#(other)"}]"#
                ).result(Self.mkdir) == value
            )
        }
    }

    @Test func `Error numbers are those that are given`() throws {
        let filter = try filter(
            """
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 13,
            "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_TRACE", "errnoRet": 7},
                         {"names": ["read", "openat2"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22}]
            """
        )
        #expect(filter.result(Self.getpid) == Self.error(EACCES))
        #expect(filter.result(Self.mkdir) == 0x7FF0_0007)
        #expect(filter.result(Self.read) == Self.error(EINVAL))
    }

    @Test(arguments: ["EQ", "NE", "LT", "LE", "GT", "GE"])
    func `Comparisons are of 64 bits without a sign`(name: String) throws {
        let bound: UInt64 = 0x1_0000_0005
        let filter = try filter(
            """
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO",
                          "args": [{"index": 1, "value": \(bound), "op": "SCMP_CMP_\(name)"}]}]
            """
        )
        for argument in [0, 5, bound - 1, bound, bound + 1, 0x2_0000_0000, 0x8000_0000_0000_0000, .max] {
            let holds =
                switch name {
                case "EQ": argument == bound
                case "NE": argument != bound
                case "LT": argument < bound
                case "LE": argument <= bound
                case "GT": argument > bound
                default: argument >= bound
                }
            #expect(
                filter.result(Self.mkdir, [0, argument]) == (holds ? Self.error(EPERM) : Self.allow),
                "\(argument) \(name) \(bound)"
            )
        }
    }

    @Test func `A masked comparison looks at the mask's bits only`() throws {
        let filter = try filter(
            """
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["clone"], "action": "SCMP_ACT_ERRNO", "args":
                          [{"index": 0, "value": 2114060288, "valueTwo": 268435456, "op": "SCMP_CMP_MASKED_EQ"}]}]
            """
        )
        let clone: UInt32 = 56
        #expect(filter.result(clone, [0x1000_0000]) == Self.error(EPERM))
        #expect(filter.result(clone, [0x1000_0011]) == Self.error(EPERM))
        #expect(filter.result(clone, [0x3000_0000]) == Self.allow)
        #expect(filter.result(clone, [0]) == Self.allow)
    }

    @Test func `Conditions on several arguments hold together, on one each by itself`() throws {
        let filter = try filter(
            """
            "defaultAction": "SCMP_ACT_ERRNO",
            "syscalls": [
              {"names": ["read", "openat2"], "action": "SCMP_ACT_ALLOW", "args": [
                {"index": 0, "value": 3, "op": "SCMP_CMP_EQ"}, {"index": 2, "value": 9, "op": "SCMP_CMP_EQ"}]},
              {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [
                {"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]}]
            """
        )
        #expect(filter.result(Self.read, [3, 0, 9]) == Self.allow)
        #expect(filter.result(Self.read, [3, 0, 8]) == Self.error(EPERM))
        #expect(filter.result(Self.read, [2, 0, 9]) == Self.error(EPERM))
        #expect(filter.result(Self.personality, [0]) == Self.allow)
        #expect(filter.result(Self.personality, [8]) == Self.allow)
        #expect(filter.result(Self.personality, [1]) == Self.error(EPERM))
    }

    @Test func `Sub-architectures have their own numbers`() throws {
        let rules = #""syscalls": [{"names": ["mkdir", "openat2"], "action": "SCMP_ACT_ALLOW"}]"#
        let all = try filter(
            """
            "defaultAction": "SCMP_ACT_ERRNO",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], \(rules)
            """
        )
        #expect(all.result(Self.mkdir) == Self.allow)
        #expect(all.result(39, architecture: SeccompSimulation.i386) == Self.allow)
        #expect(all.result(Self.mkdir, architecture: SeccompSimulation.i386) == Self.error(EPERM))
        #expect(all.result(0x4000_0000 | Self.mkdir) == Self.allow)
        #expect(all.result(0x4000_0000 | Self.getpid) == Self.error(EPERM))
        #expect(all.result(Self.mkdir, architecture: 0xC000_00B7) == 0)
        let native = try filter(#""defaultAction": "SCMP_ACT_ERRNO", \#(rules)"#)
        #expect(native.result(Self.mkdir) == Self.allow)
        #expect(native.result(39, architecture: SeccompSimulation.i386) == 0)
        #expect(native.result(0x4000_0000 | Self.mkdir) != Self.allow)
    }

    @Test func `Calls newer than the profile are not there`() throws {
        let filter = try filter(
            """
            "defaultAction": "SCMP_ACT_ERRNO",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "syscalls": [{"names": ["read", "openat2"], "action": "SCMP_ACT_ALLOW"}]
            """
        )
        for architecture in [SeccompSimulation.amd64, SeccompSimulation.i386] {
            #expect(filter.result(Self.openat2, architecture: architecture) == Self.allow)
            #expect(filter.result(Self.openat2 - 1, architecture: architecture) == Self.error(EPERM))
            #expect(filter.result(Self.openat2 + 1, architecture: architecture) == Self.error(ENOSYS))
            #expect(filter.result(Self.faccessat2, architecture: architecture) == Self.error(ENOSYS))
        }
        #expect(filter.result(0x4000_0000 | Self.openat2) == Self.allow)
        #expect(filter.result(0x4000_0000 | Self.openat2 + 1) == Self.error(ENOSYS))
        #expect(filter.result(0x4000_0000 | Self.openat2 - 1) == Self.error(EPERM))
    }

    @Test(arguments: [("SCMP_ACT_ALLOW", 0x7FFF_0000), ("SCMP_ACT_LOG", 0x7FFC_0000), ("SCMP_ACT_TRACE", 0x7FF0_0001)])
    func `Newer calls do the default where it lets calls through`(name: String, value: UInt32) throws {
        let filter = try filter(
            #""defaultAction": "\#(name)", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]"#
        )
        #expect(filter.result(Self.faccessat2) == value)
    }

    @Test func `A profile of many calls is as exact as one of few`() throws {
        var names: [String] = []
        for name in [
            "read", "write", "open", "close", "stat", "fstat", "lstat", "poll", "lseek", "mmap", "mprotect", "munmap",
        ] {
            names.append(name)
        }
        names += [
            "brk", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "ioctl", "pread64", "pwrite64", "readv", "writev",
            "access", "pipe", "select", "sched_yield", "mremap", "msync", "mincore", "madvise", "shmget", "shmat",
            "shmctl", "dup", "dup2", "pause", "nanosleep", "getitimer", "alarm", "setitimer", "getpid",
        ]
        let filter = try filter(
            """
            "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["openat2"], "action": "SCMP_ACT_ALLOW"},
              {"names": [\(names.map { "\"\($0)\"" }.joined(separator: ","))], "action": "SCMP_ACT_LOG"}]
            """
        )
        // These forty are the first forty numbers.
        for call in 0..<UInt32(names.count) { #expect(filter.result(call) == 0x7FFC_0000, "\(call)") }
        for call in UInt32(names.count)..<Self.openat2 { #expect(filter.result(call) == Self.error(EPERM), "\(call)") }
    }

    @Test func `Names that nobody knows and rules that change nothing are left out`() throws {
        let filter = try SeccompFilter(
            configuration: Sample.seccomp(
                """
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["frobnicate", "mkdir"], "action": "SCMP_ACT_ERRNO"},
                             {"names": ["read"], "action": "SCMP_ACT_ALLOW"}]
                """
            )
        )
        #expect(filter.unknownNames == ["frobnicate"])
        #expect(SeccompSimulation(filter).result(Self.mkdir) == Self.error(EPERM))
        #expect(SeccompSimulation(filter).result(Self.read) == Self.allow)
        #expect(filter.listenerPath == nil)
        #expect(!filter.hasListener)
    }

    @Test func `Flags are the kernel's`() throws {
        let rule = #""defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]"#
        func flags(_ members: String) throws -> UInt32 {
            try SeccompFilter(configuration: Sample.seccomp(rule + members)).flags
        }
        #expect(try flags("") == 4)
        #expect(try flags(#", "flags": []"#) == 0)
        #expect(
            try flags(#", "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"]"#) == 2
        )
        #expect(try flags(#", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]"#) == 0)
    }

    @Test func `A rule that notifies makes a listener`() throws {
        let filter = try SeccompFilter(
            configuration: Sample.seccomp(
                """
                "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/listener", "listenerMetadata": "words",
                "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
                "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]
                """
            )
        )
        #expect(filter.flags == 8 | 32)
        #expect(filter.hasListener)
        #expect(filter.listenerPath == "/run/listener")
        #expect(filter.listenerMetadata == "words")
    }

    @Test(arguments: [
        (#""defaultAction": "SCMP_ACT_MAYBE""#, "linux.seccomp.defaultAction is 'SCMP_ACT_MAYBE'"),
        (#""defaultAction": "SCMP_ACT_NOTIFY""#, "linux.seccomp.defaultAction is 'SCMP_ACT_NOTIFY'"),
        (#""defaultAction": "SCMP_ACT_KILL", "defaultErrnoRet": 1"#, "linux.seccomp.defaultErrnoRet is '1'"),
        (#""defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 70000"#, "linux.seccomp.defaultErrnoRet is '70000'"),
        (
            #""defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_VAX"]"#,
            "linux.seccomp.architectures[0] is 'SCMP_ARCH_VAX'"
        ),
        (
            #""defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_S390X"]"#,
            "linux.seccomp.architectures[0] is 'SCMP_ARCH_S390X'"
        ),
        (
            #""defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_X"]"#,
            "linux.seccomp.flags[0] is 'SECCOMP_FILTER_FLAG_X'"
        ),
        (
            #""defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_X"}]"#,
            "linux.seccomp.syscalls[0].action is 'SCMP_ACT_X'"
        ),
        (
            #""defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_TRAP", "errnoRet": 3}]"#,
            "linux.seccomp.syscalls[0].errnoRet is '3'"
        ),
        (
            #""defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_TRAP", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_X"}]}]"#,
            "linux.seccomp.syscalls[0].args[0].op is 'SCMP_CMP_X'"
        ),
        (
            #""defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_TRAP", "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]"#,
            "linux.seccomp.syscalls[0].args[0].index is '6'"
        ),
        (
            #""defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/l", "syscalls": [{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}]"#,
            "linux.seccomp.syscalls[0].names has 'write'"
        ),
        (
            #""defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]"#,
            "linux.seccomp.syscalls[0].action is 'SCMP_ACT_NOTIFY', but linux.seccomp.listenerPath is missing"
        ),
        (#""defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x""#, "linux.seccomp.listenerMetadata"),
    ])
    func `What is wrong is named`(members: String, message: String) throws {
        let configuration = try Sample.seccomp(members)
        let error = #expect(throws: SeccompError.self) { try SeccompFilter(configuration: configuration) }
        #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "")")
    }

    @Test func `The kernel takes a program and does what it says`() throws {
        let filter = try SeccompFilter(
            configuration: Sample.seccomp(
                """
                "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                  {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95},
                  {"names": ["access"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95,
                   "args": [{"index": 1, "value": 2, "op": "SCMP_CMP_EQ"}]}]
                """
            )
        )
        let results = FilteredThread.run(filter)
        #expect(results.load == 0)
        #expect(results.mkdir == EOPNOTSUPP)
        #expect(results.accessToRead == ENOENT)
        #expect(results.accessToWrite == EOPNOTSUPP)
    }
}

/// A thread of this process that loads a filter for itself alone, tries it and ends.
private final class FilteredThread {
    private typealias Prctl = @convention(c) (CInt, UInt, UInt, UInt, UInt) -> CInt

    struct Results {
        var load: CInt = -1
        var mkdir: CInt = 0
        var accessToRead: CInt = 0
        var accessToWrite: CInt = 0
    }

    private let program: [UInt8]
    private var results = Results()

    private init(_ filter: SeccompFilter) { program = filter.program }

    static func run(_ filter: SeccompFilter) -> Results {
        let body = FilteredThread(filter)
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(body).toOpaque()
        let failure = pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<FilteredThread>.fromOpaque(argument).takeRetainedValue().tryAll()
                return nil
            },
            argument
        )
        guard failure == 0 else { return Results() }
        pthread_join(thread, nil)
        return body.results
    }

    private func tryAll() {
        guard let symbol = dlsym(nil, "prctl") else { return }
        let prctl = unsafeBitCast(symbol, to: Prctl.self)
        // PR_SET_NO_NEW_PRIVS; PR_SET_SECCOMP with SECCOMP_MODE_FILTER and a struct sock_fprog.
        guard prctl(38, 1, 0, 0, 0) == 0 else { return }
        results.load = program.withUnsafeBytes { bytes in
            let header = [UInt(bytes.count / 8), UInt(bitPattern: bytes.baseAddress)]
            return header.withUnsafeBytes { prctl(22, 2, UInt(bitPattern: $0.baseAddress), 0, 0) == 0 ? 0 : errno }
        }
        results.mkdir = mkdir("/nonexistent/directory", 0o700) == 0 ? 0 : errno
        results.accessToRead = access("/nonexistent/file", R_OK) == 0 ? 0 : errno
        results.accessToWrite = access("/nonexistent/file", W_OK) == 0 ? 0 : errno
    }
}
