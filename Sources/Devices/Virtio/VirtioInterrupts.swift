/// How a transport interrupts the driver.
///
/// Called from any thread, with no lock of the transport's core held.
public protocol VirtioInterrupts: AnyObject, Sendable {
    /// The queue has used buffers (Virtio 1.3 §2.7.7).
    func signalQueue(_ queue: Int)
    /// The device's configuration, or its need for a reset, changed.
    func signalConfiguration()
    /// Forgets what is pending; the device was reset.
    func reset()
}
