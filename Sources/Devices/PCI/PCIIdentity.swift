/// What the identification registers of a function say (PCI 3.0 §6.2.1).
public struct PCIIdentity: Hashable, Sendable {
    public var vendor: UInt16
    public var device: UInt16
    public var revision: UInt8
    /// Base class, subclass and programming interface: 0xBBSSPP.
    public var classCode: UInt32
    public var subsystemVendor: UInt16
    public var subsystem: UInt16

    public init(
        vendor: UInt16,
        device: UInt16,
        revision: UInt8 = 0,
        classCode: UInt32,
        subsystemVendor: UInt16 = 0,
        subsystem: UInt16 = 0
    ) {
        self.vendor = vendor
        self.device = device
        self.revision = revision
        self.classCode = classCode
        self.subsystemVendor = subsystemVendor
        self.subsystem = subsystem
    }
}
