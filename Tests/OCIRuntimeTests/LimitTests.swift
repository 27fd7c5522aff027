import Glibc
import OCIRuntime
import Testing

@Suite struct LimitTests {
    /// The message of what `body` throws.
    func message(_ body: () throws -> Void) -> String {
        do { try body() } catch { return "\(error)" }
        return "nothing"
    }

    // MARK: Resource limits

    func limits(_ text: String) throws -> [ResourceLimits.Limit] {
        try ResourceLimits(try Sample.process(#", "rlimits": [\#(text)]"#).resourceLimits).limits
    }

    @Test func `Limits are numbers and values`() throws {
        let found = try limits(
            """
            {"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096}, {"type": "RLIMIT_CORE", "soft": 0, "hard": -1},
            {"type": "RLIMIT_RTTIME", "soft": 18446744073709551615, "hard": 18446744073709551615}
            """
        )
        #expect(found.map(\.resource) == [7, 4, 15])
        #expect(found.map(\.soft) == [1024, 0, .max])
        #expect(found.map(\.hard) == [4096, .max, .max])
    }

    @Test(arguments: [
        ("RLIMIT_CPU", RLIMIT_CPU), ("RLIMIT_FSIZE", RLIMIT_FSIZE), ("RLIMIT_DATA", RLIMIT_DATA),
        ("RLIMIT_STACK", RLIMIT_STACK), ("RLIMIT_CORE", RLIMIT_CORE), ("RLIMIT_NOFILE", RLIMIT_NOFILE),
        ("RLIMIT_AS", RLIMIT_AS), ("RLIMIT_RSS", __RLIMIT_RSS), ("RLIMIT_NPROC", __RLIMIT_NPROC),
        ("RLIMIT_MEMLOCK", __RLIMIT_MEMLOCK), ("RLIMIT_LOCKS", __RLIMIT_LOCKS),
        ("RLIMIT_SIGPENDING", __RLIMIT_SIGPENDING), ("RLIMIT_MSGQUEUE", __RLIMIT_MSGQUEUE),
        ("RLIMIT_NICE", __RLIMIT_NICE), ("RLIMIT_RTPRIO", __RLIMIT_RTPRIO), ("RLIMIT_RTTIME", __RLIMIT_RTTIME),
    ])
    func `Numbers are those of the host's headers`(name: String, number: __rlimit_resource) throws {
        #expect(try limits(#"{"type": "\#(name)", "soft": 1, "hard": 1}"#)[0].resource == CInt(number.rawValue))
    }

    @Test(arguments: [
        (
            #"{"type": "RLIMIT_FUN", "soft": 1, "hard": 1}"#,
            "process.rlimits[0].type is 'RLIMIT_FUN': there is no such limit"
        ),
        (
            #"{"type": "RLIMIT_AS", "soft": 1, "hard": 1}, {"type": "RLIMIT_AS", "soft": 1, "hard": 1}"#,
            "process.rlimits[1].type is 'RLIMIT_AS': it is there more than once"
        ),
        (
            #"{"type": "RLIMIT_AS", "soft": 2, "hard": 1}"#,
            "process.rlimits[0].soft is '2': it is above the hard limit 1 of RLIMIT_AS"
        ),
    ])
    func `Limits that are none are named`(text: String, expected: String) {
        #expect(message { _ = try limits(text) } == expected)
    }

    // MARK: Scheduling

    func scheduler(_ members: String) throws -> [UInt8] {
        try SchedulerSettings(try #require(Sample.process(#", "scheduler": {\#(members)}"#).scheduler)).attributes
    }

    @Test func `Scheduling is the kernel's structure`() throws {
        let bytes = try scheduler(
            """
            "policy": "SCHED_DEADLINE", "flags": ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN"],
            "runtime": 1000000, "deadline": 2000000, "period": 3000000
            """
        )
        #expect(bytes.count == 56)
        func word(_ place: Int, _ count: Int) -> Int {
            (0..<count).reduce(0) { $0 | Int(bytes[place + $1]) << ($1 * 8) }
        }
        #expect([word(0, 4), word(4, 4), word(8, 8), word(16, 4), word(20, 4)] == [56, 6, 5, 0, 0])
        #expect([word(24, 8), word(32, 8), word(40, 8), word(48, 8)] == [1_000_000, 2_000_000, 3_000_000, 0])
        let batch = try scheduler(#""policy": "SCHED_BATCH", "nice": -5"#)
        #expect(Array(batch[4..<8]) == [3, 0, 0, 0])
        #expect(Array(batch[16..<20]) == [0xFB, 0xFF, 0xFF, 0xFF])
        #expect(try Array(scheduler(#""policy": "SCHED_RR", "priority": 99"#)[20..<24]) == [99, 0, 0, 0])
    }

    @Test(arguments: [
        (#""policy": "SCHED_BEST""#, "process.scheduler.policy is 'SCHED_BEST'"),
        (#""policy": "SCHED_OTHER", "nice": 20"#, "process.scheduler.nice is '20'"),
        (#""policy": "SCHED_OTHER", "priority": 1"#, "process.scheduler.priority is '1'"),
        (#""policy": "SCHED_FIFO", "priority": 0"#, "process.scheduler.priority is '0'"),
        (#""policy": "SCHED_FIFO", "priority": 100"#, "process.scheduler.priority is '100'"),
        (#""policy": "SCHED_RR", "priority": 1, "deadline": 5"#, "process.scheduler.deadline is '5'"),
        (#""policy": "SCHED_DEADLINE", "runtime": 9, "deadline": 8"#, "process.scheduler.runtime is '9'"),
        (#""policy": "SCHED_DEADLINE", "runtime": 1, "deadline": 8, "period": 7"#, "process.scheduler.deadline is '8'"),
        (#""policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_X"]"#, "process.scheduler.flags[0] is 'SCHED_FLAG_X'"),
    ])
    func `Scheduling that is none is named`(members: String, expected: String) {
        #expect(message { _ = try scheduler(members) }.hasPrefix(expected + ": "))
    }

    @Test func `Priorities of input and output are a word`() throws {
        func word(_ members: String) throws -> UInt16 {
            try IOPrioritySetting(try #require(Sample.process(#", "ioPriority": {\#(members)}"#).ioPriority)).word
        }
        #expect(try word(#""class": "IOPRIO_CLASS_RT", "priority": 7"#) == 0x2007)
        #expect(try word(#""class": "IOPRIO_CLASS_BE", "priority": 4"#) == 0x4004)
        #expect(try word(#""class": "IOPRIO_CLASS_IDLE""#) == 0x6000)
        #expect(
            message { _ = try word(#""class": "IOPRIO_CLASS_A""#) }.hasPrefix(
                "process.ioPriority.class is 'IOPRIO_CLASS_A'"
            )
        )
        #expect(
            message { _ = try word(#""class": "IOPRIO_CLASS_BE", "priority": 8"#) }.hasPrefix(
                "process.ioPriority.priority is '8'"
            )
        )
    }

    @Test func `Personalities are two and have no flags`() throws {
        func domain(_ members: String) throws -> UInt32 {
            let linux = try Sample.configuration(linux: #", "personality": {\#(members)}"#).linux
            return try PersonalitySetting(try #require(linux.personality)).domain
        }
        #expect(try domain(#""domain": "LINUX""#) == 0)
        #expect(try domain(#""domain": "LINUX32""#) == 8)
        #expect(message { _ = try domain(#""domain": "SOLARIS""#) }.hasPrefix("linux.personality.domain is 'SOLARIS'"))
        #expect(
            message { _ = try domain(#""domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]"#) }
                .hasPrefix("linux.personality.flags is 'ADDR_NO_RANDOMIZE'")
        )
    }

    @Test(
        arguments: [
            ("0", [1]), ("0-3,7", [0x8F]), (" 1 - 2 , 5", [0x26]), ("64", [0, 1]), ("63-64", [1 << 63, 1]),
            ("3,3-4,", [0x18]),
        ] as [(String, [UInt64])]
    )
    func `Lists of processors are masks`(list: String, mask: [UInt64]) throws {
        #expect(try CPUAffinity(list, place: "here")?.mask == mask)
    }

    @Test func `A list of no processors sets nothing`() throws {
        #expect(try CPUAffinity("", place: "here") == nil)
        #expect(try CPUAffinity(" , ", place: "here") == nil)
        #expect(try CPUAffinity("1023", place: "here")?.mask.count == 16)
    }

    @Test(arguments: ["a", "1-", "-1", "3-1", "1-2-3", "1024", "99999999999999999999", "0x1", "1 2"])
    func `Lists that are none are named`(list: String) {
        #expect(message { _ = try CPUAffinity(list, place: "here") }.hasPrefix("here is '\(list)': "))
    }

    // MARK: Kernel parameters

    @Test(arguments: [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"), ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/1.rp_filter", "net/ipv4/conf/eth0.1/rp_filter"),
        ("net/ipv4/conf/eth0.1/rp_filter", "net/ipv4/conf/eth0.1/rp_filter"), ("kernel.sem", "kernel/sem"),
        ("kernel/shm_rmid_forced", "kernel/shm_rmid_forced"), ("fs.mqueue.msg_max", "fs/mqueue/msg_max"),
        ("kernel.domainname", "kernel/domainname"), ("user.max_user_namespaces", "user/max_user_namespaces"),
    ])
    func `Parameters of namespaces have their files`(name: String, path: String) throws {
        let setting = try SysctlSetting(name: name, value: "1", namespaces: [.network, .ipc, .uts, .user])
        #expect(setting.path == path)
        #expect(setting.value == "1")
    }

    @Test(arguments: [
        ("net.ipv4.ip_forward", LinuxConfiguration.Namespace.Kind.network), ("kernel.msgmax", .ipc),
        ("fs.mqueue.queues_max", .ipc), ("kernel.domainname", .uts), ("user.max_net_namespaces", .user),
    ])
    func `Parameters of the host's namespaces are refused`(name: String, kind: LinuxConfiguration.Namespace.Kind) {
        let others = Set(LinuxConfiguration.Namespace.Kind.allCases).subtracting([kind])
        let text = message { _ = try SysctlSetting(name: name, value: "1", namespaces: others) }
        #expect(text.hasPrefix("linux.sysctl is '\(name)': "))
        #expect(text.contains("no \(kind.rawValue) namespace"))
    }

    @Test(arguments: [
        "kernel.hostname", "kernel.core_pattern", "vm.swappiness", "fs.file-max", "fs.mqueue", "kernel.sem.x", "kernel",
        "",
        "net..x", "net.", "net/../kernel/core_pattern", "net.//.kernel.core_pattern", "net./.x", "/net/x", ".net.x",
        "netx.y", "kernel.msgmaxx",
    ])
    func `Parameters of the host or with odd names are refused`(name: String) {
        let all = Set(LinuxConfiguration.Namespace.Kind.allCases)
        let text = message { _ = try SysctlSetting(name: name, value: "1", namespaces: all) }
        #expect(text.hasPrefix("linux.sysctl is '\(name)': "))
    }
}
