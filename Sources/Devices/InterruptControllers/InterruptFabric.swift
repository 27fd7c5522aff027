public import DeviceModel
internal import Synchronization

/// What connects the local APICs of a machine: interprocessor interrupts, message-signalled interrupts, end-of-interrupt
/// broadcasts and the 8259 pair's INTR wire.
///
/// APICs, I/O APICs and the pair are added while the machine is put together. The lock guards the lists only.
public final class InterruptFabric: MSISink {
    private struct Members {
        var locals: [LocalAPIC] = []
        var ioAPICs: [IOAPIC] = []
        var external: (any ExternalInterruptSource)?
    }

    private let members = Mutex(Members())
    /// Where the search for the lowest priority starts, so that equals take turns.
    private let turn = Atomic<Int>(0)

    public init() {}

    /// The APICs in the order they were made.
    public var localAPICs: [LocalAPIC] { members.withLock { $0.locals } }

    func add(_ apic: LocalAPIC) { members.withLock { $0.locals.append(apic) } }

    /// Tells `ioAPIC` of ended level-triggered interrupts from now on.
    public func connect(_ ioAPIC: IOAPIC) { members.withLock { $0.ioAPICs.append(ioAPIC) } }

    /// Asks `source` for the vector when a processor acknowledges an interrupt of LINT0.
    public func connect(externalInterrupts source: any ExternalInterruptSource) {
        members.withLock { $0.external = source }
    }

    /// The wire from the 8259 pair's INTR to LINT0 of every processor.
    public var externalInterruptLine: InterruptLine {
        InterruptLine { [weak self] level in
            guard let self else { return }
            for apic in localAPICs { apic.setLINT0(level) }
        }
    }

    /// The wire to LINT1 of every processor: NMI.
    public var nonMaskableInterruptLine: InterruptLine {
        InterruptLine { [weak self] level in
            guard let self else { return }
            for apic in localAPICs { apic.setLINT1(level) }
        }
    }

    public func deliver(_ message: MSI) {
        guard let message = InterruptMessage(message) else { return }
        deliver(message)
    }

    /// Brings a message to the APICs that its destination names; nobody hears it if there is none.
    public func deliver(_ message: InterruptMessage) {
        let targets = localAPICs.filter { $0.isDestination(of: message) }
        guard message.mode == .lowestPriority, targets.count > 1 else {
            for apic in targets { apic.take(message) }
            return
        }
        let start = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        var best: (apic: LocalAPIC, priority: UInt8)?
        for index in targets.indices {
            let apic = targets[Int(UInt(bitPattern: start &+ index) % UInt(targets.count))]
            guard let priority = apic.arbitrationPriority, priority < best?.priority ?? .max || best == nil else {
                continue
            }
            best = (apic, priority)
        }
        best?.apic.take(message)
    }

    func deliverToAll(_ message: InterruptMessage, except sender: LocalAPIC?) {
        for apic in localAPICs where apic !== sender { apic.take(message) }
    }

    func endInterrupt(_ vector: UInt8) {
        for ioAPIC in members.withLock({ $0.ioAPICs }) { ioAPIC.endInterrupt(vector) }
    }

    func acknowledgeExternalInterrupt() -> UInt8? { members.withLock { $0.external }?.acknowledgeInterrupt() }
}

/// What answers a processor's interrupt acknowledge cycle: the 8259 pair.
public protocol ExternalInterruptSource: AnyObject, Sendable {
    /// Takes the highest request into service and returns its vector, a spurious one if there is no request any more; nil only
    /// if the source is not programmed.
    func acknowledgeInterrupt() -> UInt8?
}
