/// One counter of an 8254, as a function of time (Intel 8254 datasheet).
///
/// Times are ticks of its clock.
///
/// Nothing runs: the count, the output and the next edge are computed when somebody asks.
struct PITChannel: Hashable, Sendable {
    /// How the processor reads and writes the count: control word bits 5:4.
    enum Access: UInt8, Sendable {
        case low = 1
        case high = 2
        case lowThenHigh = 3
    }

    var mode: UInt8 = 3
    var access = Access.lowThenHigh
    var isBCD = false
    var gate: Bool
    /// The count last loaded, 1...65536; nil until software has written one since the control word.
    var reload: UInt64?
    /// When counting from ``reload`` began.
    var start: UInt64 = 0
    /// What was counted when the gate went low; nil while counting.
    var suspendedAfter: UInt64?
    /// Modes 1 and 5: the gate has risen since the count was written.
    var isTriggered = false
    /// Modes 2 and 3: a count that is loaded when the running period ends.
    var nextReload: UInt64?
    var switchTick: UInt64 = 0
    var latchedCount: UInt16?
    var latchedStatus: UInt8?
    /// The next byte of a two-byte access is the high one.
    var readsHigh = false
    var writtenLow: UInt8?

    init(gate: Bool) { self.gate = gate }

    private var isPeriodic: Bool { mode == 2 || mode == 3 }
    private var isTriggeredByGate: Bool { mode == 1 || mode == 5 }
    private var modulus: UInt64 { isBCD ? 10_000 : 65_536 }

    // MARK: Programming

    /// A control word for this channel that is not a latch command.
    mutating func setControl(_ value: UInt8, now: UInt64) {
        let code = (value >> 1) & 7
        mode = code > 5 ? code & 3 : code
        access = Access(rawValue: (value >> 4) & 3) ?? .lowThenHigh
        isBCD = value & 1 != 0
        reload = nil
        nextReload = nil
        isTriggered = false
        latchedCount = nil
        latchedStatus = nil
        readsHigh = false
        writtenLow = nil
        start = now
        suspendedAfter = nil
    }

    mutating func writeByte(_ value: UInt8, now: UInt64) {
        switch access {
        case .low: load(UInt16(value), now: now)
        case .high: load(UInt16(value) << 8, now: now)
        case .lowThenHigh:
            guard let low = writtenLow else {
                writtenLow = value
                // Mode 0: the first byte stops the count and the output stays low.
                if mode == 0 { reload = nil }
                return
            }
            writtenLow = nil
            load(UInt16(value) << 8 | UInt16(low), now: now)
        }
    }

    private mutating func load(_ raw: UInt16, now: UInt64) {
        settle(now)
        let value = isBCD ? Self.decimal(raw) : UInt64(raw)
        let count = value == 0 ? modulus : value
        if isPeriodic, let running = reload, suspendedAfter == nil {
            nextReload = count
            switchTick = start &+ ((now &- start) / running &+ 1) &* running
            return
        }
        if isTriggeredByGate, isTriggered {
            // The running one-shot is not disturbed; the next trigger takes the new count.
            nextReload = count
            return
        }
        reload = count
        start = now
        suspendedAfter = gate || isTriggeredByGate ? nil : 0
    }

    /// Sets the level of the GATE pin.
    mutating func setGate(_ level: Bool, now: UInt64) {
        guard level != gate else { return }
        settle(now)
        gate = level
        guard reload != nil else { return }
        switch mode {
        case 1, 5:
            guard level else { return }
            if let next = nextReload { reload = next }
            nextReload = nil
            isTriggered = true
            start = now
        case 2, 3:
            if level { start = now }
            if level, let next = nextReload { reload = next }
            nextReload = nil
            suspendedAfter = level ? nil : 0
        default:
            if level {
                start = now &- (suspendedAfter ?? 0)
                suspendedAfter = nil
            } else {
                suspendedAfter = now &- start
            }
        }
    }

