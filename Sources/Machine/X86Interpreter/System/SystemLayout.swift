/// Fields of the interpreter's block (0x840...0x87F) that belong to system instructions.
enum SystemLayout {
    /// DR6 bits of data and I/O breakpoints that the running instruction has hit, reported after it (8 bytes).
    static let pendingDebug = 0x840
    /// A byte: the running instruction does not raise the single-step trap, since it entered a handler with TF clear.
    static let dropsTrace = 0x848
    /// A byte: how many deliveries are nested, since a task switch by a gate may raise faults in the new task.
    static let deliveryDepth = 0x849
}
