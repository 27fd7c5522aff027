public import DeviceModel
internal import GuestMemory
internal import Synchronization

/// The chipset's ways to reset a PC: the reset control register at 0xCF9 (ICH9 datasheet §13.7.5; the FADT's reset register, value
/// 6) and port 0x92 with the fast A20 gate.
public final class ResetControl: Sendable {
    struct State {
        var control: UInt8 = 0
        /// Bit 1: the A20 gate is open.
        var systemControl: UInt8 = 2
    }

    let state = Mutex(State())
    private let machine: any MachineRequestSink
    private let addressLine20: @Sendable (Bool) -> Void

    /// - Parameters:
    ///   - machine: Told to reset.
    ///   - addressLine20: Told when port 0x92 opens (true) or closes the gate of address line 20.
    public init(machine: any MachineRequestSink, addressLine20: @escaping @Sendable (Bool) -> Void = { _ in }) {
        self.machine = machine
        self.addressLine20 = addressLine20
    }

    /// To the state after power-on.
    public func reset() { state.withLock { $0 = State() } }

    /// One port: 0xCF9.
    public var resetPort: any BusDevice {
        RegisterWindow(
            readByte: { [self] _ in state.withLock { $0.control } },
            writeByte: { [self] value, _ in
                let resets = state.withLock { state -> Bool in
                    let isRising = value & 4 != 0 && state.control & 4 == 0
                    // The reset bit falls again with the reset.
                    state.control = value & 0x0A
                    return isRising
                }
                if resets { machine.request(.reset) }
            }
        )
    }

    /// `configurationAddress`, which answers for four ports at 0xCF8, with the reset register laid over byte accesses of its second
    /// port: PCI takes only 32-bit accesses there (PCI 3.0 §3.2.2.3.2).
    public func overlaying(_ configurationAddress: any BusDevice) -> any BusDevice {
        let resetPort = resetPort
        return RegisterWindow(
            read: { offset, width in
                offset == 1 && width == .byte
                    ? resetPort.read(at: 0, width: .byte) : configurationAddress.read(at: offset, width: width)
            },
            write: { value, offset, width in
                if offset == 1, width == .byte {
                    resetPort.write(value, at: 0, width: .byte)
                } else {
                    configurationAddress.write(value, at: offset, width: width)
                }
            }
        )
    }

    /// One port: 0x92.
    ///
    /// Bit 0 resets, bit 1 is the A20 gate.
    public var systemControlPort: any BusDevice {
        RegisterWindow(
            readByte: { [self] _ in state.withLock { $0.systemControl } },
            writeByte: { [self] value, _ in
                let (gate, resets) = state.withLock { state -> (Bool?, Bool) in
                    let changed = (value ^ state.systemControl) & 2 != 0
                    state.systemControl = value & 2
                    return (changed ? value & 2 != 0 : nil, value & 1 != 0)
                }
                if let gate { addressLine20(gate) }
                if resets { machine.request(.reset) }
            }
        )
    }
}
