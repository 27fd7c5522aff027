internal import DeviceModel
internal import Glibc
public import MachineState
internal import Synchronization

/// By how much one clock is ahead of another.
struct ClockOffset: Hashable, Sendable {
    var seconds: Int64
    /// Less than a second.
    var nanoseconds: UInt64

    static let secondLength: UInt64 = 1_000_000_000
    /// More than any date that the registers can hold, so that sums with it stay far from overflow.
    static let secondLimit: Int64 = 400_000_000_000

    /// The host's date, as an offset from the start of 1970.
    static var hostDate: ClockOffset {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return ClockOffset(seconds: Int64(time.tv_sec), nanoseconds: UInt64(clamping: time.tv_nsec))
    }

    static func + (lhs: ClockOffset, rhs: ClockOffset) -> ClockOffset {
        let nanoseconds = lhs.nanoseconds + rhs.nanoseconds
        let carry = nanoseconds >= secondLength
        return ClockOffset(
            seconds: lhs.seconds &+ rhs.seconds &+ (carry ? 1 : 0),
            nanoseconds: carry ? nanoseconds - secondLength : nanoseconds
        )
    }

    static func - (lhs: ClockOffset, rhs: ClockOffset) -> ClockOffset {
        let borrows = lhs.nanoseconds < rhs.nanoseconds
        return ClockOffset(
            seconds: lhs.seconds &- rhs.seconds &- (borrows ? 1 : 0),
            nanoseconds: lhs.nanoseconds &+ (borrows ? secondLength : 0) &- rhs.nanoseconds
        )
    }
}

// The clock shows the host's date: it goes on while the machine's time stands still, and while the machine is put away.
extension RealTimeClock: Pausable {
    /// The time that the guest's date is kept apart from: the host's date, or the machine's time.
    private var reference: ClockOffset {
        guard !followsHost else { return .hostDate }
        let (seconds, nanoseconds) = timers.now.quotientAndRemainder(dividingBy: ClockOffset.secondLength)
        return ClockOffset(seconds: Int64(seconds), nanoseconds: nanoseconds)
    }

    /// How far the guest's date is from the host's now.
    private var offset: ClockOffset {
        let now = timers.now
        let (whole, fraction) = state.withLock { $0.seconds(now) }
        return ClockOffset(seconds: whole, nanoseconds: fraction) - reference
    }

    public func pause() {
        let offset = offset
        pausedOffset.withLock { $0 = offset }
    }

    public func resume() {
        let offset = pausedOffset.withLock { paused in
            defer { paused = nil }
            return paused
        }
        if let offset { follow(offset) }
    }

    private func follow(_ offset: ClockOffset) {
        let date = reference + offset
        change { state, now in
            state.epoch = date.seconds
            state.phase = now >= date.nanoseconds ? now - date.nanoseconds : now
        }
    }
}

extension RealTimeClock: Saveable {
    public var stateName: String { "rtc" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        let offset = pausedOffset.withLock { $0 } ?? offset
        let now = state.withLock { $0 }
        encoder.encode(now.index)
        encoder.encode(now.masksNMI)
        encoder.encodeFixed(now.memory)
        encoder.encode(offset.seconds)
        encoder.encode(offset.nanoseconds)
        encoder.encode(now.flags)
        encoder.encode(now.checkedSecond)
        encoder.encode(now.checkedPeriod)
    }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        let index = try decoder.decode(mask: UInt8(0x7F), "index")
        let masksNMI = try decoder.decode(Bool.self, "NMI mask")
        let memory = try decoder.decodeFixed(128, "memory")
        let limit = ClockOffset.secondLimit
        let offset = ClockOffset(
            seconds: try decoder.decode(in: -limit...limit, "seconds ahead of the host"),
            nanoseconds: try decoder.decode(in: 0...(ClockOffset.secondLength - 1), "nanoseconds ahead of the host")
        )
        let flags = try decoder.decode(mask: UInt8(0x70), "flags")
        let checkedSecond = try decoder.decode(in: -2 * limit...2 * limit, "second looked at")
        let checkedPeriod = try decoder.decode(UInt64.self, "period looked at")
        state.withLock { state in
            state.index = index
            state.masksNMI = masksNMI
            state.memory = memory
            state.flags = flags
            state.checkedSecond = checkedSecond
            state.checkedPeriod = checkedPeriod
        }
        follow(offset)
        // The machine may stand still for a while before it goes on.
        pausedOffset.withLock { $0 = offset }
        interrupt.set(state.withLock { $0.interruptLevel })
        timer.withLock { $0 }?.follow { state.withLock { $0.deadline } }
    }
}
