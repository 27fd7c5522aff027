internal import MachineState
internal import X86

/// What a saved machine is made of: a machine like it has to be there before the state can be loaded.
public struct SavedMachineShape: Hashable, Sendable {
    public var memoryByteCount: Int
    /// The size of its BIOS image; 0 for a machine that was started without firmware.
    public var firmwareByteCount: Int
    public var processorCount: Int
    /// The name of the CPU model.
    public var model: String
    public var clock: ClockKind
    public var hasVirtioConsole: Bool
    /// The functions of its PCI bus by place and kind.
    public var devices: [String]
    /// The machine's time, in nanoseconds.
    public var nanoseconds: UInt64

    static let sectionName = "machine"
    static let sectionVersion: UInt16 = 1
    private static let memoryLimit: UInt64 = 1 << 40
    private static let firmwareLimit: UInt64 = 16 << 20
    private static let deviceLimit: UInt16 = 256

    var section: StateSection {
        var encoder = StateEncoder()
        encoder.encode(UInt64(memoryByteCount))
        encoder.encode(UInt64(firmwareByteCount))
        encoder.encode(UInt16(clamping: processorCount))
        encoder.encode(model)
        encoder.encode(clock == .instructions)
        encoder.encode(hasVirtioConsole)
        encoder.encode(UInt16(clamping: devices.count))
        for device in devices { encoder.encode(device) }
        encoder.encode(nanoseconds)
        return StateSection(name: Self.sectionName, version: Self.sectionVersion, contents: encoder.bytes)
    }
}

extension SavedMachineShape {
    init(_ section: StateSection) throws(StateFault) {
        guard section.version == Self.sectionVersion else {
            throw .badVersion(found: section.version, expected: Self.sectionVersion)
        }
        var decoder = StateDecoder(section.contents)
        let memory = try decoder.decode(in: 2 << 20...Self.memoryLimit, "memory in bytes")
        guard memory % 4096 == 0 else { throw .badValue(field: "memory in bytes", value: "\(memory)") }
        let firmware = try decoder.decode(in: 0...Self.firmwareLimit, "firmware in bytes")
        let processors = try decoder.decode(in: 1...UInt16(MachineConfiguration.processorLimit), "number of processors")
        memoryByteCount = Int(memory)
        firmwareByteCount = Int(firmware)
        processorCount = Int(processors)
        model = try decoder.decodeString("CPU model")
        guard CPUModel.named(model) != nil else { throw .badValue(field: "CPU model", value: "'\(model)'") }
        clock = try decoder.decode(Bool.self, "clock") ? .instructions : .host
        hasVirtioConsole = try decoder.decode(Bool.self, "virtio console")
        devices = []
        for _ in 0..<(try decoder.decode(in: 0...Self.deviceLimit, "number of devices")) {
            devices.append(try decoder.decodeString(limit: 256, "device"))
        }
        // A year-long machine leaves room for sums of times.
        nanoseconds = try decoder.decode(in: 0...(UInt64.max >> 2), "time")
        try decoder.finish()
    }
}

/// The file of a saved machine, opened; ``VirtualMachine`` takes it up.
public final class SavedMachine {
    public let path: String
    public let shape: SavedMachineShape
    private let reader: StateReader

    /// Reads what the machine is made of.
    public init(path: String) throws(MachineError) {
        self.path = path
        do throws(StateError) {
            reader = try StateReader(path: path)
            let first = try reader.next()
            guard let first, first.name == SavedMachineShape.sectionName else {
                throw StateError.section(file: path, name: SavedMachineShape.sectionName, .missing)
            }
            do throws(StateFault) { shape = try SavedMachineShape(first) } catch {
                throw StateError.section(file: path, name: first.name, error)
            }
        } catch {
            throw .state(error)
        }
    }

    func next() throws(StateError) -> StateSection? { try reader.next() }
}
