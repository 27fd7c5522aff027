/// One instruction of a filter: `struct sock_filter` (linux/filter.h, bpf(4)).
struct SeccompInstruction: Hashable {
    let code: UInt16
    /// How many instructions are passed over.
    var whenTrue: UInt8 = 0
    var whenFalse: UInt8 = 0
    var operand: UInt32 = 0

    // Offsets in struct seccomp_data.
    static let callOffset: UInt32 = 0
    static let architectureOffset: UInt32 = 4
    static func argumentOffset(_ index: UInt32) -> UInt32 { 16 &+ index &* 8 }

    // BPF_JMP | … | BPF_K (linux/bpf_common.h).
    static let jumpIfEqual: UInt16 = 0x15
    static let jumpIfGreater: UInt16 = 0x25
    static let jumpIfNotLess: UInt16 = 0x35

    static func load(_ offset: UInt32) -> Self { Self(code: 0x20, operand: offset) }
    static func and(_ mask: UInt32) -> Self { Self(code: 0x54, operand: mask) }
    static func leave(_ action: UInt32) -> Self { Self(code: 0x06, operand: action) }
    static func jump(_ distance: Int) -> Self { Self(code: 0x05, operand: UInt32(truncatingIfNeeded: distance)) }

    /// `low` where the accumulator is below `bound`, otherwise `high`; both end by leaving.
    static func choose(from bound: UInt32, _ low: [Self], _ high: [Self]) -> [Self] {
        branch(jumpIfNotLess, bound, whenFalse: low, whenTrue: high)
    }

    /// `match` where the accumulator is `value`, otherwise `other`; both end by leaving.
    static func choose(only value: UInt32, _ match: [Self], _ other: [Self]) -> [Self] {
        branch(jumpIfEqual, value, whenFalse: other, whenTrue: match)
    }

    private static func branch(_ code: UInt16, _ operand: UInt32, whenFalse: [Self], whenTrue: [Self]) -> [Self] {
        if let distance = UInt8(exactly: whenFalse.count) {
            return [Self(code: code, whenTrue: distance, operand: operand)] + whenFalse + whenTrue
        }
        return [Self(code: code, whenFalse: 1, operand: operand), .jump(whenFalse.count)] + whenFalse + whenTrue
    }

    /// `instructions` in the host's byte order.
    static func bytes(_ instructions: [Self]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(instructions.count * 8)
        for instruction in instructions {
            unsafe withUnsafeBytes(of: instruction.code) { unsafe bytes.append(contentsOf: $0) }
            bytes.append(instruction.whenTrue)
            bytes.append(instruction.whenFalse)
            unsafe withUnsafeBytes(of: instruction.operand) { unsafe bytes.append(contentsOf: $0) }
        }
        return bytes
    }
}
