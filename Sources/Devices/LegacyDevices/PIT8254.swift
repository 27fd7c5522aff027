public import DeviceModel
internal import Synchronization

/// The 8254 interval timer of a PC, with the port that gates and watches its third channel (Intel 8254 datasheet; port 0x61:
/// ICH9 datasheet §13.7.1).
///
/// Channel 0 drives interrupt 0, channel 1 nothing, channel 2 the speaker, which nobody hears.
public final class PIT8254: Sendable {
    /// The clock of all channels, in hertz.
    public static let frequency: UInt64 = 1_193_182

    /// Every register.
    struct State {
        var channels = [PITChannel(gate: true), PITChannel(gate: true), PITChannel(gate: false)]
        /// Port 0x61 bit 1: the speaker follows channel 2.
        var speakerEnabled = false
        /// Port 0x61 bits 3:2, which mask NMI sources that do not exist.
        var nonMaskableControl: UInt8 = 0
        /// When interrupt 0 is due next, in ticks and in nanoseconds.
        var edgeTick: UInt64?
        var edge: UInt64?
        /// The level of interrupt 0.
        var output = true
    }

    private static let clock = Frequency(hertz: frequency)
    /// Interrupts come no closer than this, in nanoseconds.
    private static let shortestPeriod: UInt64 = 20_000

    let state = Mutex(State())
    let timers: any TimerService
    let interrupt: InterruptLine
    let timer = Mutex<(any DeviceTimer)?>(nil)

    /// - Parameters:
    ///   - timers: The machine's time, which the channels count.
    ///   - interrupt: Interrupt 0.
    public init(timers: any TimerService, interrupt: InterruptLine) {
        self.timers = timers
        self.interrupt = interrupt
        let newTimer = timers.makeTimer { [weak self] in self?.edgeDue() }
        timer.withLock { $0 = newTimer }
    }

    /// To the state after power-on.
    public func reset() {
        state.withLock { $0 = State() }
        schedule()
    }

    private var now: UInt64 { Self.clock.ticks(in: timers.now) }

    // MARK: Interrupt 0

    /// Brings the wire and the timer in line with channel 0 after a change.
    private func schedule() {
        let time = timers.now
        let level = state.withLock { state -> Bool in
            let tick = Self.clock.ticks(in: time)
            state.channels[0].settle(tick)
            state.edgeTick = state.channels[0].nextRisingEdge(after: tick)
            state.edge = state.edgeTick.map { max(Self.clock.nanoseconds(for: $0), time &+ 1) }
            return state.outputLevel(tick)
        }
        interrupt.set(level)
        timer.withLock { $0 }?.follow { state.withLock { $0.edge } }
    }

    /// The level of interrupt 0 now.
    var outputLevel: Bool {
        let now = now
        return state.withLock { $0.outputLevel(now) }
    }

    private func edgeDue() {
        let time = timers.now
        let isDue = state.withLock { state -> Bool in
            guard let edge = state.edge, time >= edge else { return false }
            let tick = max(Self.clock.ticks(in: time), state.edgeTick ?? 0)
            state.channels[0].settle(tick)
            state.edgeTick = state.channels[0].nextRisingEdge(after: tick)
            state.edge = state.edgeTick.map { max(Self.clock.nanoseconds(for: $0), time &+ Self.shortestPeriod) }
            return true
        }
        if isDue {
            interrupt.set(false)
            interrupt.set(true)
        }
        timer.withLock { $0 }?.follow { state.withLock { $0.edge } }
    }

    // MARK: Ports

    /// Four ports: 0x40 on a PC.
    public var channelPorts: any BusDevice {
        RegisterWindow(
            readByte: { [self] offset in
                guard offset < 3 else { return 0xFF }
                let now = self.now
                return state.withLock { $0.channels[Int(offset)].readByte(now) }
            },
            writeByte: { [self] value, offset in write(value, offset) }
        )
    }

    private func write(_ value: UInt8, _ offset: UInt64) {
        let now = self.now
        let touchesInterrupt = state.withLock { state -> Bool in
            switch offset {
            case 0...2:
                state.channels[Int(offset)].writeByte(value, now: now)
                return offset == 0
            case 3: return state.control(value, now: now)
            default: return false
            }
        }
        if touchesInterrupt { schedule() }
    }

    /// One port: 0x61 on a PC.
    ///
    /// Bit 0 gates channel 2, bit 4 toggles with each memory refresh (15 µs), bit 5 is channel 2's output.
    public var speakerPort: any BusDevice {
        RegisterWindow(
            readByte: { [self] _ in
                let time = timers.now
                let tick = Self.clock.ticks(in: time)
                return state.withLock { state in
                    state.channels[2].settle(tick)
                    return (state.channels[2].gate ? 1 : 0) | (state.speakerEnabled ? 2 : 0) | state.nonMaskableControl
                        | (time / 15_085 & 1 != 0 ? 0x10 : 0) | (state.channels[2].output(tick) ? 0x20 : 0)
                }
            },
            writeByte: { [self] value, _ in
                let now = self.now
                state.withLock { state in
                    state.channels[2].setGate(value & 1 != 0, now: now)
                    state.speakerEnabled = value & 2 != 0
                    state.nonMaskableControl = value & 0x0C
                }
            }
        )
    }
}

extension PIT8254.State {
    /// The level of interrupt 0.
    ///
    /// Periodic modes are seen as edges only: the wire is high but for the moment of the edge.
    func outputLevel(_ tick: UInt64) -> Bool {
        let mode = channels[0].mode
        return mode == 2 || mode == 3 || channels[0].output(tick)
    }

    /// A write to the control register; whether it changed channel 0's counting.
    mutating func control(_ value: UInt8, now: UInt64) -> Bool {
        let channel = Int(value >> 6)
        guard channel < 3 else {
            // Read-back: bits 5 and 4 are active low.
            for index in channels.indices where value >> UInt8(index + 1) & 1 != 0 {
                if value & 0x20 == 0 { channels[index].latchCount(now) }
                if value & 0x10 == 0 { channels[index].latchStatus(now) }
            }
            return false
        }
        guard value & 0x30 != 0 else {
            channels[channel].latchCount(now)
            return false
        }
        channels[channel].setControl(value, now: now)
        return channel == 0
    }
}
