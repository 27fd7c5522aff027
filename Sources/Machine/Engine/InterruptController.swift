public import SystemCalls

/// What a vCPU asks of its local APIC (SDM 3A §10); the one device that engines call directly.
///
/// Called on the vCPU's thread while other threads may raise interrupts.
public protocol InterruptController: AnyObject, Sendable {
    /// Whether ``acknowledge()`` would give a vector now: one is pending above the processor priority, or the 8259
    /// pair asserts INTR and LINT0 lets it through.
    var hasDeliverableInterrupt: Bool { get }
    /// Takes the highest deliverable vector into service, or nil if there is none any more.
    func acknowledge() -> UInt8?
    /// CR8: bits 7:4 of the task priority register.
    var taskPriority: UInt8 { get set }
    /// An APIC register MSR: IA32_APIC_BASE (0x1B), IA32_TSC_DEADLINE (0x6E0), x2APIC 0x800...0x8FF; nil means #GP.
    func readRegister(_ msr: UInt32) -> UInt64?
    /// - Returns: false where the write must raise #GP.
    func writeRegister(_ msr: UInt32, _ value: UInt64) -> Bool
}

/// The machine's time, as every engine and device sees it.
public protocol MachineClock: AnyObject, Sendable {
    /// Nanoseconds since the machine was made, at ``timestampFrequency`` resolution or better.
    var nanoseconds: UInt64 { get }
    /// The time-stamp counter before any guest offset.
    var timestamp: UInt64 { get }
    /// Ticks of ``timestamp`` a second.
    var timestampFrequency: UInt64 { get }
    /// How generated code makes ``timestamp`` from the host's counter; nil where it has to ask.
    var hostCounter: HostCounter? { get }
}

extension MachineClock {
    public var hostCounter: HostCounter? { nil }
}
