/// Why a PCI bus could not be set up.
public enum PCIError: Error, Hashable, Sendable {
    /// No function can lie at this place: outside the bus, or taken.
    case slotUnavailable(PCILocation)
    /// The window has no room for a base address register of `byteCount` bytes.
    case windowExhausted(PCISpace, byteCount: UInt64, PCILocation)
}

extension PCIError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .slotUnavailable(let location): "PCI slot \(location) is taken or does not exist"
        case .windowExhausted(let space, let byteCount, let location):
            "the PCI \(space) window has no room for \(byteCount) bytes of \(location)"
        }
    }
}

/// The place of a function on bus 0.
public struct PCILocation: Hashable, Comparable, Sendable {
    /// The device number, 0 to 31.
    public let slot: Int
    /// The function number, 0 to 7.
    public let function: Int

    public init(slot: Int, function: Int = 0) {
        self.slot = slot
        self.function = function
    }

    /// Device and function as in configuration addresses: slot · 8 + function.
    var index: Int { slot &* 8 &+ function }

    public static func < (lhs: Self, rhs: Self) -> Bool { lhs.index < rhs.index }
}

extension PCILocation: CustomStringConvertible {
    public var description: String { "00:\(slot < 16 ? "0" : "")\(String(slot, radix: 16)).\(function)" }
}
