public import DeviceModel
public import Engine
internal import Synchronization

/// A processor's local APIC: xAPIC and x2APIC, with its timer (SDM 3A §10).
///
/// The vCPU's thread reads and writes registers; any thread delivers. One lock guards the registers; the vCPU is signalled, other
/// APICs are reached and the 8259 pair is asked without it. Whether something can be delivered is kept in an atomic, written
/// under the lock after every change, so that engines may ask as often as they like.
public final class LocalAPIC: InterruptController {
    let state: Mutex<State>
    private let deliverable = Atomic<Bool>(false)
    private let processor = Mutex<Processor>(Processor())
    let fabric: InterruptFabric
    let timers: any TimerService
    let clock: any MachineClock
    let physicalAddressWidth: Int
    let timer = Mutex<(any DeviceTimer)?>(nil)

    private struct Processor {
        weak var cpu: (any VirtualCPU)?
    }

    /// The APIC's ID at reset: what CPUID leaf 1 and 0xB and the MADT say.
    public let initialID: UInt32

    /// Makes an APIC in the reset state and adds it to `fabric`.
    ///
    /// - Parameters:
    ///   - id: Its APIC ID. Up to 254 for xAPIC mode.
    ///   - isBootstrap: The BSP flag; this APIC also lets the 8259 pair's interrupts through from the start.
    ///   - fabric: Reaches the other APICs; keeps this one.
    ///   - timers: Fires the APIC's timer.
    ///   - clock: What IA32_TSC_DEADLINE is compared with.
    ///   - physicalAddressWidth: MAXPHYADDR of the CPU model: bits of IA32_APIC_BASE above it are reserved.
    public init(
        id: UInt32,
        isBootstrap: Bool,
        fabric: InterruptFabric,
        timers: any TimerService,
        clock: any MachineClock,
        physicalAddressWidth: Int = 46
    ) {
        initialID = id
        self.fabric = fabric
        self.timers = timers
        self.clock = clock
        self.physicalAddressWidth = min(max(physicalAddressWidth, 36), 52)
        var fresh = State(base: 0xFEE0_0000 | State.enabledBit | (isBootstrap ? State.bootstrapBit : 0), id: id)
        fresh.reset()
        state = Mutex(fresh)
        fabric.add(self)
        let newTimer = timers.makeTimer { [weak self] in self?.timerExpired() }
        timer.withLock { $0 = newTimer }
    }

    /// Sets whom to signal; held weakly.
    public func connect(_ cpu: any VirtualCPU) {
        processor.withLock { $0.cpu = cpu }
        if hasDeliverableInterrupt { cpu.signal(.interruptPending) }
    }

    /// To the state after power-on (machine reset), pins and connections kept.
    public func reset() {
        change { state in
            state.base = 0xFEE0_0000 | State.enabledBit | (state.base & State.bootstrapBit)
            state.id = initialID
            state.reset()
        }
        armTimer()
    }

    // MARK: What the vCPU asks

    public var hasDeliverableInterrupt: Bool { deliverable.load(ordering: .acquiring) }

    public func acknowledge() -> UInt8? {
        enum Answer {
            case nothing
            case vector(UInt8)
            case external
        }
        let answer = state.withLock { state -> Answer in
            defer { deliverable.store(state.isDeliverable, ordering: .releasing) }
            if state.hasExternalInterrupt {
                state.externalPending = false
                return .external
            }
            guard let vector = state.deliverableVector else { return .nothing }
            state.request[vector] = false
            state.inService[vector] = true
            return .vector(vector)
        }
        switch answer {
        case .nothing: return nil
        case .vector(let vector): return vector
        case .external: return fabric.acknowledgeExternalInterrupt()
        }
    }

    public var taskPriority: UInt8 {
        get { state.withLock { $0.taskPriority >> 4 } }
        set { change { $0.taskPriority = newValue << 4 } }
    }

    /// Where the register page lies, or nil while it answers nowhere (APIC disabled, or in x2APIC mode).
    public var pageAddress: UInt64? {
        state.withLock { $0.base & State.modeMask == State.enabledBit ? $0.base & ~0xFFF : nil }
    }

