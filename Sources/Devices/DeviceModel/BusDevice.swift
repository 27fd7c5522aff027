public import GuestMemory

/// A device that answers reads and writes in some range of an address space.
///
/// A device knows offsets into its own range, never where that range is mapped. Calls may come from any thread, so a device
/// has a lock of its own (`Mutex` over a struct of its registers) and never calls out while it holds it.
public protocol BusDevice: AnyObject, Sendable {
    /// The value at `offset`; bits above `width` are ignored. Unimplemented registers read as all ones.
    func read(at offset: UInt64, width: AccessWidth) -> UInt64
    func write(_ value: UInt64, at offset: UInt64, width: AccessWidth)
}
