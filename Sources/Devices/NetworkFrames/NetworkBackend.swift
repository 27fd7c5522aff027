/// The host's end of a guest's network port.
///
/// Its methods are called on any thread but a vCPU's, and wait for the host only briefly.
public protocol NetworkBackend: AnyObject, Sendable {
    /// The unfinished frames that ``transmit(_:)`` takes; others are finished before.
    var offloads: Offloads { get }
    /// From now on `receiver` gets what comes in; nil ends that, but for a call that is under way.
    func attach(_ receiver: (any FrameReceiver)?)
    /// Takes frames of the guest's, in order.
    func transmit(_ frames: [Frame])
    /// The receiver has room again after it had none.
    func resume()
}

/// The guest's end of a network port.
public protocol FrameReceiver: AnyObject, Sendable {
    /// The unfinished frames that the guest's driver takes; frames beyond that are finished on the way, at a cost.
    var offloads: Offloads { get }
    /// Takes frames for the guest, in order; from any thread, does not wait.
    ///
    /// - Returns: Whether there is room for more. Without, ``NetworkBackend/resume()`` follows, and frames that come before it may be lost.
    func receive(_ frames: [Frame]) -> Bool
}

/// Sees every frame of a port, such as a capture.
public protocol FrameObserver: AnyObject, Sendable {
    /// Frames that the guest sends or gets; on the device's thread.
    func observe(_ frames: [Frame])
}
