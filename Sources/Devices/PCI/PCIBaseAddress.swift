public import DeviceModel

/// A range that a function decodes through a base address register (PCI 3.0 §6.2.5.1).
public struct PCIBaseAddress: Sendable {
    /// What the register says in its low bits.
    public enum Kind: Hashable, Sendable {
        case memory32
        /// Takes this register and the next.
        case memory64
        case port

        var space: PCISpace { self == .port ? .port : .memory }
        var typeBits: UInt32 {
            switch self {
            case .memory32: 0
            case .memory64: 0b100
            case .port: 0b1
            }
        }
        /// The low bits that hold no address.
        var lowBits: UInt64 { self == .port ? 0b11 : 0b1111 }
    }

    /// The register, 0 to 5.
    public let register: Int
    public let kind: Kind
    /// A power of two, at least 16 (4 for ports).
    public let byteCount: UInt64
    /// Answers in the range.
    public let device: any BusDevice

    public init(register: Int, kind: Kind, byteCount: UInt64, device: any BusDevice) {
        precondition(register >= 0 && register < (kind == .memory64 ? 5 : 6), "no such base address register")
        precondition(byteCount.nonzeroBitCount == 1 && byteCount > kind.lowBits, "a size that no register can express")
        precondition(kind == .memory64 || byteCount <= 1 << 31, "a size that needs a 64-bit register")
        self.register = register
        self.kind = kind
        self.byteCount = byteCount
        self.device = device
    }

    /// The register's offset in configuration space.
    var offset: Int { 0x10 + register * 4 }
}
