/// A named CPU as the guest sees it: its identity and its features.
///
/// Models are data, a file each under `CPUModels/`.
public struct CPUModel: Sendable {
    /// What `--cpu` calls it.
    public let name: String
    /// One line for `--cpu help`.
    public let summary: String
    /// Twelve characters of CPUID leaf 0.
    public let vendor: String
    /// Up to 47 characters of leaves 0x80000002...4.
    public let brand: String
    /// CPUID leaf 1 EAX: family, model, stepping.
    public let signature: UInt32
    public let features: CPUFeatureSet
    /// The bits of CPUID leaf 1 EDX that no ``CPUFeature`` stands for: paging, MSR, APIC and their like.
    public let platform: PlatformFeatures
    /// The highest basic CPUID leaf.
    public let maximumLeaf: UInt32
    /// IA32_ARCH_CAPABILITIES (SDM 4 table 2-2), or nil where the MSR does not exist.
    public let architecturalCapabilities: UInt64?

    public init(
        name: String,
        summary: String,
        vendor: String,
        brand: String,
        signature: UInt32,
        features: CPUFeatureSet,
        platform: PlatformFeatures = .modern,
        maximumLeaf: UInt32 = 0x16,
        architecturalCapabilities: UInt64? = nil
    ) {
        self.name = name
        self.summary = summary
        self.vendor = vendor
        self.brand = brand
        self.signature = signature
        self.features = features
        self.platform = platform
        self.maximumLeaf = maximumLeaf
        self.architecturalCapabilities = architecturalCapabilities
    }

    /// Every model, the richest first.
    public static var all: [CPUModel] { [.vivariumV3, .vivariumV3WithoutSHA, .level2, .baseline64, .pentium3, .i486] }

    /// The model that `--cpu name` means, or nil.
    public static func named(_ name: String) -> CPUModel? { all.first { $0.name == name } }
}

/// What CPUID leaf 1 EDX says of the system side of a CPU, in its own bit positions (SDM 2A "CPUID" table 3-11).
public struct PlatformFeatures: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let virtual8086Extensions = PlatformFeatures(rawValue: 1 << 1)
    public static let debuggingExtensions = PlatformFeatures(rawValue: 1 << 2)
    public static let pageSizeExtension = PlatformFeatures(rawValue: 1 << 3)
    public static let timestamp = PlatformFeatures(rawValue: 1 << 4)
    public static let modelSpecificRegisters = PlatformFeatures(rawValue: 1 << 5)
    public static let physicalAddressExtension = PlatformFeatures(rawValue: 1 << 6)
    public static let machineCheckException = PlatformFeatures(rawValue: 1 << 7)
    public static let localAPIC = PlatformFeatures(rawValue: 1 << 9)
    public static let memoryTypeRanges = PlatformFeatures(rawValue: 1 << 12)
    public static let globalPages = PlatformFeatures(rawValue: 1 << 13)
    public static let machineCheckArchitecture = PlatformFeatures(rawValue: 1 << 14)
    public static let pageAttributeTable = PlatformFeatures(rawValue: 1 << 16)
    public static let pageSizeExtension36 = PlatformFeatures(rawValue: 1 << 17)
    public static let clflush = PlatformFeatures(rawValue: 1 << 19)
    public static let selfSnoop = PlatformFeatures(rawValue: 1 << 27)

    public static let pentium: PlatformFeatures = [
        .virtual8086Extensions, .debuggingExtensions, .pageSizeExtension, .timestamp, .modelSpecificRegisters,
        .machineCheckException,
        .localAPIC,
    ]
    public static let pentium3: PlatformFeatures = [
        .pentium, .physicalAddressExtension, .memoryTypeRanges, .globalPages, .machineCheckArchitecture,
        .pageAttributeTable,
        .pageSizeExtension36,
    ]
    public static let modern: PlatformFeatures = [.pentium3, .clflush, .selfSnoop]
}
