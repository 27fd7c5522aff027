public import DeviceModel
public import GuestMemory
import Synchronization

/// The register page of xAPIC mode (SDM 3A §10.4.1). A machine has one page address for all processors: the vCPU that makes
/// the access decides which APIC answers.
extension LocalAPIC: BusDevice {
    public func read(at offset: UInt64, width: AccessWidth) -> UInt64 {
        // Each register is the first 4 of 16 bytes; the rest is reserved.
        guard offset & 0xC == 0 else { return 0 }
        guard let register = LocalAPICRegister(index: UInt32(truncatingIfNeeded: offset >> 4) & 0xFF),
            register != .selfInterrupt
        else {
            change { $0.note(error: ErrorBit.illegalRegister) }
            return 0
        }
        return UInt64(value(of: register) >> (8 * UInt32(offset & 3)))
    }

    public func write(_ value: UInt64, at offset: UInt64, width: AccessWidth) {
        guard offset & 0xF == 0, width == .dword || width == .qword else { return }
        guard let register = LocalAPICRegister(index: UInt32(truncatingIfNeeded: offset >> 4) & 0xFF),
            register != .selfInterrupt
        else {
            change { $0.note(error: ErrorBit.illegalRegister) }
            return
        }
        set(register, UInt32(truncatingIfNeeded: value))
    }
}

extension LocalAPIC {
    private enum ModelSpecific {
        static let base: UInt32 = 0x1B
        static let timestampDeadline: UInt32 = 0x6E0
    }

    public func readRegister(_ msr: UInt32) -> UInt64? {
        switch msr {
        case ModelSpecific.base: return state.withLock { $0.base }
        case ModelSpecific.timestampDeadline:
            // The timers' thread may be late; a deadline that has passed reads as 0.
            timerExpired()
            return state.withLock { $0.timestampDeadline }
        case 0x800...0x8FF:
            guard state.withLock({ $0.isX2APIC }), let register = LocalAPICRegister(index: msr - 0x800),
                register.isReadableInX2APIC
            else { return nil }
            return register == .commandLow ? state.withLock { $0.command } : UInt64(value(of: register))
        default: return nil
        }
    }

    public func writeRegister(_ msr: UInt32, _ value: UInt64) -> Bool {
        switch msr {
        case ModelSpecific.base: return setBase(value)
        case ModelSpecific.timestampDeadline:
            let isInMode = change { state -> Bool in
                guard state.timerMode == .timestampDeadline else { return false }
                state.timestampDeadline = value
                return true
            }
            if isInMode { armTimer() }
            return true
        case 0x800...0x8FF:
            guard state.withLock({ $0.isX2APIC }), let register = LocalAPICRegister(index: msr - 0x800),
                let writable = register.writableInX2APIC, value & ~writable == 0
            else { return false }
            switch register {
            case .commandLow:
                change { $0.command = value }
                send(value, destination: UInt32(truncatingIfNeeded: value >> 32), isWide: true)
            case .selfInterrupt: sendToSelf(UInt8(truncatingIfNeeded: value))
            default: set(register, UInt32(truncatingIfNeeded: value))
            }
            return true
        default: return false
        }
    }

    /// IA32_APIC_BASE, with the mode changes that SDM 3A §10.12.5 allows.
    private func setBase(_ value: UInt64) -> Bool {
        let reserved = ~((UInt64(1) << UInt64(physicalAddressWidth)) - 1) | 0x2FF
        guard value & reserved == 0 else { return false }
        let accepted = change { state -> Bool in
            let old = state.base & State.modeMask
            let new = value & State.modeMask
            // Not defined: x2APIC while disabled. Not allowed: x2APIC back to xAPIC, disabled straight to x2APIC.
            guard new != State.x2Bit, !(old == State.modeMask && new == State.enabledBit),
                !(old == 0 && new == State.modeMask)
            else { return false }
            // The BSP flag is the processor's, not software's.
            state.base = value & ~State.bootstrapBit | state.base & State.bootstrapBit
            if new == 0, old != 0 {
                state.id = initialID
                state.reset()
            } else if new == State.modeMask, old != new {
                state.id = initialID
                state.logicalDestination = state.x2LogicalDestination
            }
            return true
        }
        if accepted { armTimer() }
        return accepted
    }

    private func value(of register: LocalAPICRegister) -> UInt32 {
        let now = register == .currentCount ? timers.now : 0
        return state.withLock { state in
            switch register {
            case .id: state.isX2APIC ? state.id : state.id << 24
            // Version 0x14, six local vectors.
            case .version: UInt32(LocalVector.allCases.count - 1) << 16 | 0x14
            case .taskPriority: UInt32(state.taskPriority)
            case .arbitrationPriority: UInt32(state.arbitrationPriority)
            case .processorPriority: UInt32(state.processorPriority)
            case .endOfInterrupt, .remoteRead, .selfInterrupt: 0
            case .logicalDestination: state.logicalDestination
            case .destinationFormat: state.destinationFormat
            case .spuriousVector: state.spuriousVector
            case .inService(let index): state.inService.register(index)
            case .triggerMode(let index): state.triggerMode.register(index)
            case .request(let index): state.request.register(index)
            case .errorStatus: state.errorStatus
            case .commandLow: UInt32(truncatingIfNeeded: state.command)
            case .commandHigh: UInt32(truncatingIfNeeded: state.command >> 32)
            case .local(let local): state[local]
            case .initialCount: state.initialCount
            case .currentCount: state.currentCount(now: now)
            case .divideConfiguration: state.divideConfiguration
            }
        }
    }

