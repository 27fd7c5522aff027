/// Which classes of events are logged (`--trace`).
public struct TraceEvents: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Every return of ``VirtualCPU/run()``.
    public static let exits = TraceEvents(rawValue: 1 << 0)
    /// Exceptions and interrupts that the guest takes.
    public static let exceptions = TraceEvents(rawValue: 1 << 1)
    /// Accesses to ports and to memory that devices answer, with their values.
    public static let io = TraceEvents(rawValue: 1 << 2)
    /// Each entry into a block of decoded code.
    public static let blocks = TraceEvents(rawValue: 1 << 3)

    /// The names that `--trace` takes.
    public static let names: [(name: String, events: TraceEvents)] = [
        ("exits", .exits), ("exceptions", .exceptions), ("io", .io), ("blocks", .blocks),
        ("all", [.exits, .exceptions, .io, .blocks]),
    ]
}

/// What an engine tells a trace; addresses are the guest's.
public enum TraceRecord: Hashable, Sendable {
    /// An exception at `rip` is about to be delivered; `address` is CR2 for a page fault.
    case exception(vector: UInt8, errorCode: UInt32?, rip: UInt64, address: UInt64)
    /// An external interrupt is about to be delivered at `rip`.
    case interrupt(vector: UInt8, rip: UInt64)
    /// Code at linear address `rip` and physical address `physical` is entered.
    case block(rip: UInt64, physical: UInt64)
}

/// Takes trace records.
///
/// An engine asks for ``events`` once, and calls ``record(_:processor:)`` only for those.
public protocol TraceSink: AnyObject, Sendable {
    var events: TraceEvents { get }
    /// Called on the vCPU's thread.
    func record(_ record: TraceRecord, processor: Int)
}
