extension LocalAPIC {
    /// Every register of a local APIC; times are nanoseconds of the timer service.
    struct State {
        var base: UInt64
        var id: UInt32
        var taskPriority: UInt8 = 0
        var logicalDestination: UInt32 = 0
        var destinationFormat: UInt32 = .max
        var spuriousVector: UInt32 = 0xFF
        var inService = VectorSet()
        var triggerMode = VectorSet()
        var request = VectorSet()
        /// Errors seen since the last write to ESR, and what that write made readable.
        var errors: UInt32 = 0
        var errorStatus: UInt32 = 0
        var command: UInt64 = 0
        var localVectors = [UInt32](repeating: LocalVector.masked, count: LocalVector.allCases.count)
        var divideConfiguration: UInt32 = 0
        var initialCount: UInt32 = 0
        /// When the timer expires next.
        var expiry: UInt64?
        /// The one-shot count has reached zero.
        var hasFired = false
        /// When the current count was ``initialCount``.
        var countStart: UInt64 = 0
        /// IA32_TSC_DEADLINE; 0 is disarmed.
        var timestampDeadline: UInt64 = 0
        /// The level of the LINT0 and LINT1 pins.
        var lint0 = false
        var lint1 = false
        /// A message of delivery mode ExtINT waits.
        var externalPending = false

        static let modeMask: UInt64 = 0xC00
        static let enabledBit: UInt64 = 0x800
        static let x2Bit: UInt64 = 0x400
        static let bootstrapBit: UInt64 = 0x100

        var isEnabled: Bool { base & Self.enabledBit != 0 }
        var isX2APIC: Bool { base & Self.modeMask == Self.modeMask }
        /// The APIC takes interrupts: enabled in IA32_APIC_BASE and in the spurious-interrupt vector register.
        var isAccepting: Bool { isEnabled && spuriousVector & 0x100 != 0 }

        subscript(local: LocalVector) -> UInt32 {
            get { localVectors[local.rawValue] }
            set { localVectors[local.rawValue] = newValue }
        }

        /// To the state after INIT (SDM 3A §10.4.7.3): all but the ID, IA32_APIC_BASE and the level of the pins.
        mutating func reset() {
            var fresh = State(base: base, id: id)
            fresh.lint0 = lint0
            fresh.lint1 = lint1
            // Deviation: the bootstrap processor starts in virtual wire mode, as firmware leaves it, so that a kernel
            // that was started without firmware gets the 8259's interrupts.
            if base & Self.bootstrapBit != 0 { fresh[.lint0] = 0x700 }
            if isX2APIC { fresh.logicalDestination = fresh.x2LogicalDestination }
            self = fresh
        }

        /// SDM 3A §10.12.10.2.
        var x2LogicalDestination: UInt32 { (id >> 4) << 16 | 1 << (id & 15) }

        /// SDM 3A §10.8.3.1: the higher of task priority and the class in service.
        var processorPriority: UInt8 {
            let service = (inService.highest ?? 0) & 0xF0
            return taskPriority & 0xF0 >= service ? taskPriority : service
        }

        /// SDM 3A §10.6.2.4.
        var arbitrationPriority: UInt8 {
            let requested = (request.highest ?? 0) & 0xF0
            let service = (inService.highest ?? 0) & 0xF0
            let task = taskPriority & 0xF0
            if task >= requested && task > service { return taskPriority }
            return max(task, service, requested)
        }

        /// The vector that the processor would get now, if IF lets it.
        var deliverableVector: UInt8? {
            guard isEnabled, let vector = request.highest, vector & 0xF0 > processorPriority & 0xF0 else { return nil }
            return vector
        }

        /// Whether the 8259 pair's interrupt is for this processor: LINT0 is unmasked ExtINT, or the APIC is disabled and the
        /// pin is the processor's INTR (SDM 3A §10.4.3).
        var hasExternalInterrupt: Bool {
            if externalPending { return true }
            guard lint0 else { return false }
            return !isEnabled || self[.lint0] & (LocalVector.masked | 0x700) == 0x700
        }

        var isDeliverable: Bool { hasExternalInterrupt || deliverableVector != nil }

        /// Puts a fixed interrupt in the request register.
        mutating func accept(_ vector: UInt8, isLevelTriggered: Bool) {
            guard isAccepting else { return }
            guard vector >= 16 else { return note(error: ErrorBit.receivedIllegalVector) }
            request[vector] = true
            triggerMode[vector] = isLevelTriggered
        }

        /// Records an error and raises the error interrupt if its vector is unmasked (SDM 3A §10.5.3).
        mutating func note(error: UInt32) {
            errors |= error
            let entry = self[.error]
            guard entry & LocalVector.masked == 0 else { return }
            let vector = UInt8(truncatingIfNeeded: entry)
            guard vector >= 16, isAccepting else { return }
            request[vector] = true
            triggerMode[vector] = false
        }

        /// Ends the highest interrupt in service; its vector if an I/O APIC waits for that.
        mutating func endInterrupt() -> UInt8? {
            guard let vector = inService.highest else { return nil }
            inService[vector] = false
            guard triggerMode[vector] else { return nil }
            triggerMode[vector] = false
            return vector
        }
    }

    /// Bits of the error status register (SDM 3A figure 10-9).
    enum ErrorBit {
        static let sendIllegalVector: UInt32 = 1 << 5
        static let receivedIllegalVector: UInt32 = 1 << 6
        static let illegalRegister: UInt32 = 1 << 7
    }
}
