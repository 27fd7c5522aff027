internal import CLinux
internal import Glibc

/// What the thread of a translator's vCPUs does.
enum Activity: UInt32, CaseIterable {
    case translated
    case translating
    case misses
    case exits
    case interpreter
    case devices
    case idle

    /// As `--stats` and profiles call it.
    var name: String {
        switch self {
        case .translated: "translated code"
        case .translating: "translating"
        case .misses: "tlb misses"
        case .exits: "exits and look-ups"
        case .interpreter: "interpreter"
        case .devices: "devices"
        case .idle: "idle"
        }
    }
}

/// Where the time of a machine's vCPU thread goes, by the host's time-stamp counter.
///
/// The vCPUs share one, for they take turns on one thread. Where nobody asked for it, ``enter(_:)`` is one test.
final class TimeLedger {
    let isOn: Bool
    /// The raw value of the current ``Activity``, where a signal handler may read it.
    let current: UnsafeMutablePointer<UInt32>
    private let ticks: UnsafeMutablePointer<UInt64>
    private var last: UInt64 = 0
    private var firstTick: UInt64 = 0
    private var firstNanosecond: UInt64 = 0

    init(isOn: Bool) {
        self.isOn = isOn
        current = .allocate(capacity: 1)
        current.initialize(to: Activity.devices.rawValue)
        ticks = .allocate(capacity: Activity.allCases.count)
        ticks.initialize(repeating: 0, count: Activity.allCases.count)
        guard isOn else { return }
        firstTick = clinux_rdtsc()
        firstNanosecond = Self.now
        last = firstTick
    }

    deinit {
        current.deallocate()
        ticks.deallocate()
    }

    /// What happens from now on.
    @inline(__always)
    func enter(_ activity: Activity) {
        guard isOn else { return }
        let now = clinux_rdtsc()
        ticks[Int(current.pointee)] &+= now &- last
        last = now
        current.pointee = activity.rawValue
    }

    /// Nanoseconds of each activity so far.
    var nanoseconds: [(activity: Activity, value: UInt64)] {
        let elapsed = clinux_rdtsc() &- firstTick
        guard isOn, elapsed > 0 else { return [] }
        let rate = Double(Self.now &- firstNanosecond) / Double(elapsed)
        return Activity.allCases.map { ($0, UInt64(max(0, Double(ticks[Int($0.rawValue)]) * rate))) }
    }

    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
