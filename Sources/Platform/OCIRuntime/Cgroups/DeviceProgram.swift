internal import CLinux

/// What may be done with a device, with the bits that the kernel gives a device program.
struct DeviceAccess: OptionSet, Hashable, Sendable {
    let rawValue: UInt32

    static let make = DeviceAccess(rawValue: UInt32(BPF_DEVCG_ACC_MKNOD))
    static let read = DeviceAccess(rawValue: UInt32(BPF_DEVCG_ACC_READ))
    static let write = DeviceAccess(rawValue: UInt32(BPF_DEVCG_ACC_WRITE))
    static let all: DeviceAccess = [.make, .read, .write]

    init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Of `r`, `w` and `m`.
    init(_ text: String) {
        self = []
        if text.contains("r") { insert(.read) }
        if text.contains("w") { insert(.write) }
        if text.contains("m") { insert(.make) }
    }

    var text: String { (contains(.read) ? "r" : "") + (contains(.write) ? "w" : "") + (contains(.make) ? "m" : "") }
}

/// An eBPF program of type `BPF_PROG_TYPE_CGROUP_DEVICE`, which decides for version 2 what a group's processes may do with devices.
///
/// It goes through the rules from the last to the first and strikes from what is asked for that which a matching rule
/// allows. Nothing left is yes; something left that a matching rule denies, or at the end, is no. So of the rules for one
/// right the last decides.
struct DeviceProgram: Hashable, Sendable {
    private(set) var instructions: [Instruction] = []

    /// One instruction (Linux: Documentation/bpf/standardization/instruction-set.rst).
    ///
    /// `immediate` 63:32, `offset` 31:16, `source` 15:12, `destination` 11:8, `opcode` 7:0.
    struct Instruction: Hashable, Sendable {
        var opcode: UInt8
        var destination: UInt8 = 0
        var source: UInt8 = 0
        var offset: Int16 = 0
        var immediate: Int32 = 0

        var word: UInt64 {
            UInt64(opcode) | UInt64(destination) << 8 | UInt64(source) << 12
                | UInt64(UInt16(bitPattern: offset)) << 16 | UInt64(UInt32(bitPattern: immediate)) << 32
        }
    }

    /// The registers: the answer, what the kernel gives (`bpf_cgroup_dev_ctx`), what is still asked for, and the device.
    private enum Register {
        static let answer: UInt8 = 0
        static let context: UInt8 = 1
        static let asked: UInt8 = 2
        static let type: UInt8 = 3
        static let major: UInt8 = 4
        static let minor: UInt8 = 5
    }

    /// - Throws: ``CgroupError/deviceRule(_:reason:)`` for a device number that none can have.
    init(_ rules: [ResourceConfiguration.DeviceRule]) throws(CgroupError) {
        let word = UInt8(BPF_LDX | BPF_MEM | BPF_W)
        let constant = UInt8(BPF_ALU) | UInt8(BPF_K)
        emit(word, Register.asked, source: Register.context)
        emit(UInt8(BPF_ALU) | UInt8(BPF_MOV) | UInt8(BPF_X), Register.type, source: Register.asked)
        emit(constant | UInt8(BPF_AND), Register.type, immediate: 0xFFFF)
        emit(constant | UInt8(BPF_RSH), Register.asked, immediate: 16)
        emit(word, Register.major, source: Register.context, offset: 4)
        emit(word, Register.minor, source: Register.context, offset: 8)
        for rule in rules.reversed() {
            let access = DeviceAccess(rule.access)
            guard !access.isEmpty else { continue }
            var mismatches: [Int] = []
            func unless(_ register: UInt8, is value: Int32) {
                mismatches.append(instructions.count)
                emit(UInt8(BPF_JMP) | UInt8(BPF_JNE) | UInt8(BPF_K), register, immediate: value)
            }
            if rule.type != "a" {
                let type = rule.type == "b" ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR
                unless(Register.type, is: Int32(type))
            }
            for (register, number) in [(Register.major, rule.major), (Register.minor, rule.minor)] {
                guard let number else { continue }
                guard let value = Int32(exactly: number) else {
                    throw .deviceRule(rule.text, reason: "no device has that number")
                }
                unless(register, is: value)
            }
            let isCertain = mismatches.isEmpty && access == .all
            if access != .all {
                let bits = Int32(bitPattern: access.rawValue)
                if rule.isAllowed {
                    emit(constant | UInt8(BPF_AND), Register.asked, immediate: ~bits)
                    unless(Register.asked, is: 0)
                } else {
                    emit(UInt8(BPF_JMP) | UInt8(BPF_JSET) | UInt8(BPF_K), Register.asked, offset: 1, immediate: bits)
                    mismatches.append(instructions.count)
                    emit(UInt8(BPF_JMP) | UInt8(BPF_JA))
                }
            }
            end(allowing: rule.isAllowed)
            for index in mismatches {
                // At most nine instructions on.
                instructions[index].offset = Int16(truncatingIfNeeded: instructions.count - index - 1)
            }
            // The kernel takes no program with instructions that nothing leads to.
            if isCertain { return }
        }
        end(allowing: false)
    }

    private mutating func emit(
        _ opcode: UInt8,
        _ destination: UInt8 = 0,
        source: UInt8 = 0,
        offset: Int16 = 0,
        immediate: Int32 = 0
    ) {
        instructions.append(
            Instruction(
                opcode: opcode,
                destination: destination,
                source: source,
                offset: offset,
                immediate: immediate
            )
        )
    }

    private mutating func end(allowing isAllowed: Bool) {
        emit(UInt8(BPF_ALU) | UInt8(BPF_MOV) | UInt8(BPF_K), Register.answer, immediate: isAllowed ? 1 : 0)
        emit(UInt8(BPF_JMP) | UInt8(BPF_EXIT))
    }
}
