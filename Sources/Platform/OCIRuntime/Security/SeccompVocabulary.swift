internal import CSeccomp
internal import Glibc

/// The names that a filter's configuration is written in (runtime-spec 1.2 config-linux.md "Seccomp"), and what they are to
/// libseccomp and the kernel.
enum SeccompVocabulary {
    static let actions = [
        "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
    ]

    static let operators = [
        "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
    ]

    static let architectures = [
        "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32",
        "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64",
        "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_RISCV64", "SCMP_ARCH_S390",
        "SCMP_ARCH_S390X", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64",
    ]

    static let flags = [
        "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    ]

    /// What a filter returns for an action.
    ///
    /// Only `SCMP_ACT_ERRNO` and `SCMP_ACT_TRACE` take a number, EPERM where none is given; beside others one is an error.
    static func action(
        _ name: String,
        number: UInt32?,
        field: String,
        numberField: String
    ) throws(SeccompError) -> UInt32 {
        let takesNumber = name == "SCMP_ACT_ERRNO" || name == "SCMP_ACT_TRACE"
        let code: UInt32
        switch name {
        case "SCMP_ACT_ALLOW": code = SCMP_ACT_ALLOW
        // The number is in the low 16 bits of both (seccomp(2) SECCOMP_RET_DATA).
        case "SCMP_ACT_ERRNO": code = errorAction
        case "SCMP_ACT_TRACE": code = 0x7FF0_0000
        case "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD": code = SCMP_ACT_KILL_THREAD
        case "SCMP_ACT_KILL_PROCESS": code = SCMP_ACT_KILL_PROCESS
        case "SCMP_ACT_LOG": code = SCMP_ACT_LOG
        case "SCMP_ACT_NOTIFY": code = SCMP_ACT_NOTIFY
        case "SCMP_ACT_TRAP": code = SCMP_ACT_TRAP
        default: throw .unknownAction(field: field, name: name)
        }
        guard takesNumber else {
            if let number { throw .badErrorNumber(field: numberField, value: number, action: name) }
            return code
        }
        let number = number ?? UInt32(EPERM)
        guard number <= 0xFFFF else { throw .badErrorNumber(field: numberField, value: number, action: name) }
        return code | number
    }

    /// `SCMP_ACT_ERRNO` of 0, SECCOMP_RET_ERRNO.
    static let errorAction: UInt32 = 0x0005_0000

    static func comparison(_ name: String, field: String) throws(SeccompError) -> scmp_compare {
        switch name {
        case "SCMP_CMP_NE": SCMP_CMP_NE
        case "SCMP_CMP_LT": SCMP_CMP_LT
        case "SCMP_CMP_LE": SCMP_CMP_LE
        case "SCMP_CMP_EQ": SCMP_CMP_EQ
        case "SCMP_CMP_GE": SCMP_CMP_GE
        case "SCMP_CMP_GT": SCMP_CMP_GT
        case "SCMP_CMP_MASKED_EQ": SCMP_CMP_MASKED_EQ
        default: throw .unknownOperator(field: field, name: name)
        }
    }

    /// libseccomp's token of an architecture; AUDIT_ARCH_*, but for x32's.
    static func architecture(_ name: String, field: String) throws(SeccompError) -> UInt32 {
        guard architectures.contains(name) else { throw .unknownArchitecture(field: field, name: name) }
        let token = unsafe seccomp_arch_resolve_name(name.dropFirst("SCMP_ARCH_".utf8.count).lowercased())
        guard token != 0 else { throw .unknownArchitecture(field: field, name: name) }
        return token
    }

    /// Bits for seccomp(2); none for SECCOMP_FILTER_FLAG_TSYNC, since the process that loads the filter has one thread.
    static func flag(_ name: String, field: String) throws(SeccompError) -> UInt32 {
        switch name {
        case "SECCOMP_FILTER_FLAG_TSYNC": 0
        case "SECCOMP_FILTER_FLAG_LOG": 1 << 1
        case "SECCOMP_FILTER_FLAG_SPEC_ALLOW": spectreFlag
        case "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": killableFlag
        default: throw .unknownFlag(field: field, name: name)
        }
    }

    static let spectreFlag: UInt32 = 1 << 2
    static let listenerFlag: UInt32 = 1 << 3
    static let killableFlag: UInt32 = 1 << 5
}
