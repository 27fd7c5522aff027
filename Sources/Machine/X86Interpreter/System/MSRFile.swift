/// The model-specific registers that are seldom touched; the others lie in ``CPUState``.
struct MSRFile {
    /// IA32_MTRR_DEF_TYPE.
    ///
    /// The memory-type registers hold what firmware would leave, since a kernel that is booted without any expects them
    /// set up: write-back but for the legacy video and ROM ranges.
    var memoryTypeDefault: UInt64 = 0xC06
    /// IA32_MTRR_PHYSBASE n and PHYSMASK n, in turn.
    var memoryTypeVariable = [UInt64](repeating: 0, count: 2 * MSRFile.variableRangeCount)
    /// IA32_MTRR_FIX64K_00000, FIX16K_80000 and A0000, FIX4K_C0000...F8000.
    var memoryTypeFixed: [UInt64] =
        [0x0606_0606_0606_0606, 0x0606_0606_0606_0606, 0] + [UInt64](repeating: 0x0505_0505_0505_0505, count: 8)
    /// MSR_KVM_SYSTEM_TIME and MSR_KVM_WALL_CLOCK as last written.
    var systemTime: UInt64 = 0
    var wallClock: UInt64 = 0
    /// IA32_DEBUGCTL.
    var debugControl: UInt64 = 0
    /// IA32_MCG_STATUS.
    var machineCheckStatus: UInt64 = 0
    /// How many accesses to MSRs that do not exist raised #GP.
    var unknownAccessCount: UInt64 = 0

    static let variableRangeCount = 8

    init() {}

    /// The index into ``memoryTypeFixed`` of a fixed-range MSR.
    static func fixedIndex(_ msr: UInt32) -> Int? {
        switch msr {
        case 0x250: 0
        case 0x258: 1
        case 0x259: 2
        case 0x268...0x26F: Int(msr - 0x268) + 3
        default: nil
        }
    }

    /// Whether a byte is a memory type (SDM 3A table 11-8): UC, WC, WT, WP or WB.
    static func isMemoryType(_ type: UInt64) -> Bool { type < 8 && 0b0111_0011 >> type & 1 != 0 }
}
