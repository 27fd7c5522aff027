import DeviceModel

extension RealTimeClock {
    /// Every register and byte of memory (MC146818A datasheet).
    struct State {
        /// The index port: bits 6:0.
        var index: UInt8 = 0
        /// The index port's bit 7: NMI is cut off.
        var masksNMI = false
        /// 128 bytes; the clock's own (0...9, 0x32) are used only while ``isSetting``.
        var memory = [UInt8](repeating: 0, count: 128)
        /// Seconds since 1970 on the clock when the machine's time was 0.
        var epoch: Int64
        /// Nanoseconds of machine time at which a second begins.
        var phase: UInt64 = 0
        /// Flags of register C: periodic 0x40, alarm 0x20, update ended 0x10.
        var flags: UInt8 = 0
        /// The second and the period up to which flags were computed.
        var checkedSecond: Int64 = 0
        var checkedPeriod: UInt64 = 0

        /// When the timer is to look at the flags again.
        var deadline: UInt64?

        init(epoch: Int64) {
            self.epoch = epoch
            memory[Register.a] = 0x26
            memory[Register.b] = 0x02
        }
    }

    /// Addresses of the clock's own bytes.
    enum Register {
        static let second = 0
        static let secondAlarm = 1
        static let minute = 2
        static let minuteAlarm = 3
        static let hour = 4
        static let hourAlarm = 5
        static let weekday = 6
        static let day = 7
        static let month = 8
        static let year = 9
        static let a = 10
        static let b = 11
        static let c = 12
        static let d = 13
        /// As PC firmware uses it, and as the FADT tells.
        static let century = 0x32

        static func isTime(_ index: Int) -> Bool {
            switch index {
            case second, minute, hour, weekday, day, month, year, century: true
            default: false
            }
        }
    }

    /// Bits of register B.
    enum Control {
        static let set: UInt8 = 0x80
        static let periodicInterrupt: UInt8 = 0x40
        static let alarmInterrupt: UInt8 = 0x20
        static let updateInterrupt: UInt8 = 0x10
        static let binary: UInt8 = 0x04
        static let twentyFourHours: UInt8 = 0x02
    }
}

extension RealTimeClock.State {
    private typealias Register = RealTimeClock.Register
    private typealias Control = RealTimeClock.Control
    private static let secondLength: UInt64 = 1_000_000_000

    var control: UInt8 { memory[Register.b] }
    var isSetting: Bool { control & Control.set != 0 }
    /// The interrupt wire.
    var interruptLevel: Bool { flags & control & 0x70 != 0 }

    // MARK: Time

    /// The clock's time, and the nanoseconds since its second began.
    func seconds(_ now: UInt64) -> (whole: Int64, fraction: UInt64) {
        // `now` may have been taken before another thread set the clock.
        let elapsed = now > phase ? now - phase : 0
        return (epoch &+ Int64(elapsed / Self.secondLength), elapsed % Self.secondLength)
    }

    /// Nanoseconds a period of the periodic interrupt, in 1/32768 s steps; nil if register A stops it.
    var periodTicks: UInt64? {
        let rate = UInt64(memory[Register.a] & 15)
        guard rate != 0 else { return nil }
        // Rates 1 and 2 are those of 8 and 9 (MC146818A table 5).
        return 1 << (rate < 3 ? rate + 6 : rate - 1)
    }

    private func periods(_ now: UInt64) -> UInt64 {
        guard let periodTicks else { return 0 }
        return RealTimeClock.crystal.ticks(in: now) / periodTicks
    }

    /// Brings the flags up to date with the time.
    mutating func update(_ now: UInt64) {
        let period = periods(now)
        if period != checkedPeriod, periodTicks != nil { flags |= 0x40 }
        checkedPeriod = period
        guard !isSetting else { return }
        let current = seconds(now).whole
        guard current > checkedSecond else {
            checkedSecond = current
            return
        }
        flags |= 0x10
        // A day of seconds shows every alarm there is.
        for second in max(checkedSecond + 1, current - 86_399)...current where isAlarm(second) {
            flags |= 0x20
            break
        }
        checkedSecond = current
    }

    /// Starts to look for flags from now on, after the time or the rate was changed.
    mutating func restart(_ now: UInt64) {
        checkedSecond = seconds(now).whole
        checkedPeriod = periods(now)
    }

