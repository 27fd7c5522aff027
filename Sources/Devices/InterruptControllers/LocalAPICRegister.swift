/// The registers of a local APIC; raw values are the x2APIC MSR minus 0x800, that is the xAPIC offset / 16 (SDM 3A §10.4.1,
/// table 10-6 for x2APIC).
enum LocalAPICRegister: Hashable {
    case id
    case version
    case taskPriority
    case arbitrationPriority
    case processorPriority
    case endOfInterrupt
    case remoteRead
    case logicalDestination
    case destinationFormat
    case spuriousVector
    case inService(UInt8)
    case triggerMode(UInt8)
    case request(UInt8)
    case errorStatus
    case commandLow
    case commandHigh
    case local(LocalVector)
    case initialCount
    case currentCount
    case divideConfiguration
    case selfInterrupt

    init?(index: UInt32) {
        switch index {
        case 0x02: self = .id
        case 0x03: self = .version
        case 0x08: self = .taskPriority
        case 0x09: self = .arbitrationPriority
        case 0x0A: self = .processorPriority
        case 0x0B: self = .endOfInterrupt
        case 0x0C: self = .remoteRead
        case 0x0D: self = .logicalDestination
        case 0x0E: self = .destinationFormat
        case 0x0F: self = .spuriousVector
        case 0x10...0x17: self = .inService(UInt8(index & 7))
        case 0x18...0x1F: self = .triggerMode(UInt8(index & 7))
        case 0x20...0x27: self = .request(UInt8(index & 7))
        case 0x28: self = .errorStatus
        case 0x30: self = .commandLow
        case 0x31: self = .commandHigh
        case 0x32...0x37:
            guard let local = LocalVector(rawValue: Int(index) - 0x32) else { return nil }
            self = .local(local)
        case 0x38: self = .initialCount
        case 0x39: self = .currentCount
        case 0x3E: self = .divideConfiguration
        case 0x3F: self = .selfInterrupt
        default: return nil
        }
    }

    /// What RDMSR may do with the register in x2APIC mode; elsewhere it raises #GP.
    var isReadableInX2APIC: Bool {
        switch self {
        case .endOfInterrupt, .selfInterrupt, .arbitrationPriority, .remoteRead, .destinationFormat, .commandHigh: false
        default: true
        }
    }

    /// The bits that WRMSR may set in x2APIC mode, nil where writing raises #GP.
    var writableInX2APIC: UInt64? {
        switch self {
        case .taskPriority: 0xFF
        case .endOfInterrupt, .errorStatus: 0
        case .spuriousVector: 0x3FF
        case .commandLow: 0xFFFF_FFFF_000C_CFFF
        case .local(let local): UInt64(local.writable | local.status)
        case .initialCount: 0xFFFF_FFFF
        case .divideConfiguration: 0xB
        case .selfInterrupt: 0xFF
        default: nil
        }
    }
}

/// The local vector table, in register order (SDM 3A figure 10-8).
enum LocalVector: Int, Hashable, CaseIterable {
    case timer
    case thermal
    case performance
    case lint0
    case lint1
    case error

    /// The bits software can change: vector, delivery mode, polarity and trigger mode of the pins, mask, timer mode.
    var writable: UInt32 {
        switch self {
        case .timer: 0x7_00FF
        case .thermal, .performance: 0x1_07FF
        case .lint0, .lint1: 0x1_A7FF
        case .error: 0x1_00FF
        }
    }

    /// The bits that only the APIC changes, delivery status and remote IRR: writing them does nothing, and raises no fault.
    var status: UInt32 {
        switch self {
        case .lint0, .lint1: 0x5000
        default: 0x1000
        }
    }

    static let masked: UInt32 = 1 << 16
}
