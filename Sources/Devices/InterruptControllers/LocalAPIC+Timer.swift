import DeviceModel
import Engine

extension LocalAPIC {
    /// The timer's clock before its divider, in hertz: a tick is a nanosecond.
    ///
    /// Guests are told by CPUID leaf 0x15 or measure it.
    public static let timerFrequency: UInt64 = 1_000_000_000
    /// Periodic interrupts come no closer than this many nanoseconds: shorter ones run together.
    static let shortestPeriod: UInt64 = 10_000

    /// How the timer counts (SDM 3A §10.5.4).
    enum TimerMode: UInt32 {
        case oneShot = 0
        case periodic = 1
        case timestampDeadline = 2
        case reserved = 3
    }

    /// The timer service's deadline came.
    ///
    /// It may be early or stale, so the registers decide.
    func timerExpired() {
        let now = timers.now
        let timestamp = clock.timestamp
        change { state in
            guard let expiry = state.expiry, now >= expiry else { return }
            switch state.timerMode {
            // Counted out: the count stays 0 until software writes the initial count again.
            case .oneShot: state.hasFired = true
            case .periodic: break
            case .timestampDeadline:
                guard state.timestampDeadline != 0, timestamp >= state.timestampDeadline else { return }
                state.timestampDeadline = 0
            case .reserved: return
            }
            let entry = state[.timer]
            guard entry & LocalVector.masked == 0 else { return }
            state.accept(UInt8(truncatingIfNeeded: entry), isLevelTriggered: false)
        }
        armTimer()
    }
}

extension LocalAPIC.State {
    var timerMode: LocalAPIC.TimerMode { .init(rawValue: self[.timer] >> 17 & 3) ?? .reserved }

    /// Nanoseconds a count: the divide configuration register's bits 3, 1 and 0 (SDM 3A figure 10-10).
    var divider: UInt64 {
        let code = divideConfiguration & 3 | (divideConfiguration & 8) >> 1
        return code == 7 ? 1 : 2 << UInt64(code)
    }

    /// Nanoseconds from the initial count to zero.
    var period: UInt64 { UInt64(initialCount) &* divider }

    /// Nanoseconds counted.
    ///
    /// `now` may have been taken before another thread started the count.
    private func elapsed(_ now: UInt64) -> UInt64 { now > countStart ? now - countStart : 0 }

    /// When the timer expires next, in nanoseconds of the timer service.
    func nextExpiry(now: UInt64, timestamp: UInt64, _ timestampFrequency: UInt64) -> UInt64? {
        switch timerMode {
        case .oneShot:
            guard initialCount != 0, !hasFired else { return nil }
            return max(countStart &+ period, now)
        case .periodic:
            guard initialCount != 0 else { return nil }
            if period < LocalAPIC.shortestPeriod { return now &+ LocalAPIC.shortestPeriod }
            return countStart &+ (elapsed(now) / period &+ 1) &* period
        case .timestampDeadline:
            guard timestampDeadline != 0 else { return nil }
            guard timestampDeadline > timestamp else { return now }
            let wait = Frequency(hertz: timestampFrequency).nanoseconds(for: timestampDeadline - timestamp)
            let (deadline, overflow) = now.addingReportingOverflow(wait)
            return overflow ? .max : deadline
        case .reserved: return nil
        }
    }

    /// The current count register (SDM 3A §10.5.4).
    func currentCount(now: UInt64) -> UInt32 {
        guard initialCount != 0, timerMode == .oneShot || timerMode == .periodic else { return 0 }
        let counted = elapsed(now) / divider
        if timerMode == .periodic { return initialCount - UInt32(counted % UInt64(initialCount)) }
        return counted >= UInt64(initialCount) ? 0 : initialCount - UInt32(counted)
    }
}
