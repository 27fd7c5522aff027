public import DeviceModel
internal import GuestMemory
internal import Synchronization

/// Bus 0 of a machine: functions by slot, their configuration registers and their interrupt wires.
///
/// INTx# wires are swizzled onto eight lines, which the machine leads to GSI 16 to 23.
public final class PCIBus: Sendable {
    /// The number of lines that INTx# pins share, and the GSI of the first.
    public static let lineCount = 8
    public static let firstGSI = 16
    public static let slotCount = 32

    private let functions = Mutex<[Int: any PCIFunction]>([:])
    private let lines: [SharedLine]
    private let sink: any MSISink
    private let addressSpace: any PCIAddressSpace

    /// `interruptLines`: ``lineCount`` lines, for GSI 16 on; missing ones are unconnected.
    public init(addressSpace: any PCIAddressSpace, interruptLines: [InterruptLine], messages: any MSISink) {
        self.addressSpace = addressSpace
        sink = messages
        lines = (0..<Self.lineCount).map {
            SharedLine(interruptLines.indices.contains($0) ? interruptLines[$0] : .unconnected)
        }
    }

    /// The line (0 to 7, GSI 16 to 23) that a pin is wired to, as ACPI's `_PRT` must tell it.
    ///
    /// `pin`: 1 to 4 for INTA# to INTD#.
    public static func line(slot: Int, pin: Int) -> Int { (slot &+ pin &- 1) & (lineCount - 1) }
    public static func gsi(slot: Int, pin: Int) -> Int { firstGSI + line(slot: slot, pin: pin) }

    /// Adds a function; only before the machine runs.
    ///
    /// - Throws: ``PCIError/slotUnavailable(_:)``.
    public func add(_ function: any PCIFunction, at location: PCILocation) throws(PCIError) {
        let isFree = functions.withLock { functions in
            guard (0..<Self.slotCount).contains(location.slot), (0..<8).contains(location.function),
                functions[location.index] == nil
            else { return false }
            functions[location.index] = function
            return true
        }
        guard isFree else { throw .slotUnavailable(location) }
        let pin = function.configuration.read(at: PCIConfigurationSpace.Register.interruptPin, width: .byte)
        var line = InterruptLine.unconnected
        if (1...4).contains(pin) {
            line = lines[Self.line(slot: location.slot, pin: Int(pin))].wire(location.index)
        }
        function.configuration.connect(to: addressSpace, line: line, sink: sink)
    }

    /// The functions with their places, in order.
    public var members: [(location: PCILocation, function: any PCIFunction)] {
        functions.withLock { $0 }.sorted { $0.key < $1.key }.map {
            (PCILocation(slot: $0.key / 8, function: $0.key % 8), $0.value)
        }
    }

    public func function(at location: PCILocation) -> (any PCIFunction)? { functions.withLock { $0[location.index] } }

    /// Resets every function.
    public func reset() { for member in members { member.function.reset() } }

    /// Takes every function off the machine, so that nothing keeps the bus alive.
    ///
    /// The last call.
    public func detach() {
        for member in members { member.function.configuration.disconnect() }
        functions.withLock { $0 = [:] }
    }

    // MARK: Configuration accesses

    /// `function`: slot · 8 + function; what is absent reads as all ones.
    func read(bus: Int, function: Int, at offset: Int, width: AccessWidth) -> UInt64 {
        guard bus == 0, let target = functions.withLock({ $0[function] }) else { return width.mask }
        guard width == .qword else { return UInt64(target.readConfiguration(at: offset, width: width)) & width.mask }
        return UInt64(target.readConfiguration(at: offset, width: .dword))
            | UInt64(target.readConfiguration(at: offset &+ 4, width: .dword)) << 32
    }

    func write(_ value: UInt64, bus: Int, function: Int, at offset: Int, width: AccessWidth) {
        guard bus == 0, let target = functions.withLock({ $0[function] }) else { return }
        target.writeConfiguration(
            UInt32(truncatingIfNeeded: value & width.mask),
            at: offset,
            width: width == .qword ? .dword : width
        )
        if width == .qword {
            target.writeConfiguration(UInt32(truncatingIfNeeded: value >> 32), at: offset &+ 4, width: .dword)
        }
    }
}

/// A line that several functions pull: up while any of them asks for service.
final class SharedLine: Sendable {
    private let line: InterruptLine
    private let pulling = Mutex<Set<Int>>([])

    init(_ line: InterruptLine) { self.line = line }

    /// The end of the line at `function`.
    ///
    /// The lock is held while the level is told, so that levels stay in order.
    func wire(_ function: Int) -> InterruptLine {
        InterruptLine { [self] level in
            pulling.withLock { pulling in
                if level { pulling.insert(function) } else { pulling.remove(function) }
                line.set(!pulling.isEmpty)
            }
        }
    }
}
