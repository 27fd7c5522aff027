import Glibc
import OCIRuntime
import Testing

@Suite struct CapabilityTests {
    func capabilities(_ members: String, last: Int = 40) throws -> Capabilities {
        let process = try Sample.process(#", "capabilities": {\#(members)}"#)
        return try Capabilities(try #require(process.capabilities), lastCapability: last)
    }

    @Test func `Names are bits of the kernel's masks`() throws {
        let sets = try capabilities(
            """
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_CHECKPOINT_RESTORE"], "permitted": ["CAP_CHOWN", "CAP_KILL"],
            "effective": ["CAP_KILL"], "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"]
            """
        )
        #expect(sets.bounding == 1 << 40 | 1 << 5 | 1)
        #expect(sets.permitted == 1 << 5 | 1)
        #expect(sets.effective == 1 << 5)
        #expect(sets.inheritable == 1 << 5)
        #expect(sets.ambient == 1 << 5)
        #expect(sets.warnings.isEmpty)
        #expect(Capabilities().bounding == 0)
    }

    @Test(arguments: [
        ("CAP_SETGID", 6), ("CAP_NET_RAW", 13), ("CAP_SYS_CHROOT", 18), ("CAP_SYS_ADMIN", 21), ("CAP_MKNOD", 27),
        ("CAP_SETFCAP", 31), ("CAP_AUDIT_READ", 37), ("CAP_PERFMON", 38), ("CAP_BPF", 39),
    ])
    func `Numbers are those of linux/capability.h`(name: String, number: Int) {
        #expect(Capabilities.number(of: name) == number)
        #expect(Capabilities.names(in: 1 << UInt64(number)) == [name])
        #expect(Capabilities.names.count == 41)
    }

    @Test func `Names that are none or that the kernel lacks are left out and told`() throws {
        let sets = try capabilities(
            #""bounding": ["CAP_FLY", "cap_kill", "CAP_KILL", "CAP_BPF"], "permitted": ["CAP_FLY"]"#,
            last: 38
        )
        #expect(sets.bounding == 1 << 5)
        #expect(sets.permitted == 0)
        #expect(
            sets.warnings == [
                "process.capabilities: ignoring unknown or unavailable capabilities: CAP_FLY, cap_kill, CAP_BPF"
            ]
        )
    }

    @Test func `Ambient ones are permitted and inheritable, or left out and told`() throws {
        let sets = try capabilities(
            """
            "bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL", "CAP_CHOWN"],
            "inheritable": ["CAP_CHOWN"], "ambient": ["CAP_KILL", "CAP_CHOWN"]
            """
        )
        #expect(sets.ambient == 1)
        #expect(
            sets.warnings == [
                "process.capabilities.ambient: ignoring what is not both permitted and inheritable: CAP_KILL"
            ]
        )
    }

    @Test(arguments: [
        (#""bounding": ["CAP_KILL"], "effective": ["CAP_KILL"]"#, "process.capabilities.effective is 'CAP_KILL'"),
        (#""permitted": ["CAP_KILL"], "inheritable": ["CAP_KILL"]"#, "process.capabilities.inheritable is 'CAP_KILL'"),
    ])
    func `What the kernel would refuse is refused before`(members: String, message: String) {
        let error = #expect(throws: ValidationError.self) { try capabilities(members) }
        #expect(error?.description.hasPrefix(message) == true)
    }
}
