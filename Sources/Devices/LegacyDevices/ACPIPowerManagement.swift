public import DeviceModel
internal import GuestMemory
internal import Synchronization

/// The fixed hardware of ACPI: PM1 event and control registers, the PM timer and one block of general-purpose events
/// (ACPI 6.5 §4.8.3, §4.8.4).
///
/// The machine is always in ACPI mode; it has no SMI command port.
public final class ACPIPowerManagement: Sendable {
    /// The PM timer's clock, in hertz.
    public static let timerFrequency: UInt64 = 3_579_545
    /// SLP_TYPa of \_S5 in the DSDT.
    public static let sleepTypeOff: UInt16 = 5
    public static let eventByteCount: UInt64 = 4
    public static let controlByteCount: UInt64 = 2
    public static let timerByteCount: UInt64 = 4
    public static let generalPurposeByteCount: UInt64 = 4

    /// Every register.
    struct State {
        /// PM1_STS and PM1_EN.
        var status: UInt16 = 0
        var enable: UInt16 = 0
        /// PM1_CNT without SLP_EN, which reads as 0.
        var control: UInt16 = 1
        /// GPE0_STS and GPE0_EN, 16 events.
        var eventStatus: UInt16 = 0
        var eventEnable: UInt16 = 0
        /// How often the timer's top bit had changed when TMR_STS was computed last.
        var timerHalves: UInt64 = 0
        /// When the timer's top bit changes next, if anybody wants to know.
        var deadline: UInt64?

        var interruptLevel: Bool { status & enable & 0x0721 != 0 || eventStatus & eventEnable != 0 }
    }

    enum Event {
        static let timer: UInt16 = 1 << 0
        static let global: UInt16 = 1 << 5
        static let powerButton: UInt16 = 1 << 8
        static let wake: UInt16 = 1 << 15
        static let all: UInt16 = timer | 1 << 4 | global | powerButton | 1 << 9 | 1 << 10 | wake
    }

    private static let clock = Frequency(hertz: timerFrequency)
    let state: Mutex<State>
    private let timerWidth: UInt64
    let timers: any TimerService
    let interrupt: InterruptLine
    private let machine: any MachineRequestSink
    let timer = Mutex<(any DeviceTimer)?>(nil)

    /// - Parameters:
    ///   - isTimer32Bits: Whether the PM timer has 32 bits (FADT flag TMR_VAL_EXT), else 24.
    ///   - timers: The machine's time, which the PM timer counts.
    ///   - interrupt: The SCI: interrupt 9, level-triggered.
    ///   - machine: Told to power off.
    public init(
        isTimer32Bits: Bool = true,
        timers: any TimerService,
        interrupt: InterruptLine,
        machine: any MachineRequestSink
    ) {
        timerWidth = isTimer32Bits ? 32 : 24
        var fresh = State()
        fresh.timerHalves = Self.clock.ticks(in: timers.now) >> (timerWidth - 1)
        state = Mutex(fresh)
        self.timers = timers
        self.interrupt = interrupt
        self.machine = machine
        let newTimer = timers.makeTimer { [weak self] in self?.change { _ in } }
        timer.withLock { $0 = newTimer }
    }

    /// To the state after a reset of the machine.
    public func reset() {
        change { state in
            let (halves, deadline) = (state.timerHalves, state.deadline)
            state = State()
            state.timerHalves = halves
            state.deadline = deadline
        }
    }

    /// Presses the power button: guests shut down in order.
    public func pressPowerButton() { change { $0.status |= Event.powerButton } }

    /// Sets general-purpose event `number`, 0...15.
    public func raise(generalPurposeEvent number: Int) {
        guard (0..<16).contains(number) else { return }
        change { $0.eventStatus |= 1 << UInt16(number) }
    }

    private var ticks: UInt64 { Self.clock.ticks(in: timers.now) }

    /// Changes the registers, then brings the wire and the timer in line.
    func change<Result>(_ body: (inout State) -> Result) -> Result {
        let halves = ticks >> (timerWidth - 1)
        let (result, hasChanged, isNew) = state.withLock { state -> (Result, Bool, Bool) in
            let before = state.interruptLevel
            if halves != state.timerHalves {
                state.status |= Event.timer
                state.timerHalves = halves
            }
            let result = body(&state)
            let needsTimer = state.enable & ~state.status & Event.timer != 0
            let old = state.deadline
            state.deadline = needsTimer ? Self.clock.nanoseconds(for: (halves &+ 1) << (timerWidth - 1)) : nil
            return (result, state.interruptLevel != before, state.deadline != old)
        }
        if hasChanged { interrupt.follow { state.withLock { $0.interruptLevel } } }
        if isNew { timer.withLock { $0 }?.follow { state.withLock { $0.deadline } } }
        return result
    }

    // MARK: Ports

    /// PM1a_EVT_BLK: status, then enable.
    public var eventBlock: any BusDevice {
        RegisterWindow(
            readByte: { [self] offset in
                change { Self.byte(UInt32($0.enable) << 16 | UInt32($0.status), offset) }
            },
            writeByte: { [self] value, offset in
                change { state in
                    let bits = UInt16(value) << (offset & 1 == 0 ? 0 : 8)
                    switch offset {
                    // Writing 1 clears.
                    case 0, 1: state.status &= ~bits
                    case 2: state.enable = (state.enable & 0xFF00 | bits) & Event.all
                    case 3: state.enable = (state.enable & 0x00FF | bits) & Event.all
                    default: break
                    }
                }
            }
        )
    }

    /// PM1a_CNT_BLK.
    ///
    /// SLP_EN with the type of S5 turns the machine off.
    public var controlBlock: any BusDevice {
        RegisterWindow(
            readByte: { [self] offset in state.withLock { Self.byte(UInt32($0.control), offset) } },
            writeByte: { [self] value, offset in
                let turnsOff = state.withLock { state -> Bool in
                    switch offset {
                    // SCI_EN stays set; GBL_RLS is write-only.
                    case 0: state.control = state.control & 0xFF00 | UInt16(value & 0x02) | 1
                    case 1:
                        state.control = state.control & 0x00FF | UInt16(value & 0x1C) << 8
                        return value & 0x20 != 0 && UInt16(value >> 2 & 7) == Self.sleepTypeOff
                    default: break
                    }
                    return false
                }
                if turnsOff { machine.request(.powerOff) }
            }
        )
    }

    /// PM_TMR_BLK, read-only.
    public var timerBlock: any BusDevice {
        RegisterWindow(
            read: { [self] offset, width in
                let value = ticks & ((1 << timerWidth) - 1)
                return value >> (8 * min(offset, 4)) & width.mask
            },
            write: { _, _, _ in }
        )
    }

    /// GPE0_BLK: two bytes of status, two of enable.
    public var generalPurposeBlock: any BusDevice {
        RegisterWindow(
            readByte: { [self] offset in
                state.withLock { Self.byte(UInt32($0.eventEnable) << 16 | UInt32($0.eventStatus), offset) }
            },
            writeByte: { [self] value, offset in
                change { state in
                    let bits = UInt16(value) << (offset & 1 == 0 ? 0 : 8)
                    switch offset {
                    case 0, 1: state.eventStatus &= ~bits
                    case 2: state.eventEnable = state.eventEnable & 0xFF00 | bits
                    case 3: state.eventEnable = state.eventEnable & 0x00FF | bits
                    default: break
                    }
                }
            }
        )
    }

    private static func byte(_ value: UInt32, _ offset: UInt64) -> UInt8 {
        UInt8(truncatingIfNeeded: offset < 4 ? value >> UInt32(8 * offset) : 0)
    }
}
