/// A device that serves requests on threads of its own, after ``VirtioDevice/process(queue:)`` has returned.
public protocol DrainingDevice: VirtioDevice {
    /// Waits until every request that was taken has been given back.
    ///
    /// To be called while the worker stands still, such as before the device's state is saved, and not on a thread of the device.
    ///
    /// - Returns: False where a request cannot be finished now, for something of the host's stands in the way.
    func drain() -> Bool
}
