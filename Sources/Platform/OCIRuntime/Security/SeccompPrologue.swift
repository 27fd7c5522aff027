internal import CSeccomp
internal import Glibc

/// What a filter does first: calls newer than its profile return ENOSYS, not the profile's default error.
///
/// A program that tries a new call falls back to an older one if the kernel has none, but gives up at EPERM. Whoever wrote
/// the profile did not know the calls numbered above the highest one that it names, so to programs these are not there.
struct SeccompPrologue {
    /// None where the profile's default answers new calls well enough; what follows them is the filter itself.
    let instructions: [SeccompInstruction]

    /// `architectures`: libseccomp's tokens.
    init(configuration: SeccompConfiguration, architectures: [UInt32]) {
        // A tracer is expected to know new calls, too.
        let permissive = ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"]
        let isENOSYS =
            configuration.defaultAction == "SCMP_ACT_ERRNO" && configuration.defaultErrorNumber == UInt32(ENOSYS)
        guard !permissive.contains(configuration.defaultAction), !isENOSYS else {
            instructions = []
            return
        }
        let absent = [SeccompInstruction.leave(SeccompVocabulary.errorAction | UInt32(ENOSYS))]
        let x32 = SeccompABI.x32.token
        let highestX32 = architectures.contains(x32) ? Self.highestCall(configuration, architecture: x32) : nil
        var sections: [(architecture: UInt32, instructions: [SeccompInstruction])] = []
        for architecture in architectures where architecture != x32 {
            guard let highest = Self.highestCall(configuration, architecture: architecture) else { continue }
            var section = [SeccompInstruction.load(SeccompInstruction.callOffset)]
            let greater = SeccompInstruction.jumpIfGreater
            if architecture == SeccompABI.amd64.token, let highestX32 {
                section += [
                    SeccompInstruction(
                        code: SeccompInstruction.jumpIfNotLess,
                        whenFalse: 1,
                        operand: SeccompABI.x32Bit
                    ),
                    SeccompInstruction(code: greater, whenTrue: 1, whenFalse: 2, operand: highestX32),
                ]
            }
            section.append(SeccompInstruction(code: greater, whenFalse: 1, operand: highest))
            sections.append((architecture, section + absent))
        }
        guard !sections.isEmpty else {
            instructions = []
            return
        }
        var instructions = [SeccompInstruction.load(SeccompInstruction.architectureOffset)]
        // Each section is followed by a jump to the end, and each is begun with a comparison.
        var rest = sections.reduce(0) { $0 + $1.instructions.count + 2 }
        for (architecture, section) in sections {
            rest -= section.count + 2
            let length = UInt8(truncatingIfNeeded: section.count + 1)
            instructions.append(
                SeccompInstruction(code: SeccompInstruction.jumpIfEqual, whenFalse: length, operand: architecture)
            )
            instructions += section + [.jump(rest)]
        }
        self.instructions = instructions
    }

    /// The highest number of the calls that the profile names, whatever it does for them.
    private static func highestCall(_ configuration: SeccompConfiguration, architecture: UInt32) -> UInt32? {
        let abi = SeccompABI.all.first { $0.token == architecture }
        var highest: UInt32?
        for rule in configuration.rules {
            for name in rule.names {
                // Names that the architecture lacks have numbers below 0.
                let number =
                    if let abi { abi.number(of: name) } else {
                        UInt32(exactly: unsafe seccomp_syscall_resolve_name_arch(architecture, name))
                    }
                if let number, number > highest ?? 0 { highest = number }
            }
        }
        return highest
    }
}
