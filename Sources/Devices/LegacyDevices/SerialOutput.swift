/// Where a serial port's output goes.
public protocol SerialOutput: AnyObject, Sendable {
    /// Takes bytes in order, many at a time. Called on a vCPU's or the timer's thread, never by two threads at once.
    func write(_ bytes: [UInt8])
}