    /// Takes over a count that was waiting for the end of a period.
    mutating func settle(_ now: UInt64) {
        guard isPeriodic, let next = nextReload, now >= switchTick else { return }
        reload = next
        nextReload = nil
        start = switchTick
    }

    // MARK: What can be seen

    private func elapsed(_ now: UInt64) -> UInt64 { suspendedAfter ?? (now &- start) }

    /// The counting element, in the channel's number system.
    func count(_ now: UInt64) -> UInt16 {
        guard let reload else { return 0 }
        if isTriggeredByGate, !isTriggered { return encode(reload) }
        let counted = elapsed(now)
        switch mode {
        case 2: return encode(reload - counted % reload)
        case 3: return encode(reload - (counted &* 2) % reload & ~1)
        // The others count on through zero.
        default: return encode((reload &+ modulus &- counted % modulus) % modulus)
        }
    }

    /// The level of the OUT pin.
    func output(_ now: UInt64) -> Bool {
        guard let reload else { return mode != 0 }
        let counted = elapsed(now)
        switch mode {
        case 0: return counted >= reload
        case 1: return !isTriggered || counted >= reload
        case 2: return !gate || counted % reload != reload - 1
        case 3: return !gate || counted % reload < (reload + 1) / 2
        case 4: return counted != reload
        default: return !isTriggered || counted != reload
        }
    }

    /// When OUT rises next after `now`, or nil if it never does by itself.
    func nextRisingEdge(after now: UInt64) -> UInt64? {
        guard let reload, suspendedAfter == nil else { return nil }
        switch mode {
        case 0: return start &+ reload > now ? start &+ reload : nil
        case 1: return isTriggered && start &+ reload > now ? start &+ reload : nil
        case 2, 3:
            let next = start &+ ((now &- start) / reload &+ 1) &* reload
            return next
        case 4: return start &+ reload &+ 1 > now ? start &+ reload &+ 1 : nil
        default: return isTriggered && start &+ reload &+ 1 > now ? start &+ reload &+ 1 : nil
        }
    }

    /// The status byte of the read-back command: OUT, null count, access, mode, BCD.
    func status(_ now: UInt64) -> UInt8 {
        (output(now) ? 0x80 : 0) | (reload == nil || nextReload != nil ? 0x40 : 0) | access.rawValue << 4 | mode << 1
            | (isBCD ? 1 : 0)
    }

    mutating func latchCount(_ now: UInt64) {
        settle(now)
        if latchedCount == nil { latchedCount = count(now) }
    }

    mutating func latchStatus(_ now: UInt64) {
        settle(now)
        if latchedStatus == nil { latchedStatus = status(now) }
    }

    mutating func readByte(_ now: UInt64) -> UInt8 {
        settle(now)
        if let status = latchedStatus {
            latchedStatus = nil
            return status
        }
        let value = latchedCount ?? count(now)
        switch access {
        case .low:
            latchedCount = nil
            return UInt8(truncatingIfNeeded: value)
        case .high:
            latchedCount = nil
            return UInt8(truncatingIfNeeded: value >> 8)
        case .lowThenHigh:
            readsHigh.toggle()
            if readsHigh { return UInt8(truncatingIfNeeded: value) }
            latchedCount = nil
            return UInt8(truncatingIfNeeded: value >> 8)
        }
    }

    // MARK: Number systems

    private func encode(_ value: UInt64) -> UInt16 {
        guard isBCD else { return UInt16(truncatingIfNeeded: value) }
        var rest = value % 10_000
        var digits: UInt16 = 0
        for shift in stride(from: UInt16(0), to: 16, by: 4) {
            digits |= UInt16(rest % 10) << shift
            rest /= 10
        }
        return digits
    }

    private static func decimal(_ value: UInt16) -> UInt64 {
        var result: UInt64 = 0
        for shift in stride(from: UInt16(12), through: 0, by: -4) { result = result * 10 + UInt64(value >> shift & 15) }
        return result
    }
}
