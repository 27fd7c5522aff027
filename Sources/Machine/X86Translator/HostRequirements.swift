import HostCode
import X86

/// What translated code needs of the host's CPU.
enum HostRequirements {
    /// The features whose instructions may be copied.
    static let features: CPUFeatureSet = {
        var set = HostProcessor.vectorFeatures
        for feature in HostProcessor.integerFeatures { set.insert(feature) }
        return set
    }()

    /// RORX and PEXT keep the flags of the guest while an address is checked.
    static let missing: [String] = features.contains(.bmi2) ? [] : ["BMI2"]
    static var areMet: Bool { missing.isEmpty }
}
