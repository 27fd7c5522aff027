import Engine
import Glibc
import X86

/// How ticks of the time-stamp counter become nanoseconds: `(ticks << shift) · multiplier >> 32`.
struct ClockScale: Equatable {
    var multiplier: UInt32
    var shift: Int8

    /// The scale for `frequency` ticks a second; as precise as 32 bits allow without dropping ticks.
    init(frequency: UInt64) {
        let frequency = UInt128(max(frequency, 1))
        var shift: Int8 = 0
        func multiplier(_ shift: Int8) -> UInt128 { (1_000_000_000 as UInt128) << UInt128(32 - Int(shift)) / frequency }
        // Slower than 1 GHz: a tick is more than a nanosecond.
        while multiplier(shift) > UInt128(UInt32.max), shift < 31 { shift += 1 }
        self.shift = shift
        self.multiplier = UInt32(clamping: multiplier(shift))
    }

    func nanoseconds(_ ticks: UInt64) -> UInt64 {
        UInt64(truncatingIfNeeded: UInt128(ticks &<< UInt64(shift)) * UInt128(multiplier) >> 32)
    }
}

// The clock of the KVM interface (kernel.org `virt/kvm/x86/msr`). All vCPUs publish the same line through the time-stamp
// counter, zero at machine timestamp zero, and say that it is stable; so it never has to be published again.
extension Core {
    /// Fills `pvclock_vcpu_time_info` at physical address `address`:
    /// version (4), padding (4), timestamp (8), system time (8), multiplier (4), shift (1), flags (1).
    func publishSystemTime(_ address: UInt64) {
        let scale = ClockScale(frequency: services.clock.timestampFrequency)
        let version = loadPhysical32(address) & ~1
        storePhysical32(address, version &+ 1)
        storePhysical64(address &+ 8, state.tscOffset)
        storePhysical64(address &+ 16, 0)
        storePhysical32(address &+ 24, scale.multiplier)
        storePhysical8(address &+ 28, UInt8(bitPattern: scale.shift))
        // The time-stamp counters of all vCPUs agree.
        storePhysical8(address &+ 29, 1)
        storePhysical32(address, version &+ 2)
    }

    /// Fills `pvclock_wall_clock` at physical address `address`: version, seconds and nanoseconds (4 bytes each) of the
    /// moment when the system time was zero.
    func publishWallClock(_ address: UInt64) {
        let elapsed = ClockScale(frequency: services.clock.timestampFrequency).nanoseconds(services.clock.timestamp)
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let origin =
            UInt64(bitPattern: Int64(now.tv_sec)) &* 1_000_000_000 &+ UInt64(bitPattern: Int64(now.tv_nsec)) &- elapsed
        let version = loadPhysical32(address) & ~1
        storePhysical32(address, version &+ 1)
        storePhysical32(address &+ 4, UInt32(truncatingIfNeeded: origin / 1_000_000_000))
        storePhysical32(address &+ 8, UInt32(truncatingIfNeeded: origin % 1_000_000_000))
        storePhysical32(address, version &+ 2)
    }
}
