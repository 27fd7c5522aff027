public import GuestMemory

/// Why a vCPU stopped running guest code.
public enum VMExit: Hashable, Sendable {
    /// Answer with ``VirtualCPU/completeRead(with:)``, then run again.
    case portRead(port: UInt16, width: AccessWidth)
    case portWrite(port: UInt16, value: UInt64, width: AccessWidth)
    /// Answer with ``VirtualCPU/completeRead(with:)``, then run again.
    case memoryRead(GuestAddress, width: AccessWidth)
    case memoryWrite(GuestAddress, value: UInt64, width: AccessWidth)
    /// HLT (or MWAIT) with nothing pending: run again once an event was signalled.
    case halted
    /// A triple fault, or a fault while in the shutdown state.
    case shutdown
    /// ``VirtualCPU/interrupt()`` was called, or the slice of instructions was used up.
    case interrupted
    /// A debugger's breakpoint or step.
    case debug
}

/// What another thread can make happen to a vCPU.
public enum VirtualCPUEvent: Hashable, Sendable {
    /// The vCPU's interrupt controller may have a vector to deliver: ask it.
    case interruptPending
    case nonMaskableInterrupt
    /// INIT: registers to their reset state, then wait for a start-up.
    case initialize
    /// SIPI: start in real mode at `vector` · 4096.
    case startUp(vector: UInt8)
}

/// Why a vCPU can no longer run.
public enum VirtualCPUError: Error, Hashable, Sendable {
    /// The engine cannot run this code; the machine's state is at that instruction.
    case unsupported(reason: String, instruction: UInt64)
}

/// One virtual CPU, whatever executes it: KVM, the interpreter or translated code.
///
/// Only one thread at a time calls ``run()`` and ``completeRead(with:)``; ``interrupt()`` and ``signal(_:)`` may
/// come from any thread at any time.
public protocol VirtualCPU: AnyObject, Sendable {
    /// Runs guest code until it needs the machine. Takes microseconds at least, so callers may hold `any VirtualCPU`.
    func run() throws(VirtualCPUError) -> VMExit
    /// Hands over the value a device gave for the read that ``run()`` last returned.
    func completeRead(with value: UInt64)
    /// Makes the current or the next ``run()`` return ``VMExit/interrupted``.
    func interrupt()
    /// Posts an event; a ``run()`` in progress notices it within microseconds.
    func signal(_ event: VirtualCPUEvent)
    /// Whether ``run()`` would do something now: false while halted, or waiting for start-up, with nothing pending.
    var isRunnable: Bool { get }
    /// Counters for `--stats`, in order.
    var counters: [(name: String, value: UInt64)] { get }
}
