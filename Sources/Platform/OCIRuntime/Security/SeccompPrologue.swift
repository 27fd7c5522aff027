internal import CSeccomp
internal import Glibc

/// What a filter does first: calls newer than its profile return ENOSYS, not the profile's default error.
///
/// A program that tries a new call falls back to an older one if the kernel has none, but gives up at EPERM. Whoever wrote
/// the profile did not know the calls numbered above the highest one that it names, so to programs these are not there.
struct SeccompPrologue {
    /// `struct sock_filter`s; none where the profile's default answers new calls well enough.
    let bytes: [UInt8]

    private struct Instruction {
        let code: UInt16
        var whenTrue: UInt8 = 0
        var whenFalse: UInt8 = 0
        var operand: UInt32 = 0
    }

    // BPF_LD | BPF_W | BPF_ABS, BPF_JMP | … | BPF_K, BPF_RET | BPF_K (linux/bpf_common.h).
    private static let load: UInt16 = 0x20
    private static let jump: UInt16 = 0x05
    private static let jumpIfEqual: UInt16 = 0x15
    private static let jumpIfGreater: UInt16 = 0x25
    private static let jumpIfNotLess: UInt16 = 0x35
    private static let leave: UInt16 = 0x06

    // Offsets in struct seccomp_data.
    private static let callOffset: UInt32 = 0
    private static let architectureOffset: UInt32 = 4

    /// What marks the calls of x32, which come under the architecture of x86-64.
    private static let x32Bit: UInt32 = 0x4000_0000

    /// - Parameter architectures: libseccomp's tokens.
    init(configuration: SeccompConfiguration, architectures: [UInt32]) {
        // A tracer is expected to know new calls, too.
        let permissive = ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"]
        let isENOSYS = configuration.defaultAction == "SCMP_ACT_ERRNO" && configuration.defaultErrorNumber == UInt32(ENOSYS)
        guard !permissive.contains(configuration.defaultAction), !isENOSYS else {
            bytes = []
            return
        }
        let x86 = unsafe seccomp_arch_resolve_name("x86_64")
        let x32 = unsafe seccomp_arch_resolve_name("x32")
        let highestX32 = architectures.contains(x32) ? Self.highestCall(configuration, architecture: x32) : nil
        var sections: [(architecture: UInt32, instructions: [Instruction])] = []
        for architecture in architectures where architecture != x32 {
            guard let highest = Self.highestCall(configuration, architecture: architecture) else { continue }
            var section = [Instruction(code: Self.load, operand: Self.callOffset)]
            if architecture == x86, let highestX32 {
                section.append(Instruction(code: Self.jumpIfNotLess, whenFalse: 1, operand: Self.x32Bit))
                section.append(Instruction(code: Self.jumpIfGreater, whenTrue: 1, whenFalse: 2, operand: highestX32))
                // Passed by calls of x32.
                section.append(Instruction(code: Self.jumpIfGreater, whenFalse: 1, operand: highest))
            } else {
                section.append(Instruction(code: Self.jumpIfGreater, whenFalse: 1, operand: highest))
            }
            section.append(
                Instruction(code: Self.leave, operand: SeccompVocabulary.errorAction | UInt32(ENOSYS))
            )
            sections.append((architecture, section))
        }
        guard !sections.isEmpty else {
            bytes = []
            return
        }
        var instructions = [Instruction(code: Self.load, operand: Self.architectureOffset)]
        var jumps: [Int] = []
        for (architecture, section) in sections {
            let length = UInt8(truncatingIfNeeded: section.count + 1)
            instructions.append(Instruction(code: Self.jumpIfEqual, whenFalse: length, operand: architecture))
            instructions += section
            jumps.append(instructions.count)
            instructions.append(Instruction(code: Self.jump))
        }
        for place in jumps {
            instructions[place].operand = UInt32(truncatingIfNeeded: instructions.count - place - 1)
        }
        bytes = instructions.flatMap { instruction in
            var bytes: [UInt8] = []
            unsafe withUnsafeBytes(of: instruction.code) { unsafe bytes.append(contentsOf: $0) }
            bytes.append(instruction.whenTrue)
            bytes.append(instruction.whenFalse)
            unsafe withUnsafeBytes(of: instruction.operand) { unsafe bytes.append(contentsOf: $0) }
            return bytes
        }
    }

    /// The highest number of the calls that the profile names, whatever it does for them.
    private static func highestCall(_ configuration: SeccompConfiguration, architecture: UInt32) -> UInt32? {
        var highest: CInt = -1
        for rule in configuration.rules {
            // Names that the architecture lacks have numbers below 0.
            for name in rule.names { highest = max(highest, unsafe seccomp_syscall_resolve_name_arch(architecture, name)) }
        }
        return UInt32(exactly: highest)
    }
}
