public import DeviceModel
public import GuestMemory
internal import Synchronization

/// An I/O APIC with 24 pins, version 0x20: index and data registers, and the EOI register (Intel 82093AA; ICH9 datasheet §13.5).
///
/// A pin's level means asserted or not: the polarity bit is kept for software and changes nothing. A level-triggered pin that is
/// still asserted when its interrupt ends is delivered again.
public final class IOAPIC: BusDevice {
    public static let pinCount = 24
    public static let byteCount: UInt64 = 0x1000

    /// Every register.
    struct State {
        var id: UInt32
        var index: UInt8 = 0
        var entries = [RedirectionEntry](repeating: RedirectionEntry(), count: IOAPIC.pinCount)
        var levels: UInt32 = 0
    }

    let state: Mutex<State>
    private let initialID: UInt8
    private let fabric: InterruptFabric

    /// Makes the I/O APIC with all pins masked and connects it to `fabric`.
    public init(id: UInt8, fabric: InterruptFabric) {
        initialID = id
        state = Mutex(State(id: UInt32(id)))
        self.fabric = fabric
        fabric.connect(self)
    }

    /// To the state after power-on; the levels of the pins stay.
    public func reset() {
        state.withLock { state in
            let levels = state.levels
            state = State(id: UInt32(initialID))
            state.levels = levels
        }
    }

    /// Sets whether pin `pin` is asserted; nothing for a pin that does not exist.
    public func setPin(_ pin: Int, _ level: Bool) {
        guard (0..<Self.pinCount).contains(pin) else { return }
        let message = state.withLock { state -> InterruptMessage? in
            let bit: UInt32 = 1 << UInt32(pin)
            let wasAsserted = state.levels & bit != 0
            if level { state.levels |= bit } else { state.levels &= ~bit }
            guard level else { return nil }
            if state.entries[pin].isLevelTriggered { return state.service(pin) }
            // An edge at a masked pin is lost.
            return !wasAsserted && !state.entries[pin].isMasked ? state.entries[pin].message : nil
        }
        if let message { fabric.deliver(message) }
    }

    /// A processor ended the level-triggered interrupt `vector`: pins that wait for it may ask again.
    func endInterrupt(_ vector: UInt8) {
        let messages = state.withLock { state -> [InterruptMessage] in
            var messages: [InterruptMessage] = []
            for pin in state.entries.indices where state.entries[pin].vector == vector && state.entries[pin].remoteIRR {
                state.entries[pin].remoteIRR = false
                if let message = state.service(pin) { messages.append(message) }
            }
            return messages
        }
        for message in messages { fabric.deliver(message) }
    }

    // MARK: Registers

    private enum Offset {
        static let index: UInt64 = 0x00
        static let data: UInt64 = 0x10
        static let endOfInterrupt: UInt64 = 0x40
    }

    public func read(at offset: UInt64, width: AccessWidth) -> UInt64 {
        state.withLock { state in
            switch offset & ~3 {
            case Offset.index: UInt64(state.index) >> (8 * (offset & 3))
            case Offset.data: UInt64(state.selected) >> (8 * (offset & 3))
            default: 0
            }
        }
    }

    public func write(_ value: UInt64, at offset: UInt64, width: AccessWidth) {
        switch offset {
        case Offset.index: state.withLock { $0.index = UInt8(truncatingIfNeeded: value) }
        case Offset.data:
            let message = state.withLock { $0.setSelected(UInt32(truncatingIfNeeded: value)) }
            if let message { fabric.deliver(message) }
        case Offset.endOfInterrupt: endInterrupt(UInt8(truncatingIfNeeded: value))
        default: break
        }
    }
}

/// One entry of the redirection table (82093AA §3.2.4).
struct RedirectionEntry: Hashable, Sendable {
    /// All but the read-only bits 12 and 14.
    private(set) var bits: UInt64 = 1 << 16
    /// A level-triggered interrupt was accepted and has not ended.
    var remoteIRR = false

    var vector: UInt8 { UInt8(truncatingIfNeeded: bits) }
    var isMasked: Bool { bits & 1 << 16 != 0 }
    var isLevelTriggered: Bool { bits & 1 << 15 != 0 }
    var value: UInt64 { bits | (remoteIRR ? 1 << 14 : 0) }

    /// Sets one half; `isHigh` is bits 63:32.
    mutating func set(_ half: UInt32, isHigh: Bool) {
        if isHigh {
            bits = bits & 0xFFFF_FFFF | UInt64(half & 0xFF00_0000) << 32
        } else {
            bits = bits & ~0xFFFF_FFFF | UInt64(half & 0x1_AFFF)
            // Edge-triggered entries have no remote IRR; software clears a stuck one by switching over (as Linux does).
            if !isLevelTriggered { remoteIRR = false }
        }
    }

    var message: InterruptMessage {
        InterruptMessage(
            destination: UInt32(truncatingIfNeeded: bits >> 56),
            isLogical: bits & 1 << 11 != 0,
            mode: InterruptMessage.DeliveryMode(rawValue: UInt8(truncatingIfNeeded: bits >> 8) & 7) ?? .reserved,
            vector: vector,
            isLevelTriggered: isLevelTriggered
        )
    }
}

extension IOAPIC.State {
    /// The message of a level-triggered pin that is asserted, unmasked and not yet in service.
    mutating func service(_ pin: Int) -> InterruptMessage? {
        let entry = entries[pin]
        guard levels >> UInt32(pin) & 1 != 0, entry.isLevelTriggered, !entry.isMasked, !entry.remoteIRR else {
            return nil
        }
        // Only interrupts with a vector end; others have no remote IRR.
        let message = entry.message
        if message.mode == .fixed || message.mode == .lowestPriority { entries[pin].remoteIRR = true }
        return message
    }

    /// The register that the index selects, as the data register shows it.
    var selected: UInt32 {
        switch index {
        case 0, 2: return id << 24
        case 1: return UInt32(IOAPIC.pinCount - 1) << 16 | 0x20
        case 0x10..<0x10 + UInt8(2 * IOAPIC.pinCount):
            return UInt32(truncatingIfNeeded: entries[Int(index - 0x10) / 2].value >> (index & 1 == 0 ? 0 : 32))
        default: return 0
        }
    }

    /// Writes the register that the index selects; the message of a pin that this lets through.
    mutating func setSelected(_ value: UInt32) -> InterruptMessage? {
        switch index {
        case 0:
            id = value >> 24 & 0xF
            return nil
        case 0x10..<0x10 + UInt8(2 * IOAPIC.pinCount):
            let pin = Int(index - 0x10) / 2
            entries[pin].set(value, isHigh: index & 1 != 0)
            return index & 1 == 0 ? service(pin) : nil
        default: return nil
        }
    }
}
