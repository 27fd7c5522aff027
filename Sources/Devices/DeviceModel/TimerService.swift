/// One deadline of a device, moved or cancelled at will.
public protocol DeviceTimer: AnyObject, Sendable {
    /// Fires once when the machine's clock reaches `deadline` nanoseconds (at once if it has), in place of any earlier deadline;
    /// nil cancels.
    func arm(at deadline: UInt64?)
}

extension DeviceTimer {
    /// Arms the timer for the deadline that the device's state asks for.
    ///
    /// Call it after a change, without the device's lock. When several threads change the state at once, the deadline of the last
    /// change wins: each looks again after it has armed the timer.
    public func follow(_ deadline: () -> UInt64?) {
        var wanted = deadline()
        while true {
            arm(at: wanted)
            let current = deadline()
            if current == wanted { return }
            wanted = current
        }
    }
}

/// Gives devices the machine's time.
public protocol TimerService: AnyObject, Sendable {
    /// Nanoseconds since the machine was made; never goes back. Stands still while the machine is paused.
    var now: UInt64 { get }
    /// Makes a timer that calls `handler` on the timer thread, with no lock held.
    func makeTimer(_ handler: @escaping @Sendable () -> Void) -> any DeviceTimer
}

/// What a device can ask of the machine as a whole.
public enum MachineRequest: Hashable, Sendable {
    case powerOff
    case reset
    /// isa-debug-exit: the machine ends with status value · 2 + 1.
    case exit(value: UInt8)
}

/// Takes devices' requests; called on any thread.
public protocol MachineRequestSink: AnyObject, Sendable {
    func request(_ request: MachineRequest)
}
