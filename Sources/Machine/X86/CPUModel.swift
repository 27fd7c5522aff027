/// One answer of CPUID.
@frozen
public struct CPUIDResult: Hashable, Sendable, BitwiseCopyable {
    public var eax: UInt32
    public var ebx: UInt32
    public var ecx: UInt32
    public var edx: UInt32

    public init(eax: UInt32 = 0, ebx: UInt32 = 0, ecx: UInt32 = 0, edx: UInt32 = 0) {
        self.eax = eax
        self.ebx = ebx
        self.ecx = ecx
        self.edx = edx
    }
}

/// A named CPU as the guest sees it: its identity and its features. Models are data, a file each under `CPUModels/`.
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

    public init(name: String, summary: String, vendor: String, brand: String, signature: UInt32, features: CPUFeatureSet) {
        self.name = name
        self.summary = summary
        self.vendor = vendor
        self.brand = brand
        self.signature = signature
        self.features = features
    }
}
