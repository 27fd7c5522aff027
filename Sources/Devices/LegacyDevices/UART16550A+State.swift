extension UART16550A {
    /// Every register of the port (PC16550D §8).
    struct State {
        var interruptEnable: UInt8 = 0
        var lineControl: UInt8 = 0
        var modemControl: UInt8 = 0
        var scratch: UInt8 = 0
        var divisor: UInt16 = 12
        /// FCR bit 0.
        var hasFIFOs = false
        /// How many received bytes raise the interrupt: FCR bits 7:6.
        var trigger = 1
        /// The sticky error bits of LSR: overrun, parity, framing, break.
        var lineErrors: UInt8 = 0
        /// The changes of the modem inputs since MSR was read, bits 3:0, and the inputs themselves, bits 7:4.
        var modemChanges: UInt8 = 0
        /// CTS, DSR and DCD: somebody is there.
        var modemInputs: UInt8 = 0xB0
        /// The transmitter-empty interrupt is due: cleared by reading it in IIR and by writing a character.
        var isTransmitterInterruptDue = false
        /// Received bytes, the FIFO's first.
        var incoming = ByteQueue()
        /// Transmitted bytes that were not handed on yet.
        var outgoing: [UInt8] = []

        private enum Register {
            static let data: UInt64 = 0
            static let interruptEnable: UInt64 = 1
            static let interruptIdentification: UInt64 = 2
            static let lineControl: UInt64 = 3
            static let modemControl: UInt64 = 4
            static let lineStatus: UInt64 = 5
            static let modemStatus: UInt64 = 6
            static let scratch: UInt64 = 7
        }

        private var isDivisorLatched: Bool { lineControl & 0x80 != 0 }
        private var isLoopback: Bool { modemControl & 0x10 != 0 }

        // MARK: Interrupts

        /// IIR bits 3:0 of the pending interrupt with the highest priority, nil if there is none (PC16550D table IV).
        private var pendingInterrupt: UInt8? {
            if interruptEnable & 4 != 0, lineErrors != 0 { return 0x6 }
            if interruptEnable & 1 != 0, !incoming.isEmpty {
                // Fewer bytes than the trigger: the character timeout, which comes at once as characters take no time.
                return !hasFIFOs || incoming.count >= trigger ? 0x4 : 0xC
            }
            if interruptEnable & 2 != 0, isTransmitterInterruptDue { return 0x2 }
            if interruptEnable & 8 != 0, modemChanges != 0 { return 0x0 }
            return nil
        }

        /// The wire: a pending interrupt, let through by OUT2, as on every PC card; not in loopback, where OUT2 is cut off.
        var interruptLevel: Bool { pendingInterrupt != nil && modemControl & 0x08 != 0 && !isLoopback }

        // MARK: Receiving

        mutating func receive(_ bytes: [UInt8]) {
            // In loopback the receiver is cut off from the line: what comes waits behind nothing, and is lost.
            guard !isLoopback else { return }
            incoming.append(bytes)
        }

        mutating func receiveBreak() {
            guard !isLoopback else { return }
            incoming.append([0])
            lineErrors |= 0x10
        }

        private var lineStatus: UInt8 {
            (incoming.isEmpty ? 0 : 1) | lineErrors | 0x60 | (hasFIFOs && lineErrors & 0x1C != 0 ? 0x80 : 0)
        }

        // MARK: Modem

        /// MSR bits 7:4; in loopback they are the outputs: DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD.
        private var modemLevels: UInt8 {
            guard isLoopback else { return modemInputs }
            let control = modemControl
            return (control & 1) << 5 | (control & 2) << 3 | (control & 4) << 4 | (control & 8) << 4
        }

        private mutating func setModemControl(_ value: UInt8) {
            let before = modemLevels
            modemControl = value & 0x1F
            let after = modemLevels
            let changed = before ^ after
            // CTS, DSR and DCD count every change, RI only its end.
            modemChanges |= changed >> 4 & 0x0B | (before & ~after) >> 4 & 0x04
        }

        // MARK: Registers

        mutating func read(_ offset: UInt64) -> UInt8 {
            switch offset {
            case Register.data:
                return isDivisorLatched ? UInt8(truncatingIfNeeded: divisor) : incoming.removeFirst() ?? 0
            case Register.interruptEnable:
                return isDivisorLatched ? UInt8(truncatingIfNeeded: divisor >> 8) : interruptEnable
            case Register.interruptIdentification:
                let pending = pendingInterrupt
                if pending == 0x2 { isTransmitterInterruptDue = false }
                return (pending ?? 0x1) | (hasFIFOs ? 0xC0 : 0)
            case Register.lineControl: return lineControl
            case Register.modemControl: return modemControl
            case Register.lineStatus:
                defer { lineErrors = 0 }
                return lineStatus
            case Register.modemStatus:
                defer { modemChanges = 0 }
                return modemLevels | modemChanges
            case Register.scratch: return scratch
            default: return 0xFF
            }
        }

        mutating func write(_ value: UInt8, _ offset: UInt64) {
            switch offset {
            case Register.data:
                if isDivisorLatched { divisor = divisor & 0xFF00 | UInt16(value) } else { transmit(value) }
            case Register.interruptEnable:
                guard !isDivisorLatched else {
                    divisor = divisor & 0xFF | UInt16(value) << 8
                    return
                }
                // Enabling the interrupt while the transmitter is empty raises it.
                if value & 2 != 0, interruptEnable & 2 == 0 { isTransmitterInterruptDue = true }
                interruptEnable = value & 0x0F
            case Register.interruptIdentification: setFIFOControl(value)
            case Register.lineControl: lineControl = value
            case Register.modemControl: setModemControl(value)
            case Register.scratch: scratch = value
            default: break
            }
        }

        private mutating func transmit(_ value: UInt8) {
            if isLoopback {
                // The FIFO holds 16 bytes, the receive buffer one: more is an overrun.
                if incoming.count < (hasFIFOs ? 16 : 1) { incoming.append([value]) } else { lineErrors |= 0x02 }
            } else {
                outgoing.append(value)
            }
            isTransmitterInterruptDue = true
        }

        private mutating func setFIFOControl(_ value: UInt8) {
            let hadFIFOs = hasFIFOs
            hasFIFOs = value & 1 != 0
            trigger = hasFIFOs ? [1, 4, 8, 14][Int(value >> 6)] : 1
            // Switching over clears the FIFO. What waits behind it stays, as on the line.
            if (value & 2 != 0 && hasFIFOs) || hadFIFOs != hasFIFOs { incoming.removeFirst(upTo: hadFIFOs ? 16 : 1) }
            if value & 4 != 0, hasFIFOs { isTransmitterInterruptDue = true }
        }
    }
}
