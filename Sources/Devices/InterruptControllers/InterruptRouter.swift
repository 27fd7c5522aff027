public import DeviceModel
internal import Synchronization

/// The wiring from devices to the 8259 pair and the I/O APIC of a PC.
///
/// ISA interrupt `n` goes to input `n` of the pair and to pin `n` of the I/O APIC, but for the timer: interrupt 0 is pin 2. Pins 16
/// to 23 are PCI's and go to the I/O APIC only. Several devices may share a wire: it is asserted while any of them asserts it.
public final class InterruptRouter: Sendable {
    private let pair: InterruptController8259
    private let ioAPIC: IOAPIC
    /// For each global system interrupt, how many lines are asserted.
    private let asserted = Mutex([Int](repeating: 0, count: IOAPIC.pinCount))

    public init(pair: InterruptController8259, ioAPIC: IOAPIC) {
        self.pair = pair
        self.ioAPIC = ioAPIC
    }

    /// The global system interrupt of ISA interrupt `irq`, as the MADT's source overrides say.
    public static func globalSystemInterrupt(ofISA irq: Int) -> Int { irq == 0 ? 2 : irq }

    /// A new line to ISA interrupt `irq`, 0...15.
    public func line(_ irq: Int) -> InterruptLine { makeLine(pin: Self.globalSystemInterrupt(ofISA: irq), irq: irq) }

    /// A new line to pin `number` of the I/O APIC alone, for PCI: 16...23.
    public func line(globalSystemInterrupt number: Int) -> InterruptLine { makeLine(pin: number, irq: nil) }

    private func makeLine(pin: Int, irq: Int?) -> InterruptLine {
        guard (0..<IOAPIC.pinCount).contains(pin) else { return .unconnected }
        let source = Source()
        return InterruptLine { [weak self] level in
            guard let self, source.level.exchange(level, ordering: .acquiringAndReleasing) != level else { return }
            asserted.withLock { $0[pin] += level ? 1 : -1 }
            InterruptLine { [self] level in
                if let irq { pair.setInput(irq, level) }
                ioAPIC.setPin(pin, level)
            }.follow { asserted.withLock { $0[pin] > 0 } }
        }
    }

    /// The level that one line has now.
    private final class Source: Sendable {
        let level = Atomic<Bool>(false)
    }
}
