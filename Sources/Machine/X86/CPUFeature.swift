/// A CPU feature that instructions depend on; a CPU model is a set of them.
@frozen
public enum CPUFeature: UInt8, CaseIterable, Sendable {
    /// Part of every x86-64 CPU.
    case base
    case x87
    case cmov
    case cx8
    case cx16
    case mmx
    case fxsr
    case sse
    case sse2
    case sse3
    case ssse3
    case sse41
    case sse42
    case popcnt
    case lzcnt
    case bmi1
    case bmi2
    case adx
    case movbe
    case aes
    case pclmulqdq
    case sha
    case f16c
    case fma
    case avx
    case avx2
    case xsave
    case xsaveopt
    case xsavec
    case xsaves
    case rdrand
    case rdseed
    case fsgsbase
    case umip
    case rdpid
    case rdtscp
    case smep
    case smap
    case pcid
    case invpcid
    case clflushopt
    case clwb
    case monitor
    case longMode
    case syscall
    case sysenter
    case noExecute
    case page1G
    case x2apic
    case tscDeadline
    case fsrm
    case erms
    case lahf64
    case prefetchw
    case vaes
    case vpclmulqdq
    case gfni
    case pku
    case waitpkg
    case rtm
    case vmx
    case svm
    case sse4a
    case rdpru
    case wbnoinvd
    case movdiri
    case movdir64b
    case cldemote
    case serialize
    case cet
    case avxVNNI
    case unsupported
}

/// A set of CPU features.
@frozen
public struct CPUFeatureSet: Hashable, Sendable, BitwiseCopyable {
    @usableFromInline var low: UInt64
    @usableFromInline var high: UInt64

    public init(_ features: [CPUFeature]) {
        low = 0
        high = 0
        for feature in features { insert(feature) }
    }

    public mutating func insert(_ feature: CPUFeature) {
        if feature.rawValue < 64 {
            low |= 1 << UInt64(feature.rawValue)
        } else {
            high |= 1 << UInt64(feature.rawValue - 64)
        }
    }

    public mutating func remove(_ feature: CPUFeature) {
        if feature.rawValue < 64 {
            low &= ~(1 << UInt64(feature.rawValue))
        } else {
            high &= ~(1 << UInt64(feature.rawValue - 64))
        }
    }

    @inlinable
    public func contains(_ feature: CPUFeature) -> Bool {
        feature.rawValue < 64
            ? low >> UInt64(feature.rawValue) & 1 != 0 : high >> UInt64(feature.rawValue &- 64) & 1 != 0
    }
}
