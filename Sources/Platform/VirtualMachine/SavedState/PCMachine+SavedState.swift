internal import DeviceModel
internal import Engine
internal import GuestMemory
internal import InterruptControllers
internal import LegacyDevices
internal import MachineState
internal import PCI
internal import X86

extension PCMachine {
    /// The parts that are saved, each with the name of its section, in the order in which they are loaded: what drives interrupt
    /// wires before what the wires lead to.
    private var parts: [(name: String, part: (any Saveable)?)] {
        var parts: [(name: String, part: (any Saveable)?)] = []
        for part in legacy.saveables { parts.append((part.stateName, part)) }
        parts.append(("pci ports", pci.configurationPorts as? any Saveable))
        for (name, function) in functions { parts.append((name, function as? any Saveable)) }
        for part in legacy.interruptControllers { parts.append((part.stateName, part)) }
        for (index, member) in members.enumerated() {
            if let apic = member.localAPIC { parts.append(("\(apic.stateName) \(index)", apic)) }
        }
        for (index, member) in members.enumerated() {
            parts.append(("cpu \(index)", member.processor.cpu as? any SaveableCPU))
        }
        return parts
    }

    /// The functions of the PCI bus; the bridge that routes their interrupts comes first.
    private var functions: [(name: String, function: any PCIFunction)] {
        let all = pci.bus.members.map { member in
            let kind = (member.function as? any Saveable)?.stateName ?? "\(type(of: member.function))"
            return (name: "\(member.location) \(kind)", function: member.function)
        }
        return all.filter { $0.function is LPCBridge } + all.filter { !($0.function is LPCBridge) }
    }

    private var pausables: [any Pausable] {
        var pausables: [any Pausable] = [legacy.realTimeClock]
        for member in pci.bus.members {
            if let part = member.function as? any Pausable { pausables.append(part) }
        }
        return pausables
    }

    /// What a machine that takes this one's state over must be like.
    var shape: SavedMachineShape {
        SavedMachineShape(
            memoryByteCount: configuration.memoryByteCount,
            firmwareByteCount: firmwareByteCount,
            processorCount: members.count,
            model: configuration.model.name,
            clock: configuration.clock,
            hasVirtioConsole: configuration.hasVirtioConsole,
            devices: functions.map(\.name),
            nanoseconds: time.timers.now
        )
    }

    // MARK: Standing still

    /// Stops time, timers and devices; the vCPUs stand between two instructions already.
    func pause() {
        serial.pause()
        time.pause()
        for part in pausables { part.pause() }
        legacy.flush()
    }

    func resume() {
        for part in pausables.reversed() { part.resume() }
        time.resume()
        serial.resume()
    }

    // MARK: Saving

    /// Writes the machine, which stands still, to a file that replaces one of that name at the end.
    func save(to path: String) throws(StateError) {
        let parts = parts
        for part in parts where part.part == nil {
            throw .section(file: path, name: part.name, .cannotSave("a part of this kind cannot be saved"))
        }
        var sections: [StateSection] = []
        for (name, part) in parts {
            guard let part else { continue }
            do throws(StateFault) { sections.append(try StateSection(name, saving: part)) } catch {
                throw .section(file: path, name: name, error)
            }
        }
        let writer = try StateWriter(path: path)
        try writer.append(shape.section)
        for index in 0..<memory.partCount {
            guard let contents = memory.savedPart(index) else { continue }
            try writer.append(
                StateSection(name: Self.memoryName(index), version: GuestMemory.partVersion, contents: contents)
            )
        }
        for section in sections { try writer.append(section) }
        try writer.finish()
    }

    private static func memoryName(_ index: Int) -> String { "memory \(index)" }

    // MARK: Loading

    /// Takes over the state of `saved`, in a machine that was just made for it and stands still.
    ///
    /// A machine that this throws in is not to be run.
    func load(_ saved: SavedMachine) throws(StateError) {
        try compare(saved)
        var sections: [String: StateSection] = [:]
        var loadedParts: Set<Int> = []
        var byteCount = 0
        while let section = try saved.next() {
            do throws(StateFault) {
                if let index = Self.memoryIndex(section.name) {
                    guard loadedParts.insert(index).inserted else { throw .repeated }
                    try loadMemory(index, section)
                } else {
                    byteCount += section.contents.count
                    guard byteCount <= Self.sectionByteLimit else { throw .badLength(UInt64(byteCount)) }
                    guard sections.updateValue(section, forKey: section.name) == nil else { throw .repeated }
                }
            } catch {
                throw .section(file: saved.path, name: section.name, error)
            }
        }
        for (name, part) in parts {
            do throws(StateFault) {
                guard let section = sections.removeValue(forKey: name) else { throw .missing }
                guard let part else { throw .unknown }
                try section.load(into: part)
            } catch {
                throw .section(file: saved.path, name: name, error)
            }
        }
        if let other = sections.keys.sorted().first { throw .section(file: saved.path, name: other, .unknown) }
    }

    /// All sections but those of memory together are no longer, in bytes.
    private static let sectionByteLimit = 256 << 20

    private static func memoryIndex(_ name: String) -> Int? {
        guard name.hasPrefix("memory ") else { return nil }
        return Int(name.dropFirst(7))
    }

    private func loadMemory(_ index: Int, _ section: StateSection) throws(StateFault) {
        guard section.version == GuestMemory.partVersion else {
            throw .badVersion(found: section.version, expected: GuestMemory.partVersion)
        }
        guard (0..<memory.partCount).contains(index) else { throw .unknown }
        var decoder = StateDecoder(section.contents)
        try memory.loadPart(index, from: &decoder)
    }

    /// Refuses the state of a machine that is another than this.
    private func compare(_ saved: SavedMachine) throws(StateError) {
        let (here, there) = (shape, saved.shape)
        func check(_ field: String, _ saved: String, _ here: String) throws(StateFault) {
            guard saved == here else { throw .differs(field: field, saved: saved, here: here) }
        }
        do throws(StateFault) {
            try check("memory in bytes", "\(there.memoryByteCount)", "\(here.memoryByteCount)")
            try check("firmware in bytes", "\(there.firmwareByteCount)", "\(here.firmwareByteCount)")
            try check("number of processors", "\(there.processorCount)", "\(here.processorCount)")
            try check("CPU model", there.model, here.model)
            try check("clock", "\(there.clock)", "\(here.clock)")
            for device in there.devices where !here.devices.contains(device) {
                throw .differs(field: device, saved: "there", here: "missing")
            }
            for device in here.devices where !there.devices.contains(device) {
                throw .differs(field: device, saved: "missing", here: "there")
            }
        } catch {
            throw .section(file: saved.path, name: SavedMachineShape.sectionName, error)
        }
    }
}