    private func set(_ register: LocalAPICRegister, _ value: UInt32) {
        switch register {
        // The ID of an xAPIC can be changed by software; in x2APIC mode this is not reached.
        case .id: change { $0.id = value >> 24 }
        case .taskPriority: change { $0.taskPriority = UInt8(truncatingIfNeeded: value) }
        case .endOfInterrupt: if let vector = change({ $0.endInterrupt() }) { fabric.endInterrupt(vector) }
        case .logicalDestination: change { $0.logicalDestination = value & 0xFF00_0000 }
        case .destinationFormat: change { $0.destinationFormat = value | 0x0FFF_FFFF }
        case .spuriousVector:
            change { state in
                state.spuriousVector = value & 0x3FF
                // Software disable masks every local vector (SDM 3A §10.4.7.2).
                guard value & 0x100 == 0 else { return }
                for local in LocalVector.allCases { state[local] |= LocalVector.masked }
            }
        case .errorStatus:
            change { state in
                state.errorStatus = state.errors
                state.errors = 0
            }
        case .commandLow:
            let command = change { state -> UInt64 in
                // Delivery is immediate, so the delivery status bit is never set.
                state.command = state.command & ~0xFFFF_FFFF | UInt64(value & 0xC_CFFF)
                return state.command
            }
            send(command, destination: UInt32(truncatingIfNeeded: command >> 56), isWide: false)
        case .commandHigh: change { $0.command = $0.command & 0xFFFF_FFFF | UInt64(value & 0xFF00_0000) << 32 }
        case .local(let local): setLocalVector(local, value)
        case .initialCount:
            let now = timers.now
            change { state in
                guard state.timerMode != .timestampDeadline else { return }
                state.initialCount = value
                state.countStart = now
                state.hasFired = false
            }
            armTimer()
        case .divideConfiguration:
            let now = timers.now
            change { state in
                // The count goes on from where it is, at the new rate.
                let counted =
                    state.timerMode == .periodic || state.timerMode == .oneShot
                    ? UInt64(state.initialCount) &- UInt64(state.currentCount(now: now)) : 0
                state.divideConfiguration = value & 0xB
                if !state.hasFired { state.countStart = now &- counted &* state.divider }
            }
            armTimer()
        case .version, .arbitrationPriority, .processorPriority, .remoteRead, .inService, .triggerMode, .request,
            .currentCount, .selfInterrupt:
            break
        }
    }

    private func setLocalVector(_ local: LocalVector, _ value: UInt32) {
        change { state in
            var entry = value & local.writable
            if state.spuriousVector & 0x100 == 0, local != .lint0 || state.base & State.bootstrapBit == 0 {
                entry |= LocalVector.masked
            }
            let oldMode = state.timerMode
            state[local] = entry
            guard local == .timer, oldMode != state.timerMode else { return }
            // Entering or leaving deadline mode disarms the timer (SDM 3A §10.5.4.1).
            if oldMode == .timestampDeadline || state.timerMode == .timestampDeadline {
                state.timestampDeadline = 0
                state.initialCount = 0
            }
        }
        if local == .timer { armTimer() }
    }

    // MARK: Interprocessor interrupts

    /// Sends what the interrupt command register says (SDM 3A §10.6.1).
    private func send(_ command: UInt64, destination: UInt32, isWide: Bool) {
        let mode = InterruptMessage.DeliveryMode(rawValue: UInt8(truncatingIfNeeded: command >> 8) & 7) ?? .reserved
        let vector = UInt8(truncatingIfNeeded: command)
        let isLevelTriggered = command & 0x8000 != 0
        // INIT level de-assert: nothing since the Pentium 4.
        if mode == .initialize, isLevelTriggered, command & 0x4000 == 0 { return }
        if mode == .fixed || mode == .lowestPriority, vector < 16 {
            change { $0.note(error: ErrorBit.sendIllegalVector) }
            return
        }
        let message = InterruptMessage(
            destination: destination,
            isLogical: command & 0x800 != 0,
            isWide: isWide,
            mode: mode,
            vector: vector
        )
        switch command >> 18 & 3 {
        case 0: fabric.deliver(message)
        case 1: if mode == .fixed { take(message) }
        case 2: fabric.deliverToAll(message, except: nil)
        default: fabric.deliverToAll(message, except: self)
        }
    }

    private func sendToSelf(_ vector: UInt8) {
        change { state in
            guard vector >= 16 else { return state.note(error: ErrorBit.sendIllegalVector) }
            state.accept(vector, isLevelTriggered: false)
        }
    }
}
