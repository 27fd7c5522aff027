public import DeviceModel
internal import Synchronization

/// The two 8259A interrupt controllers of a PC, cascaded at the first one's input 2, with the edge/level control registers
/// (Intel 8259A datasheet; ELCR: ICH9 datasheet §13.4).
///
/// One deviation: an edge stays requested although its input falls again before it is acknowledged, so that devices may pulse.
public final class InterruptController8259: ExternalInterruptSource {
    /// Every register of both chips.
    struct State {
        var first = Chip8259(isFirst: true)
        var second = Chip8259(isFirst: false)

        /// The INTR wire.
        var output: Bool { first.request(cascade: second.request(cascade: false) != nil) != nil }
    }

    let state = Mutex(State())
    private let output: InterruptLine

    /// - Parameter output: INTR: ``InterruptFabric/externalInterruptLine``.
    public init(output: InterruptLine) { self.output = output }

    /// To the state after power-on: nothing is delivered until software initialises the chips.
    ///
    /// The inputs' levels stay.
    public func reset() {
        change { state in
            let inputs = (state.first.inputs, state.second.inputs)
            state = State()
            (state.first.inputs, state.second.inputs) = inputs
        }
    }

    /// Sets the level of input `irq`, 0...15; input 2 is the cascade and cannot be set.
    public func setInput(_ irq: Int, _ level: Bool) {
        guard (0..<16).contains(irq), irq != 2 else { return }
        change { state in
            if irq < 8 { state.first.setInput(irq, level) } else { state.second.setInput(irq - 8, level) }
        }
    }

    public func acknowledgeInterrupt() -> UInt8? {
        change { state in
            let cascade = state.second.request(cascade: false) != nil
            guard let input = state.first.request(cascade: cascade) else { return state.first.spuriousVector }
            state.first.takeIntoService(input)
            guard input == 2 else { return state.first.vector(of: input) }
            guard let secondInput = state.second.request(cascade: false) else { return state.second.spuriousVector }
            state.second.takeIntoService(secondInput)
            return state.second.vector(of: secondInput)
        }
    }

    private func change<Result>(_ body: (inout State) -> Result) -> Result {
        let (result, hasChanged) = state.withLock { state -> (Result, Bool) in
            let before = state.output
            let result = body(&state)
            return (result, state.output != before)
        }
        if hasChanged { output.follow { state.withLock { $0.output } } }
        return result
    }

    // MARK: Ports

    /// Two ports: 0x20 on a PC.
    public var firstPorts: any BusDevice { ports(\.first) }
    /// Two ports: 0xA0 on a PC.
    public var secondPorts: any BusDevice { ports(\.second) }
    /// Two ports: 0x4D0 on a PC; a set bit makes the input level-triggered.
    public var triggerPorts: any BusDevice {
        RegisterWindow(
            readByte: { [self] offset in state.withLock { offset == 0 ? $0.first.levelInputs : $0.second.levelInputs }
            },
            writeByte: { [self] value, offset in
                // IRQ 0, 1, 2, 8 and 13 are always edges.
                change { state in
                    if offset == 0 {
                        state.first.levelInputs = value & 0xF8
                    } else {
                        state.second.levelInputs = value & 0xDE
                    }
                }
            }
        )
    }

    private func ports(_ chip: any WritableKeyPath<State, Chip8259> & Sendable) -> any BusDevice {
        RegisterWindow(
            readByte: { [self] offset in
                change { state in
                    // Poll mode: the read takes the place of the acknowledge cycle.
                    if state[keyPath: chip].isPolled {
                        let cascade = state[keyPath: chip].isFirst && state.second.request(cascade: false) != nil
                        return state[keyPath: chip].poll(cascade: cascade)
                    }
                    return state[keyPath: chip].read(offset)
                }
            },
            writeByte: { [self] value, offset in change { $0[keyPath: chip].write(value, offset) } }
        )
    }
}