    // MARK: Delivery from elsewhere

    /// Sets the level of the LINT0 pin, which the 8259 pair's INTR drives.
    public func setLINT0(_ level: Bool) {
        change { state in
            let isRising = level && !state.lint0
            state.lint0 = level
            let entry = state[.lint0]
            guard isRising, state.isEnabled, entry & (LocalVector.masked | 0x700) == 0 else { return }
            state.accept(UInt8(truncatingIfNeeded: entry), isLevelTriggered: false)
        }
    }

    /// Sets the level of the LINT1 pin: NMI, by the usual set-up.
    public func setLINT1(_ level: Bool) {
        let raisesNMI = change { state -> Bool in
            let isRising = level && !state.lint1
            state.lint1 = level
            let entry = state[.lint1]
            guard isRising else { return false }
            guard state.isEnabled else { return true }
            guard entry & LocalVector.masked == 0 else { return false }
            if entry & 0x700 == 0 { state.accept(UInt8(truncatingIfNeeded: entry), isLevelTriggered: false) }
            return entry & 0x700 == 0x400
        }
        if raisesNMI { signal(.nonMaskableInterrupt) }
    }

    /// Takes a message that is for this APIC.
    func take(_ message: InterruptMessage) {
        switch message.mode {
        case .fixed, .lowestPriority:
            change { $0.accept(message.vector, isLevelTriggered: message.isLevelTriggered) }
        case .nonMaskable: if state.withLock({ $0.isEnabled }) { signal(.nonMaskableInterrupt) }
        case .external: change { if $0.isAccepting { $0.externalPending = true } }
        case .initialize:
            change { $0.reset() }
            armTimer()
            signal(.initialize)
        case .startUp: signal(.startUp(vector: message.vector))
        // There is no system management mode, and the reserved mode has no meaning.
        case .systemManagement, .reserved: break
        }
    }

    /// Whether a message's destination names this APIC (SDM 3A §10.6.2, §10.12.9).
    func isDestination(of message: InterruptMessage) -> Bool {
        state.withLock { state in
            guard state.isEnabled else { return false }
            if message.isBroadcast { return true }
            let destination = message.destination
            guard message.isLogical else { return destination == state.id }
            if state.isX2APIC {
                return destination >> 16 == state.logicalDestination >> 16
                    && destination & state.logicalDestination & 0xFFFF != 0
            }
            let logical = state.logicalDestination >> 24
            // Flat model: a bit an APIC; cluster model: four bits of cluster, one bit an APIC.
            if state.destinationFormat >> 28 == 0xF { return destination & logical & 0xFF != 0 }
            return (destination >> 4 & 0xF == 0xF || destination >> 4 & 0xF == logical >> 4)
                && destination & logical & 0xF != 0
        }
    }

    /// For the choice of the lowest priority; nil if it takes no interrupts.
    var arbitrationPriority: UInt8? { state.withLock { $0.isAccepting ? $0.arbitrationPriority : nil } }

    // MARK: Changing state

    /// Changes the registers, and tells the vCPU if that made something deliverable.
    @discardableResult
    func change<Result>(_ body: (inout State) -> Result) -> Result {
        let (result, hasNews) = state.withLock { state -> (Result, Bool) in
            let before = state.deliverableVector
            let hadExternal = state.hasExternalInterrupt
            let result = body(&state)
            let after = state.deliverableVector
            let hasExternal = state.hasExternalInterrupt
            deliverable.store(after != nil || hasExternal, ordering: .releasing)
            return (result, (after != nil && after != before) || (hasExternal && !hadExternal))
        }
        if hasNews { signal(.interruptPending) }
        return result
    }

    func signal(_ event: VirtualCPUEvent) { processor.withLock { $0.cpu }?.signal(event) }

    /// Sets the timer service to the next expiry that the registers ask for.
    func armTimer() {
        let now = timers.now
        let timestamp = clock.timestamp
        state.withLock { $0.expiry = $0.nextExpiry(now: now, timestamp: timestamp, clock.timestampFrequency) }
        timer.withLock { $0 }?.follow { state.withLock { $0.expiry } }
    }
}
