/// The bits of CR0 (SDM 3A §2.5).
public enum CR0 {
    public static let protectionEnable: UInt64 = 1 << 0
    public static let monitorCoprocessor: UInt64 = 1 << 1
    public static let emulation: UInt64 = 1 << 2
    public static let taskSwitched: UInt64 = 1 << 3
    public static let extensionType: UInt64 = 1 << 4
    public static let numericError: UInt64 = 1 << 5
    public static let writeProtect: UInt64 = 1 << 16
    public static let alignmentMask: UInt64 = 1 << 18
    public static let notWriteThrough: UInt64 = 1 << 29
    public static let cacheDisable: UInt64 = 1 << 30
    public static let paging: UInt64 = 1 << 31
}

/// The bits of CR4 (SDM 3A §2.5).
public enum CR4 {
    public static let vme: UInt64 = 1 << 0
    public static let pvi: UInt64 = 1 << 1
    public static let tsd: UInt64 = 1 << 2
    public static let de: UInt64 = 1 << 3
    public static let pse: UInt64 = 1 << 4
    public static let pae: UInt64 = 1 << 5
    public static let mce: UInt64 = 1 << 6
    public static let pge: UInt64 = 1 << 7
    public static let pce: UInt64 = 1 << 8
    public static let osfxsr: UInt64 = 1 << 9
    public static let osxmmexcpt: UInt64 = 1 << 10
    public static let umip: UInt64 = 1 << 11
    public static let la57: UInt64 = 1 << 12
    public static let fsgsbase: UInt64 = 1 << 16
    public static let pcide: UInt64 = 1 << 17
    public static let osxsave: UInt64 = 1 << 18
    public static let smep: UInt64 = 1 << 20
    public static let smap: UInt64 = 1 << 21
    public static let pke: UInt64 = 1 << 22
}

/// The bits of IA32_EFER (SDM 3A §2.2.1).
public enum EFER {
    public static let systemCallExtensions: UInt64 = 1 << 0
    public static let longModeEnable: UInt64 = 1 << 8
    public static let longModeActive: UInt64 = 1 << 10
    public static let noExecuteEnable: UInt64 = 1 << 11
}

/// Exception vectors (SDM 3A §6.3).
public enum ExceptionVector {
    public static let divideError: UInt8 = 0
    public static let debug: UInt8 = 1
    public static let nmi: UInt8 = 2
    public static let breakpoint: UInt8 = 3
    public static let overflow: UInt8 = 4
    public static let boundRange: UInt8 = 5
    public static let invalidOpcode: UInt8 = 6
    public static let deviceNotAvailable: UInt8 = 7
    public static let doubleFault: UInt8 = 8
    public static let invalidTSS: UInt8 = 10
    public static let segmentNotPresent: UInt8 = 11
    public static let stackFault: UInt8 = 12
    public static let generalProtection: UInt8 = 13
    public static let pageFault: UInt8 = 14
    public static let x87: UInt8 = 16
    public static let alignmentCheck: UInt8 = 17
    public static let machineCheck: UInt8 = 18
    public static let simd: UInt8 = 19
}

/// Bits of a page-table entry (SDM 3A §4.5) and of a page fault's error code (§4.7).
public enum PageBits {
    public static let present: UInt64 = 1 << 0
    public static let writable: UInt64 = 1 << 1
    public static let user: UInt64 = 1 << 2
    public static let accessed: UInt64 = 1 << 5
    public static let dirty: UInt64 = 1 << 6
    public static let large: UInt64 = 1 << 7
    public static let global: UInt64 = 1 << 8
    public static let noExecute: UInt64 = 1 << 63

    public static let faultPresent: UInt32 = 1 << 0
    public static let faultWrite: UInt32 = 1 << 1
    public static let faultUser: UInt32 = 1 << 2
    public static let faultReserved: UInt32 = 1 << 3
    public static let faultFetch: UInt32 = 1 << 4
}
