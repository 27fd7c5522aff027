public import DeviceModel
internal import Glibc
internal import Synchronization

/// The MC146818A real-time clock and the 128 bytes of memory that PC firmware keeps in it (MC146818A datasheet; ports: ICH9
/// datasheet §13.6).
public final class RealTimeClock: Sendable {
    static let crystal = Frequency(hertz: 32_768)

    let state: Mutex<State>
    let timers: any TimerService
    let interrupt: InterruptLine
    let timer = Mutex<(any DeviceTimer)?>(nil)
    /// The clock was not set by hand: it goes on while the machine's time stands still.
    let followsHost: Bool
    /// What the clock is ahead of the host's, while the machine's time stands still.
    let pausedOffset = Mutex<ClockOffset?>(nil)

    /// - Parameters:
    ///   - start: The clock's time when the machine starts, in seconds since 1970; nil for the host's, also after pauses.
    ///   - timers: What moves the clock on.
    ///   - interrupt: Interrupt 8.
    public init(start: Int64? = nil, timers: any TimerService, interrupt: InterruptLine) {
        var host = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &host)
        let now = timers.now
        var fresh = State(epoch: start ?? Int64(host.tv_sec))
        fresh.phase = now
        if start == nil, UInt64(host.tv_nsec) <= now { fresh.phase = now - UInt64(host.tv_nsec) }
        fresh.restart(now)
        state = Mutex(fresh)
        followsHost = start == nil
        self.timers = timers
        self.interrupt = interrupt
        let newTimer = timers.makeTimer { [weak self] in self?.change { _, _ in } }
        timer.withLock { $0 = newTimer }
    }

    /// To the state after a reset of the machine: interrupts off; time and memory stay, as the battery keeps them.
    public func reset() {
        change { state, _ in
            state.memory[Register.b] &= ~(Control.periodicInterrupt | Control.alarmInterrupt | Control.updateInterrupt)
            state.flags = 0
        }
    }

    /// Sets a byte of memory that firmware reads, such as a size; the clock's own bytes (0...13 and 0x32) are left alone.
    public func setMemory(_ value: UInt8, at index: Int) {
        guard (14..<128).contains(index), index != Register.century else { return }
        state.withLock { $0.memory[index] = value }
    }

    /// Sets the bytes that tell PC firmware how much RAM there is.
    ///
    /// - Parameters:
    ///   - below4GiB: RAM from address 0 on, in bytes.
    ///   - above4GiB: RAM from 4 GiB on, in bytes.
    public func setMemorySize(below4GiB: UInt64, above4GiB: UInt64) {
        let kibibytesAbove1MiB = min((max(below4GiB, 1 << 20) - (1 << 20)) >> 10, 0xFFFF)
        let unitsAbove16MiB = min((max(below4GiB, 1 << 24) - (1 << 24)) >> 16, 0xFFFF)
        let unitsAbove4GiB = min(above4GiB >> 16, 0xFF_FFFF)
        func store(_ value: UInt64, _ indices: Int...) {
            for (place, index) in indices.enumerated() {
                setMemory(UInt8(truncatingIfNeeded: value >> UInt64(8 * place)), at: index)
            }
        }
        store(640, 0x15, 0x16)
        store(kibibytesAbove1MiB, 0x17, 0x18)
        store(kibibytesAbove1MiB, 0x30, 0x31)
        store(unitsAbove16MiB, 0x34, 0x35)
        store(unitsAbove4GiB, 0x5B, 0x5C, 0x5D)
    }

    /// Whether software cuts off NMI (port 0x70 bit 7).
    public var masksNMI: Bool { state.withLock { $0.masksNMI } }

    /// Two ports: 0x70 on a PC.
    public var ports: any BusDevice {
        RegisterWindow(
            readByte: { [self] offset in
                guard offset == 1 else { return 0xFF }
                return change { state, now in state.read(now) }
            },
            writeByte: { [self] value, offset in
                change { state, now in
                    if offset == 1 { return state.write(value, now) }
                    state.index = value & 0x7F
                    state.masksNMI = value & 0x80 != 0
                }
            }
        )
    }

    /// Changes the registers, then brings the wire and the timer in line.
    func change<Result>(_ body: (inout State, UInt64) -> Result) -> Result {
        let now = timers.now
        let (result, hasChanged, isNew) = state.withLock { state -> (Result, Bool, Bool) in
            let before = state.interruptLevel
            let result = body(&state, now)
            if state.control & 0x70 != 0 { state.update(now) }
            let old = state.deadline
            state.deadline = state.nextEvent(now)
            return (result, state.interruptLevel != before, state.deadline != old)
        }
        if hasChanged { interrupt.follow { state.withLock { $0.interruptLevel } } }
        if isNew { timer.withLock { $0 }?.follow { state.withLock { $0.deadline } } }
        return result
    }
}
