import DeviceModel
import Glibc
import Synchronization
import Testing

/// What handlers report.
private final class Log<Element: Sendable>: Sendable {
    private let entries = Mutex<[Element]>([])
    var all: [Element] { entries.withLock { $0 } }
    func add(_ element: Element) { entries.withLock { $0.append(element) } }
}

struct ManualTimerServiceTests {
    let service = ManualTimerService()

    @Test func `Timers fire in the order of their deadlines, each at its own time`() {
        let log = Log<String>()
        let late = service.makeTimer { [service] in log.add("late \(service.now)") }
        let early = service.makeTimer { [service] in log.add("early \(service.now)") }
        late.arm(at: 200)
        early.arm(at: 100)
        service.advance(to: 99)
        #expect(log.all.isEmpty)
        service.advance(to: 500)
        #expect(log.all == ["early 100", "late 200"])
        #expect(service.now == 500)
        #expect(service.nextDeadline == nil)
    }

    @Test func `A new deadline replaces the old one and nil cancels`() {
        let log = Log<UInt64>()
        let timer = service.makeTimer { [service] in log.add(service.now) }
        timer.arm(at: 100)
        timer.arm(at: 300)
        service.advance(to: 200)
        #expect(log.all.isEmpty)
        timer.arm(at: nil)
        service.advance(to: 400)
        #expect(log.all.isEmpty)
        timer.arm(at: 50)
        service.advance(to: 400)
        #expect(log.all == [400])
    }

    @Test func `A timer may arm itself again`() {
        let log = Log<UInt64>()
        let holder = Mutex<(any DeviceTimer)?>(nil)
        let timer = service.makeTimer { [service] in
            log.add(service.now)
            if log.all.count < 3 { holder.withLock { $0 }?.arm(at: service.now + 10) }
        }
        holder.withLock { $0 = timer }
        timer.arm(at: 10)
        service.advance(by: 1000)
        #expect(log.all == [10, 20, 30])
        holder.withLock { $0 = nil }
    }
}

struct HostTimerServiceTests {
    @Test func `A timer fires on the service's thread once its deadline has come`() {
        let service = HostTimerService()
        let fired = Atomic<UInt64>(0)
        let timer = service.makeTimer { [service] in fired.store(service.now, ordering: .releasing) }
        let deadline = service.now + 2_000_000
        timer.arm(at: deadline + 3_600_000_000_000)
        timer.arm(at: deadline)
        while fired.load(ordering: .acquiring) == 0 { usleep(200) }
        let time = fired.load(ordering: .acquiring)
        #expect(time >= deadline)
        service.stop()
    }

    @Test func `Time stands still while paused and goes on from there`() {
        let service = HostTimerService()
        service.pause()
        let before = service.now
        usleep(2000)
        #expect(service.now == before)
        service.resume()
        while service.now == before { usleep(10) }
        #expect(service.now > before)
        service.stop()
    }

    @Test func `A timer armed while paused fires after resume`() {
        let service = HostTimerService()
        service.pause()
        let fired = Atomic<Bool>(false)
        let timer = service.makeTimer { fired.store(true, ordering: .releasing) }
        timer.arm(at: service.now)
        usleep(2000)
        let wasEarly = fired.load(ordering: .acquiring)
        #expect(!wasEarly)
        service.resume()
        while !fired.load(ordering: .acquiring) { usleep(100) }
        service.stop()
    }
}

struct FrequencyTests {
    @Test func `Ticks and nanoseconds convert without losing a tick`() {
        let frequency = Frequency(hertz: 1_193_182)
        #expect(frequency.ticks(in: 1_000_000_000) == 1_193_182)
        for tick in [1, 2, 65_536, 1_193_182_000_001] as [UInt64] {
            let time = frequency.nanoseconds(for: tick)
            #expect(frequency.ticks(in: time) == tick)
            #expect(frequency.ticks(in: time - 1) == tick - 1)
        }
    }

    @Test func `Conversions saturate`() {
        #expect(Frequency(hertz: 5_000_000_000).ticks(in: .max) == .max)
        #expect(Frequency(hertz: 1).nanoseconds(for: .max) == .max)
    }
}