    private func isAlarm(_ second: Int64) -> Bool {
        let date = CalendarDate(secondsSince1970: second)
        func matches(_ alarm: Int, _ value: UInt8) -> Bool { memory[alarm] & 0xC0 == 0xC0 || memory[alarm] == value }
        return matches(Register.secondAlarm, encode(date.second)) && matches(Register.minuteAlarm, encode(date.minute))
            && matches(Register.hourAlarm, encodeHour(date.hour))
    }

    /// When flags that raise an interrupt may change next.
    func nextEvent(_ now: UInt64) -> UInt64? {
        var result: UInt64?
        if control & Control.periodicInterrupt != 0, flags & 0x40 == 0, let periodTicks {
            result = RealTimeClock.crystal.nanoseconds(for: (periods(now) &+ 1) &* periodTicks)
        }
        if control & (Control.alarmInterrupt | Control.updateInterrupt) & ~flags != 0, !isSetting {
            let second = now &+ (Self.secondLength - seconds(now).fraction)
            result = min(result ?? second, second)
        }
        return result
    }

    // MARK: Formats

    func encode(_ value: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: control & Control.binary != 0 ? value : (value / 10) << 4 | value % 10)
    }

    func encodeHour(_ hour: Int) -> UInt8 {
        guard control & Control.twentyFourHours == 0 else { return encode(hour) }
        return encode(hour % 12 == 0 ? 12 : hour % 12) | (hour >= 12 ? 0x80 : 0)
    }

    private func decode(_ value: UInt8) -> Int {
        control & Control.binary != 0 ? Int(value) : Int(value >> 4) * 10 + Int(value & 15)
    }

    private func decodeHour(_ value: UInt8) -> Int {
        guard control & Control.twentyFourHours == 0 else { return decode(value) }
        return decode(value & 0x7F) % 12 + (value & 0x80 != 0 ? 12 : 0)
    }

    /// Writes the running time into ``memory``.
    mutating func showTime(_ now: UInt64) {
        let date = CalendarDate(secondsSince1970: seconds(now).whole)
        memory[Register.second] = encode(date.second)
        memory[Register.minute] = encode(date.minute)
        memory[Register.hour] = encodeHour(date.hour)
        memory[Register.weekday] = encode(date.weekday)
        memory[Register.day] = encode(date.day)
        memory[Register.month] = encode(date.month)
        memory[Register.year] = encode(date.year % 100)
        memory[Register.century] = encode(date.year / 100 % 100)
    }

    /// Takes the time over from ``memory``: the clock's second begins now.
    mutating func takeTime(_ now: UInt64) {
        let date = CalendarDate(
            year: decode(memory[Register.century]) * 100 + decode(memory[Register.year]),
            month: decode(memory[Register.month]),
            day: decode(memory[Register.day]),
            hour: decodeHour(memory[Register.hour]),
            minute: decode(memory[Register.minute]),
            second: decode(memory[Register.second])
        )
        epoch = date.secondsSince1970
        phase = now
        restart(now)
    }

    // MARK: Registers

    mutating func read(_ now: UInt64) -> UInt8 {
        let index = Int(index)
        switch index {
        case Register.a:
            // The update takes the last 244 µs of a second.
            let isUpdating = !isSetting && seconds(now).fraction >= Self.secondLength - 244_000
            return memory[index] & 0x7F | (isUpdating ? 0x80 : 0)
        case Register.c:
            update(now)
            defer { flags = 0 }
            return flags | (interruptLevel ? 0x80 : 0)
        // The battery is good.
        case Register.d: return 0x80
        default:
            if Register.isTime(index), !isSetting { showTime(now) }
            return memory[index]
        }
    }

    mutating func write(_ value: UInt8, _ now: UInt64) {
        let index = Int(index)
        update(now)
        switch index {
        case Register.a:
            memory[index] = value & 0x7F
            restart(now)
        case Register.b:
            let wasSetting = isSetting
            if !wasSetting { showTime(now) }
            memory[index] = value
            if wasSetting, !isSetting { takeTime(now) }
            // SET ends update interrupts.
            if isSetting { memory[index] &= ~Control.updateInterrupt }
        case Register.c, Register.d: break
        default:
            if Register.isTime(index), !isSetting { showTime(now) }
            memory[index] = value
            if Register.isTime(index), !isSetting { takeTime(now) }
        }
    }
}
