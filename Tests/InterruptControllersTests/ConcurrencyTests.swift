import DeviceModel
import Engine
import Glibc
import InterruptControllers
import Synchronization
import Testing

struct ConcurrencyTests {
    /// A clock in step with the host's timer service.
    private final class HostClock: MachineClock {
        let timers: HostTimerService
        init(_ timers: HostTimerService) { self.timers = timers }
        var nanoseconds: UInt64 { timers.now }
        var timestamp: UInt64 { timers.now }
        var timestampFrequency: UInt64 { 1_000_000_000 }
    }

    @Test func `No deadline is lost between the timer's thread and the processor's`() {
        let timers = HostTimerService()
        let fabric = InterruptFabric()
        let clock = HostClock(timers)
        let apic = LocalAPIC(id: 0, isBootstrap: true, fabric: fabric, timers: timers, clock: clock)
        apic[0xF0] = 0x1FF
        apic[0x320] = 0x4_0040
        var count = 0
        while count < 500 {
            let deadline = clock.timestamp + UInt64(count % 7) * 1000 + 1
            #expect(apic.writeRegister(0x6E0, deadline))
            // The interrupt must come; a lost deadline would wait for ever.
            while !apic.hasDeliverableInterrupt { sched_yield() }
            guard apic.acknowledge() == 0x40, clock.timestamp >= deadline else { break }
            apic.endInterrupt()
            count += 1
        }
        #expect(count == 500)
        timers.stop()
    }
}
