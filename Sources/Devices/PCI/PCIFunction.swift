public import GuestMemory

/// One function of a PCI device.
///
/// Most pass the accesses on to their ``configuration``; some registers act (Virtio 1.3 §4.1.4.9).
public protocol PCIFunction: AnyObject, Sendable {
    var configuration: PCIConfiguration { get }
    /// `offset`: 0 to 4095.
    /// `width`: At most a double word.
    func readConfiguration(at offset: Int, width: AccessWidth) -> UInt32
    func writeConfiguration(_ value: UInt32, at offset: Int, width: AccessWidth)
    /// Back to the state after power-on; nothing is decoded when it returns.
    func reset()
}
